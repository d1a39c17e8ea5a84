//! Finds equal records among many, in bounded memory: records with the same first byte are kept in
//! one temporary file, and only one file at a time is read into memory.

use std::io::{self, BufWriter, Read, Seek, Write};

use tempfile::SpooledTempFile;

const BUCKETS: usize = 256;
const BUFFER_BYTES: usize = 8 * 1024;

/// Records of `N` bytes. The first byte should be of a hash, so that the files are about equally long.
#[derive(Debug)]
pub(crate) struct Buckets<const N: usize> {
    files: Vec<Option<BufWriter<SpooledTempFile>>>,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        let files = (0..BUCKETS).map(|_| None).collect();
        Self { files }
    }
}

impl<const N: usize> Buckets<N> {
    pub(crate) fn add(&mut self, record: &[u8; N]) -> io::Result<()> {
        let file = self.files[usize::from(record[0])].get_or_insert_with(|| {
            BufWriter::with_capacity(BUFFER_BYTES, SpooledTempFile::new(BUFFER_BYTES))
        });
        file.write_all(record)
    }

    /// Visits the records of each file, sorted.
    pub(crate) fn for_each_sorted(
        self,
        mut visit: impl FnMut(&[[u8; N]]) -> io::Result<()>,
    ) -> io::Result<()> {
        for file in self.files.into_iter().flatten() {
            let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let (records, _) = bytes.as_chunks_mut::<N>();
            records.sort_unstable();
            visit(records)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_records_are_neighbours() {
        let mut buckets = Buckets::<3>::default();
        for n in 0..40_000_u32 {
            let [a, b, ..] = (n * 40_503 % 1_000).to_le_bytes();
            buckets.add(&[a, b, 0]).unwrap();
        }
        let (mut all, mut different) = (0, 0);
        let count = |records: &[[u8; 3]]| {
            all += records.len();
            different += records.chunk_by(|a, b| a == b).count();
            Ok(())
        };
        buckets.for_each_sorted(count).unwrap();
        assert_eq!((all, different), (40_000, 1_000));
    }
}
