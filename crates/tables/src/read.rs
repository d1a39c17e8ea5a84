//! Reads a Parquet file as lines of JSON.

mod chunks;
mod file;
mod guard;

use std::io::{self, Read, Seek};

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use chunks::Chunks;
pub use file::{Batches, TableFile};
use guard::decoding;
pub use guard::is_decoding;

use crate::rows::{Columns, RowWriter, Shape};

/// A batch has about this many bytes of values, and at most [`BATCH_ROWS_MAX`] rows.
const BATCH_BYTES: u64 = 8 << 20;

const BATCH_ROWS_MAX: u64 = 4096;

/// The lines of a batch are written in parts of about this size.
const LINES_BYTES: usize = 1 << 20;

/// What the user of the command can do about columns with other names.
pub const NAME_COLUMNS: &str =
    "name the columns as in `--from csv --map user=COL,device=COL,event=COL,time=COL`";

/// The rows of a Parquet file as text: a line of JSON for each row, in the order of the file. Null values are left
/// out.
///
/// Memory is for one batch of rows and the pages that it is in, however long the file is.
pub struct Rows {
    batches: ParquetRecordBatchReader,
    writer: RowWriter,
    warnings: Vec<String>,
    lines: Vec<u8>,
    /// How much of `lines` was read.
    read: usize,
    /// The rows of the last batch that are not in `lines` yet.
    batch: Option<(RecordBatch, usize)>,
    rows: u64,
}

impl Rows {
    /// Reads a file from its start.
    ///
    /// # Errors
    ///
    /// The file is damaged, cut off or encrypted; or it lacks a column without which every row would be refused,
    /// or an ID has a type that no ID has.
    pub fn new(file: impl Read + Seek + Send + 'static, shape: &Shape) -> io::Result<Self> {
        let chunks = Chunks::new(file)?;
        let file = TableFile::of(&chunks)?;
        let columns = Columns {
            schema: file.schema(),
            is_empty: &|name| is_empty(file.metadata(), name),
            name_columns: NAME_COLUMNS,
        };
        let (writer, warnings) = RowWriter::new(columns, shape)?;
        let build = || {
            let rows = batch_rows(file.metadata(), BATCH_ROWS_MAX);
            let builder = file.builder(chunks).with_batch_size(rows);
            builder.build().map_err(damaged)
        };
        let batches = decoding(build)?;
        Ok(Self {
            batches,
            writer,
            warnings,
            lines: Vec::new(),
            read: 0,
            batch: None,
            rows: 0,
        })
    }

    /// The names of the columns, in their order.
    pub fn column_names(&self) -> Vec<&str> {
        let fields = self.writer.schema().fields();
        fields.iter().map(|field| &**field.name()).collect()
    }

    /// What is odd about the columns, and why it may matter.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Writes the next lines. `false` at the end of the file.
    fn write_lines(&mut self) -> io::Result<bool> {
        self.lines.clear();
        self.read = 0;
        let (batch, start) = match self.batch.take() {
            Some(rest) => rest,
            None => {
                let next = decoding(|| self.batches.next().transpose().map_err(io::Error::other));
                match next.map_err(|error| self.damaged_here(&error))? {
                    None => return Ok(false),
                    Some(batch) => (batch, 0),
                }
            }
        };
        let row = self.write_batch(&batch, start)?;
        if row < batch.num_rows() {
            self.batch = Some((batch, row));
        } else {
            self.rows += batch.num_rows() as u64;
        }
        Ok(true)
    }

    /// Writes the rows of a batch from `start`, until there is much text. Returns the first row that is not written.
    fn write_batch(&mut self, batch: &RecordBatch, start: usize) -> io::Result<usize> {
        let rows = self.writer.batch(batch);
        for row in start..batch.num_rows() {
            if self.lines.len() >= LINES_BYTES {
                return Ok(row);
            }
            rows.write(row, &mut self.lines).map_err(|error| {
                let at = self.rows + row as u64 + 1;
                io::Error::new(io::ErrorKind::InvalidData, format!("row {at}: {error}"))
            })?;
            self.lines.push(b'\n');
        }
        Ok(batch.num_rows())
    }

    fn damaged_here(&self, error: &dyn std::fmt::Display) -> io::Error {
        let message = format!(
            "its Parquet data is damaged after row {}: {error}",
            self.rows
        );
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.lines.len() {
            if !self.write_lines()? {
                return Ok(0);
            }
        }
        let rest = &self.lines[self.read..];
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        self.read += bytes;
        Ok(bytes)
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// The Arrow schema that some writers store in the file says only how they had the columns in memory, such as
/// dictionaries and views. Parquet's own types say what the values are.
fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

/// Checks that the pages can be decompressed.
fn check_compression(metadata: &ParquetMetaData) -> io::Result<()> {
    let mut chunks = metadata
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns);
    let brotli = chunks.find(|chunk| {
        matches!(
            chunk.compression(),
            Compression::BROTLI(_) | Compression::LZO
        )
    });
    match brotli {
        None => Ok(()),
        Some(chunk) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "its columns are compressed with {}, which idmerge does not read: write it with zstd, snappy, gzip or \
                 lz4",
                chunk
                    .compression()
                    .to_string()
                    .split('(')
                    .next()
                    .unwrap_or_default()
            ),
        )),
    }
}

/// Whether the file says that all values of a column are null.
fn is_empty(metadata: &ParquetMetaData, name: &str) -> bool {
    metadata.row_groups().iter().all(|group| {
        let mut chunks = group.columns().iter().filter(|chunk| {
            let path = chunk.column_path().parts();
            path.last().is_some_and(|last| last == name)
        });
        chunks.all(|chunk| {
            let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
            nulls.is_some() && nulls == u64::try_from(group.num_rows()).ok()
        })
    })
}

/// How many rows of this file have [`BATCH_BYTES`].
fn batch_rows(metadata: &ParquetMetaData, rows_max: u64) -> usize {
    let of_group = |group: &RowGroupMetaData| {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let bytes = u64::try_from(group.total_byte_size()).unwrap_or(0);
        BATCH_BYTES / (bytes / rows.max(1)).max(1)
    };
    let rows = metadata.row_groups().iter().map(of_group).min();
    let rows = rows.unwrap_or(1).clamp(1, rows_max);
    usize::try_from(rows).unwrap_or(1)
}

/// An error of the file system stays what it is.
fn damaged(error: ParquetError) -> io::Error {
    let error = match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) if error.kind() != io::ErrorKind::UnexpectedEof => return *error,
            Ok(error) => error.to_string(),
            Err(error) => error.to_string(),
        },
        error => error.to_string(),
    };
    let message = format!("its Parquet data is damaged, cut off or not supported: {error}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}
