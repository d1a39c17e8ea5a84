//! Inputs that are Parquet files: their rows are read as lines of JSON.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use idmerge_adapters::Columns;
use idmerge_core::RuleBook;
use idmerge_engines::Settings;

use crate::stream::adapt::Adapting;
use crate::stream::input::copy::not_copied;
use crate::stream::progress::Progress;

/// The bytes that a Parquet file begins with.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";

/// What the rows of a table become.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "tables"),
    allow(dead_code, reason = "only a build with tables reads their rows")
)]
pub(crate) struct TableForm {
    pub(super) rows: RowsAs,
    is_quiet: bool,
    /// The warnings about the columns were shown.
    was_checked: bool,
}

#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "tables"),
    allow(dead_code, reason = "only a build with tables reads their rows")
)]
pub(super) enum RowsAs {
    /// Events that the engines of these models read.
    Events(Vec<RuleBook>),
    /// Records with any columns.
    Records,
    /// Records with the columns that `--map` names.
    Mapped(Columns),
}

impl TableForm {
    /// Rows with any columns.
    pub(crate) const RECORDS: Self = Self {
        rows: RowsAs::Records,
        is_quiet: true,
        was_checked: false,
    };

    /// That of the inputs of a command.
    pub(crate) fn of_inputs(
        settings: &[Settings],
        adapting: Option<&Adapting>,
        is_quiet: bool,
    ) -> Self {
        let records = adapting.filter(|adapting| adapting.tables().is_some());
        let rows = match (records, settings) {
            (Some(adapting), _) => match adapting.mapped_columns() {
                Some(columns) => RowsAs::Mapped(columns.clone()),
                None => RowsAs::Records,
            },
            (None, [settings]) => RowsAs::Events(vec![settings.rule_book()]),
            // What one model lacks may be what another one does not read.
            (None, _) => RowsAs::Events(Vec::new()),
        };
        Self {
            rows,
            is_quiet,
            was_checked: false,
        }
    }
}

/// Whether a file is a table. It is read from its start again.
pub(super) fn is_table(file: &mut File) -> io::Result<bool> {
    let mut magic = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    Ok(magic == MAGIC)
}

/// The rows of a file as text.
#[cfg(feature = "tables")]
pub(super) fn text<'i>(
    file: File,
    name: &str,
    form: &mut TableForm,
    progress: &Progress,
) -> io::Result<Box<dyn Read + Send + 'i>> {
    use idmerge_tables::{Rows, Shape};

    use crate::report::say;

    let shape = match &form.rows {
        RowsAs::Events(models) => Shape::Events(models.clone()),
        RowsAs::Records => Shape::Records(Vec::new()),
        RowsAs::Mapped(columns) => {
            let ids = [&columns.user, &columns.device].into_iter().flatten();
            Shape::Records(ids.cloned().collect())
        }
    };
    let rows = Rows::new(progress.watch_file(file), &shape)?;
    if let RowsAs::Mapped(columns) = &form.rows {
        let checked = columns.check_header(&rows.column_names());
        checked.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    }
    if !std::mem::replace(&mut form.was_checked, true) && !form.is_quiet {
        for warning in rows.warnings() {
            progress.suspended(|| say(format_args!("{name}: {warning}")));
        }
    }
    Ok(Box::new(rows))
}

#[cfg(not(feature = "tables"))]
pub(super) fn text<'i>(
    _: File,
    _: &str,
    _: &mut TableForm,
    _: &Progress,
) -> io::Result<Box<dyn Read + Send + 'i>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("it is Parquet, {NOT_BUILT_IN}"),
    ))
}

/// What to do about a Parquet file.
#[cfg(not(feature = "tables"))]
pub(crate) const NOT_BUILT_IN: &str = "which this build cannot read or write: install idmerge with `cargo install idmerge --features \
     tables`, or convert the file to NDJSON";

/// The rows of a table that comes through a pipe. A table is read from its end, so it is copied first.
pub(super) fn text_of_stream<'i>(
    mut stream: impl Read,
    name: &str,
    form: &mut TableForm,
    progress: &Progress,
) -> io::Result<Box<dyn Read + Send + 'i>> {
    let mut copy = tempfile::tempfile().map_err(not_copied)?;
    io::copy(&mut stream, &mut copy)?;
    copy.seek(SeekFrom::Start(0))?;
    text(copy, name, form, progress)
}
