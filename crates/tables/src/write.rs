//! Writes rows of cells as a Parquet file.

mod groups;

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int64Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use idmerge_events::{JsonReader, ReadJson as _};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

/// A row group has at most so many rows and bytes, which are held in memory.
const GROUP_ROWS_MAX: usize = 1 << 20;
const GROUP_BYTES_MAX: usize = 128 << 20;

/// Rows are passed on when their cells have this many bytes, or there are [`BATCH_ROWS_MAX`] of them.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ROWS_MAX: usize = 16 * 1024;

pub use groups::{Group, GroupEncoder, GroupsWriter};

/// A column of a new file. Any value can be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'n> {
    name: &'n str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Boolean,
    Integer,
    TextList,
}

impl<'n> Column<'n> {
    /// A column of text.
    pub const fn text(name: &'n str) -> Self {
        Self {
            name,
            kind: Kind::Text,
        }
    }

    /// A column of truth values, whose cells are `true` or `false`.
    pub const fn boolean(name: &'n str) -> Self {
        Self {
            name,
            kind: Kind::Boolean,
        }
    }

    /// A column of integers of 64 bits, whose cells are decimal.
    pub const fn integer(name: &'n str) -> Self {
        Self {
            name,
            kind: Kind::Integer,
        }
    }

    /// A column of lists of texts, whose cells are arrays of JSON.
    pub const fn text_list(name: &'n str) -> Self {
        Self {
            name,
            kind: Kind::TextList,
        }
    }

    fn field(self) -> Field {
        let kind = match self.kind {
            Kind::Text => DataType::Utf8,
            Kind::Boolean => DataType::Boolean,
            Kind::Integer => DataType::Int64,
            Kind::TextList => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        };
        Field::new(self.name, kind, true)
    }

    fn builder(self) -> Builder {
        match self.kind {
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
            Kind::Integer => Builder::Integer(Int64Builder::new()),
            Kind::TextList => Builder::TextList(ListBuilder::new(StringBuilder::new())),
        }
    }
}

enum Builder {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    TextList(ListBuilder<StringBuilder>),
}

impl Builder {
    fn push(&mut self, cell: Option<&str>) -> io::Result<()> {
        match self {
            Self::Text(builder) => builder.append_option(cell),
            Self::Boolean(builder) => builder.append_option(cell.map(|cell| cell == "true")),
            Self::Integer(builder) => {
                let value = cell.map(str::parse).transpose();
                builder.append_option(value.map_err(io::Error::other)?);
            }
            Self::TextList(builder) => {
                let is_list = cell.is_some_and(|cell| {
                    let mut reader = JsonReader::new(cell);
                    let read = reader.elements(|reader| {
                        builder.values().append_option(reader.value()?.string());
                        Some(())
                    });
                    read.is_some()
                });
                builder.append(is_list);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::TextList(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Writes rows as a Parquet file that is compressed with zstd.
///
/// Texts are of Parquet's type `STRING`, which all readers have. Memory is for one row group.
pub struct TableWriter<W: Write + Send> {
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> TableWriter<W> {
    /// Starts a file with these columns.
    ///
    /// # Errors
    ///
    /// `to` cannot be written.
    pub fn new(columns: &[Column<'_>], to: W) -> io::Result<Self> {
        let fields: Vec<_> = columns.iter().map(|column| column.field()).collect();
        let schema = Arc::new(Schema::new(fields));
        let writer = writer(to, &schema)?;
        Ok(Self {
            schema,
            builders: columns.iter().map(|column| column.builder()).collect(),
            rows: 0,
            bytes: 0,
            writer,
        })
    }

    /// Writes a row with a cell for each column.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or a cell is not of the type of its column.
    pub fn row(&mut self, cells: &[Option<&str>]) -> io::Result<()> {
        if cells.len() != self.builders.len() {
            return Err(io::Error::other(format!(
                "a row has {} cells, and there are {} columns",
                cells.len(),
                self.builders.len()
            )));
        }
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            builder.push(*cell)?;
            self.bytes += cell.map_or(0, str::len);
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES {
            self.write_batch()?;
        }
        Ok(())
    }

    fn write_batch(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(failed)?;
        (self.rows, self.bytes) = (0, 0);
        if self.writer.in_progress_size() >= GROUP_BYTES_MAX {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the end of the file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_batch()?;
        self.writer.flush().map_err(failed)?;
        // Otherwise its error would be a text without a kind.
        self.writer.sync()?;
        self.writer.into_inner().map_err(failed)
    }

    /// The writer below.
    pub fn inner(&self) -> &W {
        self.writer.inner()
    }
}

impl<W: Write + Send> std::fmt::Debug for TableWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// What writes record batches.
fn writer<W: Write + Send>(to: W, schema: &SchemaRef) -> io::Result<ArrowWriter<W>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_created_by(format!("idmerge {}", env!("CARGO_PKG_VERSION")))
        .build();
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        // The types of Parquet say all.
        .with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(to, schema.clone(), options).map_err(failed)
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}
