//! The form of [`SeenClaims`] in a snapshot of the store.

use std::io::{self, Read, Write};

use idmerge_core::SnapshotError;

use super::SeenClaims;

/// A snapshot of format version 1 begins with a number of fingerprints, which is smaller.
const MARK: u64 = u64::MAX;

/// The part of a snapshot before the state of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// The claims that have an entry, in this many bytes.
    SeenClaims(u64),
    /// The fingerprints of format version 1, in this many bytes. They are of no use any more.
    Version1(u64),
}

impl Head {
    pub(crate) fn read(source: &mut dyn Read) -> Result<Self, SnapshotError> {
        let number = take_u64(source)?;
        if number == MARK {
            return Ok(Self::SeenClaims(take_u64(source)?));
        }
        let bytes = number.checked_mul(16);
        let bytes = bytes.ok_or(SnapshotError::Damaged {
            what: "it has too many fingerprints",
        })?;
        Ok(Self::Version1(bytes))
    }

    /// Skips what this head announces.
    pub(crate) fn skip(self, source: &mut dyn Read) -> Result<(), SnapshotError> {
        let (Self::SeenClaims(bytes) | Self::Version1(bytes)) = self;
        let skipped = io::copy(&mut source.take(bytes), &mut io::sink())?;
        if skipped == bytes {
            return Ok(());
        }
        Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}

impl SeenClaims {
    /// Writes the head of a snapshot. Equal logs give equal bytes.
    pub(crate) fn write(&self, sink: &mut dyn Write) -> io::Result<()> {
        let fingerprints = sorted(self.fingerprints.iter().copied());
        let links = sorted(self.withdrawn_links.iter().copied());
        let last_entries = sorted(self.last_entries.iter().map(|(of, last)| (*of, *last)));
        let ids = self.components.sorted_ids();
        let components = self.components.sorted_last_entries();
        let bytes = [
            16 * (fingerprints.len() + links.len()),
            24 * last_entries.len(),
            8 * ids.len(),
            12 * components.len(),
            5 * 8,
        ];
        sink.write_all(&MARK.to_le_bytes())?;
        sink.write_all(&(bytes.iter().sum::<usize>() as u64).to_le_bytes())?;
        write_rows(sink, &fingerprints, |of| of.to_le_bytes())?;
        write_rows(sink, &links, |of| of.to_le_bytes())?;
        write_rows::<_, 24>(sink, &last_entries, |(of, last)| {
            joined(of.to_le_bytes(), last.to_le_bytes())
        })?;
        write_rows::<_, 8>(sink, &ids, |(key, value)| {
            joined(key.to_le_bytes(), value.to_le_bytes())
        })?;
        write_rows::<_, 12>(sink, &components, |(key, last)| {
            joined(key.to_le_bytes(), last.to_le_bytes())
        })
    }

    /// Reads what follows [`Head::SeenClaims`]. After an error some of it may be there.
    pub(crate) fn read(&mut self, source: &mut dyn Read) -> Result<(), SnapshotError> {
        self.clear();
        read_rows(source, |row| {
            self.fingerprints.insert(u128::from_le_bytes(*row));
            true
        })?;
        read_rows(source, |row| {
            self.withdrawn_links.insert(u128::from_le_bytes(*row));
            true
        })?;
        read_rows::<24>(source, |row| {
            let (fingerprint, last) = split(row);
            let last = u64::from_le_bytes(last);
            self.last_entries
                .insert(u128::from_le_bytes(fingerprint), last);
            true
        })?;
        read_rows::<8>(source, |row| {
            let (key, value) = split(row);
            let [key, value] = [key, value].map(u32::from_le_bytes);
            self.components.insert_id(key, value)
        })?;
        read_rows::<12>(source, |row| {
            let (key, last) = split(row);
            let last = u64::from_le_bytes(last);
            self.components
                .insert_last_entry(u32::from_le_bytes(key), last);
            true
        })
    }
}

/// Writes a part: its length in bytes, and its rows.
fn write_rows<T, const BYTES: usize>(
    sink: &mut dyn Write,
    rows: &[T],
    bytes_of: impl Fn(&T) -> [u8; BYTES],
) -> io::Result<()> {
    sink.write_all(&((BYTES * rows.len()) as u64).to_le_bytes())?;
    rows.iter()
        .try_for_each(|row| sink.write_all(&bytes_of(row)))
}

/// Calls `insert` with each row of a part, until it answers that a row is not valid. Memory grows with
/// the bytes that are there, so a wrong length does not take any.
fn read_rows<const BYTES: usize>(
    source: &mut dyn Read,
    mut insert: impl FnMut(&[u8; BYTES]) -> bool,
) -> Result<(), SnapshotError> {
    let damaged = SnapshotError::Damaged {
        what: "the claims that have an entry are not valid",
    };
    let bytes = take_u64(source)?;
    if bytes % BYTES as u64 != 0 {
        return Err(damaged);
    }
    let mut row = [0; BYTES];
    for _ in 0..bytes / BYTES as u64 {
        source.read_exact(&mut row)?;
        if !insert(&row) {
            return Err(damaged);
        }
    }
    Ok(())
}

/// One row of two numbers.
fn joined<const A: usize, const B: usize, const BYTES: usize>(
    first: [u8; A],
    second: [u8; B],
) -> [u8; BYTES] {
    let mut row = [0; BYTES];
    row[..A].copy_from_slice(&first);
    row[A..].copy_from_slice(&second);
    row
}

/// The two numbers of a row.
fn split<const A: usize, const B: usize>(row: &[u8]) -> ([u8; A], [u8; B]) {
    let (mut first, mut second) = ([0; A], [0; B]);
    first.copy_from_slice(&row[..A]);
    second.copy_from_slice(&row[A..]);
    (first, second)
}

fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all
}

fn take_u64(source: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
