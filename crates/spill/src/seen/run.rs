//! A sorted file of fingerprints.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

const FINGERPRINT_BYTES: usize = size_of::<u128>();

/// How many fingerprints are read at a time.
const PAGE: usize = 256;

/// The bits of the filter for each fingerprint. With four probes about one lookup in 40 reads the file in
/// vain.
const FILTER_BITS: u64 = 10;

const PROBES: u32 = 4;

/// Fingerprints in a temporary file, sorted.
#[derive(Debug)]
pub(super) struct Run {
    file: File,
    count: u64,
    /// The first fingerprint of each page.
    pages: Vec<u128>,
    filter: Vec<u64>,
}

impl Run {
    /// Writes this many fingerprints, which are sorted.
    pub(super) fn write(
        count: u64,
        sorted: impl Iterator<Item = io::Result<u128>>,
    ) -> io::Result<Self> {
        let words = usize::try_from(count * FILTER_BITS / 64 + 1).unwrap_or(usize::MAX);
        let pages = usize::try_from(count.div_ceil(PAGE as u64)).unwrap_or(usize::MAX);
        let mut run = Self {
            file: tempfile::tempfile()?,
            count,
            pages: Vec::with_capacity(pages),
            filter: vec![0; words],
        };
        let mut out = BufWriter::new(run.file.try_clone()?);
        for (index, fingerprint) in sorted.enumerate() {
            let fingerprint = fingerprint?;
            if index.is_multiple_of(PAGE) {
                run.pages.push(fingerprint);
            }
            for bit in bits(fingerprint, run.filter.len()) {
                run.filter[bit / 64] |= 1 << (bit % 64);
            }
            out.write_all(&fingerprint.to_be_bytes())?;
        }
        out.flush()?;
        Ok(run)
    }

    /// One run with the fingerprints of all of these.
    pub(super) fn merge(runs: Vec<Self>) -> io::Result<Self> {
        let count = runs.iter().map(|run| run.count).sum();
        let mut readers = Vec::with_capacity(runs.len());
        for run in runs {
            let mut file = run.file;
            file.rewind()?;
            let mut reader = BufReader::with_capacity(64 * 1024, file);
            let next = read_one(&mut reader)?;
            readers.push((next, reader));
        }
        let smallest = std::iter::from_fn(|| {
            let (next, reader) = readers
                .iter_mut()
                .filter(|(next, _)| next.is_some())
                .min_by_key(|(next, _)| *next)?;
            let smallest = next.take()?;
            match read_one(reader) {
                Ok(read) => *next = read,
                Err(error) => return Some(Err(error)),
            }
            Some(Ok(smallest))
        });
        Self::write(count, smallest)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn contains(&mut self, fingerprint: u128) -> io::Result<bool> {
        let is_set = |bit: usize| self.filter[bit / 64] >> (bit % 64) & 1 == 1;
        if !bits(fingerprint, self.filter.len()).all(is_set) {
            return Ok(false);
        }
        let Some(page) = self
            .pages
            .partition_point(|first| *first <= fingerprint)
            .checked_sub(1)
        else {
            return Ok(false);
        };
        let start = (page * PAGE * FINGERPRINT_BYTES) as u64;
        self.file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(PAGE * FINGERPRINT_BYTES);
        let page_bytes = (PAGE * FINGERPRINT_BYTES) as u64;
        (&mut self.file).take(page_bytes).read_to_end(&mut bytes)?;
        let (all, _) = bytes.as_chunks::<FINGERPRINT_BYTES>();
        Ok(all.binary_search(&fingerprint.to_be_bytes()).is_ok())
    }
}

fn read_one(reader: &mut impl Read) -> io::Result<Option<u128>> {
    let mut bytes = [0; FINGERPRINT_BYTES];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u128::from_be_bytes(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bits of a fingerprint in a filter of this many words. It is a hash, so parts of it are as good as
/// other hashes of it.
fn bits(fingerprint: u128, words: usize) -> impl Iterator<Item = usize> {
    let bits = words as u128 * 64;
    (0..PROBES).map(move |probe| {
        let part = fingerprint.rotate_left(29 * probe) & u128::from(u64::MAX);
        // The quotient is smaller than the number of bits.
        usize::try_from((part * bits) >> 64).unwrap_or_default()
    })
}
