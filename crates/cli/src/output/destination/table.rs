//! Output as a table: lines of JSON become rows of CSV or Parquet.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use idmerge_events::{RawJson, visit_pairs};

/// The lines that a command writes, which decide the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Resolved events.
    Events,
    /// Clusters with their members.
    Clusters,
    /// IDs with the IDs that they resolve to.
    Mappings,
    /// Changes of the log of a store.
    #[cfg_attr(
        not(feature = "store"),
        allow(dead_code, reason = "without stores there are no logs")
    )]
    Changes,
}

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Parquet,
}

impl Form {
    /// By the end of the name, in upper case or lower case. CSV can be compressed, as in `.csv.gz`.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let uncompressed = [".gz", ".zst"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        match name.ends_with(".parquet") {
            true => Some(Self::Parquet),
            false => uncompressed
                .unwrap_or(&name)
                .ends_with(".csv")
                .then_some(Self::Csv),
        }
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A text; of an event also an integer, since that is an ID too (ID-3).
    Text,
    Boolean,
    Integer,
    /// An array of texts.
    Texts,
    /// JSON that is in no other column.
    Rest,
}

type Columns = &'static [(&'static str, Kind)];

/// The name and the properties of an event. What is not here is in the column `properties`.
const EVENTS: Columns = &[
    ("event", Kind::Text),
    ("time", Kind::Integer),
    ("distinct_id", Kind::Text),
    ("$distinct_id_before_identity", Kind::Text),
    ("$is_reshuffled", Kind::Boolean),
    ("$identity_failure_reason", Kind::Text),
    ("$failure_reason", Kind::Text),
    ("$failure_description", Kind::Text),
    ("$user_id", Kind::Text),
    ("$device_id", Kind::Text),
    ("$insert_id", Kind::Text),
    ("properties", Kind::Rest),
];

const CLUSTERS: Columns = &[("canonical", Kind::Text), ("members", Kind::Texts)];

const MAPPINGS: Columns = &[
    ("distinct_id", Kind::Text),
    ("resolved_distinct_id", Kind::Text),
];

const CHANGES: Columns = &[
    ("sequence", Kind::Integer),
    ("id", Kind::Text),
    ("from", Kind::Text),
    ("to", Kind::Text),
    ("insert_id", Kind::Text),
    ("time_ms", Kind::Integer),
    ("source", Kind::Text),
];

impl Layout {
    fn columns(self) -> Columns {
        match self {
            Self::Events => EVENTS,
            Self::Clusters => CLUSTERS,
            Self::Mappings => MAPPINGS,
            Self::Changes => CHANGES,
        }
    }
}

/// Takes lines of JSON, and writes a row for each.
pub(super) struct TableLines<W: Write + Send> {
    layout: Layout,
    /// The beginning of a line.
    begun: Vec<u8>,
    rows: Rows<W>,
}

enum Rows<W: Write + Send> {
    Csv(Box<csv::Writer<W>>),
    #[cfg(feature = "tables")]
    Parquet(Box<idmerge_tables::TableWriter<W>>),
}

impl<W: Write + Send> TableLines<W> {
    pub(super) fn new(layout: Layout, form: Form, to: W) -> io::Result<Self> {
        let columns = layout.columns();
        let rows = match form {
            Form::Csv => {
                let mut rows = csv::Writer::from_writer(to);
                rows.write_record(columns.iter().map(|(name, _)| name))?;
                Rows::Csv(Box::new(rows))
            }
            #[cfg(feature = "tables")]
            Form::Parquet => {
                use idmerge_tables::{Column, TableWriter};
                let column = |(name, kind): &(&'static str, Kind)| match kind {
                    Kind::Text | Kind::Rest => Column::text(name),
                    Kind::Boolean => Column::boolean(name),
                    Kind::Integer => Column::integer(name),
                    Kind::Texts => Column::text_list(name),
                };
                let columns: Vec<_> = columns.iter().map(column).collect();
                Rows::Parquet(Box::new(TableWriter::new(&columns, to)?))
            }
            #[cfg(not(feature = "tables"))]
            Form::Parquet => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this build cannot write Parquet: install idmerge with `cargo install idmerge --features \
                     tables`, or write NDJSON or CSV",
                ));
            }
        };
        Ok(Self {
            layout,
            begun: Vec::new(),
            rows,
        })
    }

    fn row(&mut self, line: &[u8]) -> io::Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        let line = str::from_utf8(line).ok();
        let Some(cells) = line.and_then(|line| cells(self.layout, line)) else {
            return Err(io::Error::other("a line of the output has no row"));
        };
        let texts: Vec<_> = cells.iter().map(Option::as_deref).collect();
        match &mut self.rows {
            Rows::Csv(rows) => {
                rows.write_record(texts.iter().map(|text| text.unwrap_or_default()))?;
            }
            #[cfg(feature = "tables")]
            Rows::Parquet(rows) => rows.row(&texts)?,
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        let last = std::mem::take(&mut self.begun);
        self.row(&last)?;
        match self.rows {
            Rows::Csv(rows) => rows.into_inner().map_err(csv::IntoInnerError::into_error),
            #[cfg(feature = "tables")]
            Rows::Parquet(rows) => rows.finish(),
        }
    }

    pub(super) fn inner(&self) -> &W {
        match &self.rows {
            Rows::Csv(rows) => rows.get_ref(),
            #[cfg(feature = "tables")]
            Rows::Parquet(rows) => rows.inner(),
        }
    }
}

