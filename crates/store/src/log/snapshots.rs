//! Snapshots in the database: whole states, cut into pieces.

use std::io::{self, Read, Write};
use std::mem;

use idmerge_disk::row;
use redb::{Database, ReadTransaction, ReadableTable, Table, WriteTransaction};

use super::file::unpanicked;
use super::tables::{PIECES, SNAPSHOTS};
use crate::error::StoreError;
use crate::options::MayGoOn;

/// The checksum of a piece, the piece, and what the database adds to both fit 128 pages.
const ROW_BYTES: usize = row::CHECKSUM_BYTES + (512 << 10) - 256;

/// A snapshot in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The number of the last entry in it.
    pub(crate) sequence: u64,
    /// Whether it was loaded and replaced the state, so that the log depends on it.
    pub(crate) is_base: bool,
    pieces: u32,
}

/// All snapshots, oldest first.
pub(crate) fn all(read: &ReadTransaction) -> Result<Vec<Snapshot>, StoreError> {
    all_snapshots(&read.open_table(SNAPSHOTS)?)
}

fn all_snapshots(
    table: &impl ReadableTable<u64, (bool, u32)>,
) -> Result<Vec<Snapshot>, StoreError> {
    let mut snapshots = Vec::new();
    for row in table.range(0..)? {
        let (sequence, head) = row?;
        let (is_base, pieces) = head.value();
        snapshots.push(Snapshot {
            sequence: sequence.value(),
            is_base,
            pieces,
        });
    }
    Ok(snapshots)
}

/// Writes a snapshot with the bytes that `fill` writes, and removes all but the last `kept`. Fails once
/// `may_go_on` returns `false`.
pub(crate) fn write(
    write: &WriteTransaction,
    sequence: u64,
    is_base: bool,
    kept: usize,
    may_go_on: &dyn Fn() -> bool,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), StoreError> {
    let mut pieces = write.open_table(PIECES)?;
    let mut writer = PieceWriter {
        pieces: &mut pieces,
        sequence,
        written: 0,
        row: row::start(),
        may_go_on,
    };
    fill(&mut writer)?;
    let written = writer.finish()?;
    let mut snapshots = write.open_table(SNAPSHOTS)?;
    snapshots.insert(sequence, (is_base, written))?;

    let all = all_snapshots(&snapshots)?;
    let superfluous = all.len().saturating_sub(kept.max(1));
    for old in all.iter().take(superfluous).filter(|old| !old.is_base) {
        snapshots.remove(old.sequence)?;
        for number in 0..old.pieces {
            pieces.remove((old.sequence, number))?;
        }
    }
    Ok(())
}

/// Whether every piece of a snapshot can be read.
pub(crate) fn is_whole(read: &ReadTransaction, snapshot: Snapshot) -> bool {
    let copied = unpanicked(|| {
        let mut pieces = PieceReader::new(read, snapshot)?;
        Ok(io::copy(&mut pieces, &mut io::sink())?)
    });
    copied.is_ok()
}

/// Copies a snapshot into another database.
pub(crate) fn copy(
    read: &ReadTransaction,
    copy: &Database,
    snapshot: Snapshot,
) -> Result<(), StoreError> {
    let mut pieces = PieceReader::new(read, snapshot)?;
    let write = copy.begin_write()?;
    let Snapshot {
        sequence, is_base, ..
    } = snapshot;
    self::write(&write, sequence, is_base, usize::MAX, &|| true, |sink| {
        io::copy(&mut pieces, sink).map(drop)
    })?;
    Ok(write.commit()?)
}

/// Cuts the bytes that are written into pieces.
struct PieceWriter<'p, 't> {
    pieces: &'p mut Table<'t, (u64, u32), &'static [u8]>,
    sequence: u64,
    written: u32,
    /// The next piece, with room for its checksum.
    row: Vec<u8>,
    may_go_on: &'p dyn Fn() -> bool,
}

impl PieceWriter<'_, '_> {
    fn put(&mut self) -> io::Result<()> {
        if !(self.may_go_on)() {
            return Err(io::Error::other("the snapshot is left off"));
        }
        let key = (self.sequence, self.written);
        let row = row::seal(
            row::place_of(key),
            mem::replace(&mut self.row, row::start()),
        );
        self.pieces
            .insert(key, &*row)
            .map_err(|error| match StoreError::from(error) {
                StoreError::Io(error) => error,
                error => io::Error::other(error),
            })?;
        self.written += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<u32> {
        if self.row.len() > row::CHECKSUM_BYTES {
            self.put()?;
        }
        Ok(self.written)
    }
}

impl Write for PieceWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(ROW_BYTES - self.row.len());
        self.row.extend(&bytes[..taken]);
        if self.row.len() == ROW_BYTES {
            self.put()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a snapshot piece by piece. A wrong checksum is an error.
pub(crate) struct PieceReader {
    pieces: redb::ReadOnlyTable<(u64, u32), &'static [u8]>,
    snapshot: Snapshot,
    next: u32,
    piece: Vec<u8>,
    at: usize,
    may_go_on: Option<MayGoOn>,
}

impl PieceReader {
    pub(crate) fn new(read: &ReadTransaction, snapshot: Snapshot) -> Result<Self, StoreError> {
        Ok(Self {
            pieces: read.open_table(PIECES)?,
            snapshot,
            next: 0,
            piece: Vec::new(),
            at: 0,
            may_go_on: None,
        })
    }

    /// Reading fails once `may_go_on` returns `false`.
    pub(crate) fn only_while(self, may_go_on: Option<MayGoOn>) -> Self {
        Self { may_go_on, ..self }
    }

    fn read_piece(&mut self) -> io::Result<()> {
        if self
            .may_go_on
            .as_ref()
            .is_some_and(|may_go_on| !may_go_on())
        {
            return Err(io::Error::other(StoreError::Cancelled));
        }
        let damaged = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let key = (self.snapshot.sequence, self.next);
        let row = self
            .pieces
            .get(key)
            .map_err(io::Error::other)?
            .ok_or_else(damaged)?;
        let piece = row::open(row::place_of(key), row.value()).ok_or_else(damaged)?;
        self.piece.clear();
        self.piece.extend(piece);
        self.at = 0;
        self.next += 1;
        Ok(())
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && self.next < self.snapshot.pieces {
            self.read_piece()?;
        }
        let rest = &self.piece[self.at..];
        let taken = buffer.len().min(rest.len());
        buffer[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}
