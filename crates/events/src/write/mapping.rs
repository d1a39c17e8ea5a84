//! Mappings: which canonical distinct_id each other distinct_id of a user resolves to.

use std::fmt::Write as _;
use std::io;

use idmerge_core::{Cluster, DistinctId};
use serde::Serialize;

/// How [mappings](MappingWriter) are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MappingFormat {
    /// A JSON object a line.
    #[default]
    Ndjson,
    /// CSV with a header, as RFC 4180 describes it, but with lines that end with LF alone.
    Csv,
}

/// Writes mappings: a row of `distinct_id` and `resolved_distinct_id` for each member of a cluster that
/// is not its own canonical ID. This is the shape of the vendor's table of identity mappings.
///
/// ```
/// use idmerge_core::{Claim, Id, IdentityResolver, Resolve};
/// use idmerge_events::{MappingFormat, MappingWriter};
/// use idmerge_simplified::Simplified;
///
/// let mut engine = Simplified::default();
/// engine.apply(Claim::Link { device: Id::new("D1")?, user: Id::new("Lovelace, Ada")? })?;
///
/// let mut rows = MappingWriter::new(MappingFormat::Csv, Vec::new())?;
/// for cluster in engine.clusters() {
///     rows.write_cluster(&cluster)?;
/// }
/// let csv = "distinct_id,resolved_distinct_id\n$device:D1,\"Lovelace, Ada\"\n";
/// assert_eq!(rows.finish()?, csv.as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappingWriter<W: io::Write> {
    rows: Rows<W>,
    id: String,
    canonical: String,
}

#[derive(Debug)]
enum Rows<W: io::Write> {
    Ndjson(W),
    Csv(Box<csv::Writer<W>>),
}

#[derive(Serialize)]
struct Row<'r> {
    distinct_id: &'r str,
    resolved_distinct_id: &'r str,
}

impl<W: io::Write> MappingWriter<W> {
    /// Starts to write to `to`.
    ///
    /// # Errors
    ///
    /// The header cannot be written.
    pub fn new(format: MappingFormat, to: W) -> io::Result<Self> {
        let rows = match format {
            MappingFormat::Ndjson => Rows::Ndjson(to),
            MappingFormat::Csv => {
                let mut csv = csv::Writer::from_writer(to);
                csv.write_record(["distinct_id", "resolved_distinct_id"])?;
                Rows::Csv(Box::new(csv))
            }
        };
        Ok(Self {
            rows,
            id: String::new(),
            canonical: String::new(),
        })
    }

    /// Writes the rows of a cluster, or of a [part](idmerge_core::Resolve::cluster_parts) of one, in the order of its
    /// members.
    ///
    /// # Errors
    ///
    /// Any error of the writer below.
    pub fn write_cluster(&mut self, cluster: &Cluster<'_>) -> io::Result<()> {
        set(&mut self.canonical, cluster.canonical);
        let members = cluster.members.iter();
        for &member in members.filter(|member| **member != cluster.canonical) {
            set(&mut self.id, member);
            let row = Row {
                distinct_id: &self.id,
                resolved_distinct_id: &self.canonical,
            };
            match &mut self.rows {
                Rows::Ndjson(to) => {
                    serde_json::to_writer(&mut *to, &row)?;
                    to.write_all(b"\n")?;
                }
                Rows::Csv(csv) => {
                    csv.write_record([row.distinct_id, row.resolved_distinct_id])?;
                }
            }
        }
        Ok(())
    }

    /// Flushes the rows and returns the writer below.
    ///
    /// # Errors
    ///
    /// Any error of the writer below.
    pub fn finish(self) -> io::Result<W> {
        match self.rows {
            Rows::Ndjson(to) => Ok(to),
            Rows::Csv(csv) => csv.into_inner().map_err(csv::IntoInnerError::into_error),
        }
    }
}

fn set(text: &mut String, id: DistinctId<'_>) {
    text.clear();
    let _infallible = write!(text, "{id}");
}
