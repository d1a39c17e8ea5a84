//! Writes record batches as a Parquet file, by row groups.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;

use super::{failed, writer};

/// Writes row groups, which are encoded apart, as a Parquet file.
pub struct GroupsWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    encoder: GroupEncoder,
}

/// Encodes row groups of a file, also on several threads.
#[derive(Clone)]
pub struct GroupEncoder {
    schema: SchemaRef,
    factory: Arc<ArrowRowGroupWriterFactory>,
}

/// A row group that is being encoded. Memory is for its compressed pages.
pub struct Group {
    schema: SchemaRef,
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl<W: Write + Send> GroupsWriter<W> {
    /// Starts a file with the columns of a schema, compressed with zstd.
    ///
    /// # Errors
    ///
    /// `to` cannot be written, or Parquet has no form for a column.
    pub fn new(schema: &SchemaRef, to: W) -> io::Result<Self> {
        let writer = writer(to, schema)?;
        let (file, factory) = writer.into_serialized_writer().map_err(failed)?;
        let encoder = GroupEncoder {
            schema: schema.clone(),
            factory: Arc::new(factory),
        };
        Ok(Self { file, encoder })
    }

    /// What encodes its row groups.
    pub fn encoder(&self) -> GroupEncoder {
        self.encoder.clone()
    }

    /// Writes a row group after those that were written before. One without rows is left out.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn append(&mut self, group: Group) -> io::Result<()> {
        if group.rows == 0 {
            return Ok(());
        }
        let mut to = self.file.next_row_group().map_err(failed)?;
        for column in group.columns {
            let chunk = column.close().map_err(failed)?;
            chunk.append_to_row_group(&mut to).map_err(failed)?;
        }
        to.close().map_err(failed)?;
        Ok(())
    }

    /// Writes the end of the file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.file.into_inner().map_err(failed)
    }
}

impl GroupEncoder {
    /// A row group without rows.
    ///
    /// # Errors
    ///
    /// Parquet has no form for a column.
    pub fn group(&self) -> io::Result<Group> {
        Ok(Group {
            schema: self.schema.clone(),
            // The number only counts for encryption.
            columns: self.factory.create_column_writers(0).map_err(failed)?,
            rows: 0,
        })
    }
}

impl Group {
    /// Adds rows, whose schema is that of the file.
    ///
    /// # Errors
    ///
    /// The rows have other columns.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let mut columns = self.columns.iter_mut();
        for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, array).map_err(failed)? {
                let column = columns.next();
                let column =
                    column.ok_or_else(|| io::Error::other("a row has too many columns"))?;
                column.write(&leaf).map_err(failed)?;
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }
}

impl<W: Write + Send> fmt::Debug for GroupsWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupsWriter").finish_non_exhaustive()
    }
}

impl fmt::Debug for GroupEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupEncoder").finish_non_exhaustive()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
