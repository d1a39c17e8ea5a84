//! The record batches of a Parquet file, by row groups.

use std::io::{self, Read, Seek};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::chunks::Chunks;
use super::guard::decoding;
use super::{batch_rows, check_compression, damaged, options};

/// A batch of a row group has at most so many rows.
const BATCH_ROWS_MAX: u64 = 16 * 1024;

/// What a Parquet file says about itself. It holds no file, so there can be more of these than open files.
#[derive(Clone, Debug)]
pub struct TableFile {
    metadata: ArrowReaderMetadata,
}

impl TableFile {
    /// Reads the end of a file.
    ///
    /// # Errors
    ///
    /// The file is damaged, cut off or encrypted, or compressed in a way that is not read.
    pub fn open(file: impl Read + Seek + Send + 'static) -> io::Result<Self> {
        Self::of(&Chunks::new(file)?)
    }

    pub(super) fn of<S: Read + Seek + Send + 'static>(chunks: &Chunks<S>) -> io::Result<Self> {
        let load = || ArrowReaderMetadata::load(chunks, options()).map_err(damaged);
        let metadata = decoding(load)?;
        check_compression(metadata.metadata())?;
        Ok(Self { metadata })
    }

    /// The columns. Their types are those that Parquet's own types are read as.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// How many rows each row group has.
    pub fn group_rows(&self) -> impl Iterator<Item = u64> {
        let groups = self.metadata.metadata().row_groups().iter();
        groups.map(|group| u64::try_from(group.num_rows()).unwrap_or(0))
    }

    /// Whether the file says that all values below a path are null: of a column, or of a member of one.
    pub fn is_null(&self, path: &[&str]) -> bool {
        let groups = self.metadata.metadata().row_groups().iter();
        groups.into_iter().all(|group| is_null_in(group, path))
    }

    /// The rows of a row group in batches, with the columns in these places only. `file` is the file, opened for this:
    /// row groups can be read on several threads, each with a position of its own.
    ///
    /// # Errors
    ///
    /// There is no such row group, or the file is damaged.
    pub fn batches(
        &self,
        file: impl Read + Seek + Send + 'static,
        group: usize,
        columns: Option<&[usize]>,
    ) -> io::Result<Batches> {
        let chunks = Chunks::new(file)?;
        let parquet = self.metadata.metadata().file_metadata().schema_descr();
        let mask = match columns {
            None => ProjectionMask::all(),
            Some(columns) => ProjectionMask::roots(parquet, columns.iter().copied()),
        };
        let build = || {
            let rows = batch_rows(self.metadata(), BATCH_ROWS_MAX);
            let builder = self.builder(chunks).with_row_groups(vec![group]);
            let builder = builder.with_projection(mask).with_batch_size(rows);
            builder.build().map_err(damaged)
        };
        Ok(Batches(decoding(build)?))
    }

    pub(super) fn metadata(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    pub(super) fn builder<S: Read + Seek + Send + 'static>(
        &self,
        chunks: Chunks<S>,
    ) -> ParquetRecordBatchReaderBuilder<Chunks<S>> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.metadata.clone())
    }
}

fn is_null_in(group: &RowGroupMetaData, path: &[&str]) -> bool {
    let mut chunks = group.columns().iter().filter(|chunk| {
        let parts = chunk.column_path().parts();
        parts.len() >= path.len() && parts.iter().zip(path).all(|(part, wanted)| part == wanted)
    });
    chunks.all(|chunk| {
        let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
        nulls.is_some() && nulls == u64::try_from(group.num_rows()).ok()
    })
}

/// The batches of a row group. There are no more after an error.
pub struct Batches(ParquetRecordBatchReader);

impl Iterator for Batches {
    type Item = io::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = || Ok(self.0.next());
        match decoding(next) {
            Ok(None) => None,
            Ok(Some(batch)) => Some(batch.map_err(|error| {
                let message = format!("its Parquet data is damaged: {error}");
                io::Error::new(io::ErrorKind::InvalidData, message)
            })),
            Err(error) => Some(Err(error)),
        }
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}
