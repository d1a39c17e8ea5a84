//! Sorts more values than fit into memory: sorted runs in temporary files, which are merged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// How many bytes of keys and values are sorted in memory.
const MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// How many runs of one size there may be. They are then merged, each with a buffer of its own.
const RUNS_OF_A_SIZE_MAX: usize = 64;

const BUFFER_BYTES: usize = 64 * 1024;

/// Behind each key is the number of the value, so that values with equal keys stay in order.
const NUMBER_BYTES: usize = size_of::<u64>();

/// Sorts values by keys. Values with equal keys stay in the order in which they came.
pub(crate) struct Sorter {
    /// Keys and values, one after another.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    max_bytes: usize,
    /// The largest first.
    runs: Vec<Run>,
    number: u64,
}

/// Sorted entries in a temporary file.
struct Run {
    file: File,
    /// How often its entries were merged.
    level: u32,
}

/// A key and its value in memory.
struct Entry {
    start: usize,
    key_bytes: usize,
    value_bytes: usize,
}

impl Default for Sorter {
    fn default() -> Self {
        Self::with_memory(MEMORY_BYTES)
    }
}

impl Sorter {
    fn with_memory(max_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            entries: Vec::new(),
            max_bytes,
            runs: Vec::new(),
            number: 0,
        }
    }

    /// Adds a value.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be written.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let more = key.len() + NUMBER_BYTES + value.len();
        let used = self.bytes.len() + (self.entries.len() + 1) * size_of::<Entry>();
        if !self.entries.is_empty() && used + more > self.max_bytes {
            self.spill()?;
        }
        let bytes = self.bytes.len() + more;
        if bytes > self.bytes.capacity() {
            // Doubled, but not beyond the limit.
            let capacity = bytes.max((2 * bytes).min(self.max_bytes));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(&self.number.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.number += 1;
        self.entries.push(Entry {
            start,
            key_bytes: key.len() + NUMBER_BYTES,
            value_bytes: value.len(),
        });
        Ok(())
    }

    /// Writes what is in memory as a run.
    fn spill(&mut self) -> io::Result<()> {
        let bytes = &self.bytes;
        let key = |entry: &Entry| &bytes[entry.start..entry.start + entry.key_bytes];
        self.entries
            .sort_unstable_by(|one, other| compare(key(one), key(other)));
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?);
        for entry in &self.entries {
            let key_end = entry.start + entry.key_bytes;
            let value = &bytes[key_end..key_end + entry.value_bytes];
            write_entry(&bytes[entry.start..key_end], value, &mut out)?;
        }
        self.entries.clear();
        self.bytes.clear();
        self.bytes.shrink_to(self.max_bytes);
        self.add_run(out, 0)
    }

    fn add_run(&mut self, out: BufWriter<File>, level: u32) -> io::Result<()> {
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.runs.push(Run { file, level });
        let of_level = self.runs.iter().rev().take_while(|run| run.level == level);
        if of_level.count() < RUNS_OF_A_SIZE_MAX {
            return Ok(());
        }
        let runs = self.runs.split_off(self.runs.len() - RUNS_OF_A_SIZE_MAX);
        let mut merge = Merge::new(runs)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?);
        while let Some((key, value)) = merge.next_entry()? {
            write_entry(&key, &value, &mut out)?;
        }
        self.add_run(out, level + 1)
    }

    /// Visits all values in order.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be written or read, or `visit` fails.
    pub(crate) fn finish(
        mut self,
        mut visit: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.spill()?;
        self.bytes = Vec::new();
        self.entries = Vec::new();
        let mut merge = Merge::new(self.runs)?;
        while let Some((_, value)) = merge.next_entry()? {
            visit(&value)?;
        }
        Ok(())
    }
}

/// Compares two keys, and for equal ones the numbers behind them.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let [one, other] = [one, other].map(|key| key.split_at(key.len() - NUMBER_BYTES));
    one.cmp(&other)
}

fn write_entry(key: &[u8], value: &[u8], out: &mut impl Write) -> io::Result<()> {
    for part in [key, value] {
        out.write_all(&(part.len() as u64).to_le_bytes())?;
        out.write_all(part)?;
    }
    Ok(())
}

/// A part of an entry. `None` at the end of a run.
fn read_part(run: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; size_of::<u64>()];
    match run.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?;
    let mut part = vec![0; length];
    run.read_exact(&mut part)?;
    Ok(Some(part))
}

/// Merges sorted runs.
struct Merge {
    runs: Vec<BufReader<File>>,
    next: BinaryHeap<NextEntry>,
}

/// The next entry of a run.
struct NextEntry {
    key: Vec<u8>,
    value: Vec<u8>,
    run: usize,
}

/// The smallest is the greatest, since a heap gives the greatest first.
impl Ord for NextEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&other.key, &self.key)
    }
}

impl PartialOrd for NextEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NextEntry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for NextEntry {}

impl Merge {
    fn new(runs: Vec<Run>) -> io::Result<Self> {
        let mut merge = Self {
            runs: Vec::new(),
            next: BinaryHeap::new(),
        };
        for Run { mut file, .. } in runs {
            file.rewind()?;
            let reader = BufReader::with_capacity(BUFFER_BYTES, file);
            merge.runs.push(reader);
            merge.read_next(merge.runs.len() - 1)?;
        }
        Ok(merge)
    }

    fn read_next(&mut self, run: usize) -> io::Result<()> {
        let reader = &mut self.runs[run];
        if let Some(key) = read_part(reader)? {
            let value = read_part(reader)?.unwrap_or_default();
            self.next.push(NextEntry { key, value, run });
        }
        Ok(())
    }

    fn next_entry(&mut self) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(NextEntry { key, value, run }) = self.next.pop() else {
            return Ok(None);
        };
        self.read_next(run)?;
        Ok(Some((key, value)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(entries: &[(Vec<u8>, Vec<u8>)], max_bytes: usize) -> Vec<Vec<u8>> {
        let mut sorter = Sorter::with_memory(max_bytes);
        for (key, value) in entries {
            sorter.push(key, value).unwrap();
            let one = key.len() + NUMBER_BYTES + value.len();
            assert!(sorter.bytes.capacity() <= max_bytes.max(one));
            assert!(sorter.entries.capacity() * size_of::<Entry>() <= 2 * max_bytes + 200);
            // The files that are open at a time.
            assert!(sorter.runs.len() < 3 * RUNS_OF_A_SIZE_MAX);
        }
        let mut values = Vec::new();
        sorter
            .finish(|value| {
                values.push(value.to_vec());
                Ok(())
            })
            .unwrap();
        values
    }

    proptest! {
        #[test]
        fn a_6_the_order_is_that_of_a_stable_sort_in_bounded_memory(
            entries in prop::collection::vec(
                (prop::collection::vec(0_u8..3, 0..4), prop::collection::vec(any::<u8>(), 0..20)),
                0..300,
            ),
            max_bytes in 1_usize..3_000,
        ) {
            let mut wanted = entries.clone();
            wanted.sort_by(|(one, _), (other, _)| one.cmp(other));
            let wanted: Vec<_> = wanted.into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(sorted(&entries, max_bytes), wanted);
        }
    }
}