impl<W: Write + Send> Write for TableLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.begun.is_empty() {
                self.row(line)?;
            } else {
                let mut begun = std::mem::take(&mut self.begun);
                begun.extend_from_slice(line);
                self.row(&begun)?;
                begun.clear();
                self.begun = begun;
            }
            rest = after;
        }
        self.begun.extend_from_slice(rest);
        Ok(bytes.len())
    }

    /// A row group that ends here would be small.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send> fmt::Debug for TableLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableLines")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

type Cells<'l> = Vec<Option<Cow<'l, str>>>;

/// The cells of a line. `None` if it is not an object.
fn cells(layout: Layout, line: &str) -> Option<Cells<'_>> {
    let columns = layout.columns();
    let mut cells: Cells<'_> = vec![None; columns.len()];
    if layout != Layout::Events {
        visit_pairs(line, |pair| {
            if let Some(index) = index_of(columns, pair.key().string().as_deref()) {
                cells[index] = cell_of(columns[index].1, pair.value());
            }
        })?;
        return Some(cells);
    }
    let mut others = String::new();
    let mut is_split = true;
    visit_pairs(line, |pair| match pair.key().string().as_deref() {
        Some("event") => {
            // A name with half a surrogate pair is not text.
            let value = pair.value();
            cells[0] = value.string().or(Some(Cow::Borrowed(value.as_str())));
        }
        Some("properties") => {
            // Only the last one counts (IN-2).
            cells[1..].fill(None);
            others.clear();
            is_split = split_properties(pair.value(), &mut cells, &mut others).is_some();
        }
        _ => {}
    })?;
    if !is_split {
        return None;
    }
    let last = cells.len() - 1;
    cells[last] = Some(Cow::Owned(format!("{{{others}}}")));
    Some(cells)
}

/// Puts properties into cells, and those that have no column into `others`.
fn split_properties<'l>(
    json: RawJson<'l>,
    cells: &mut Cells<'l>,
    others: &mut String,
) -> Option<()> {
    let columns = &EVENTS[1..EVENTS.len() - 1];
    visit_pairs(json.as_str(), |pair| {
        let column = index_of(columns, pair.key().string().as_deref());
        if let Some(index) = column {
            let value = pair.value();
            cells[index + 1] = cell_of(columns[index].1, value);
            if cells[index + 1].is_some() {
                return;
            }
        }
        if !others.is_empty() {
            others.push(',');
        }
        others.push_str(pair.key().as_str());
        others.push(':');
        others.push_str(pair.value().as_str());
    })
}

fn index_of(columns: &[(&str, Kind)], key: Option<&str>) -> Option<usize> {
    columns.iter().position(|(name, _)| Some(*name) == key)
}

/// A value as the text of a cell. `None` if a column of this kind cannot have it.
fn cell_of(kind: Kind, value: RawJson<'_>) -> Option<Cow<'_, str>> {
    match kind {
        Kind::Text => value
            .string()
            .or_else(|| value.integer().map(Cow::Borrowed)),
        Kind::Integer => {
            let text = value.integer()?;
            text.parse::<i64>().is_ok().then_some(Cow::Borrowed(text))
        }
        Kind::Boolean => {
            matches!(value.as_str(), "true" | "false").then(|| Cow::Borrowed(value.as_str()))
        }
        Kind::Texts | Kind::Rest => Some(Cow::Borrowed(value.as_str())),
    }
}
