//! Snapshots in the database: whole states, cut into pieces.

pub(crate) mod image;

use std::io::{self, Read, Write};
use std::mem;

use idmerge_disk::row;
use redb::{Database, ReadTransaction, ReadableTable, Table, WriteTransaction};

use super::file::unpanicked;
use super::tables::{PIECES, SNAPSHOTS};
use crate::durable::turns::Turns;
use crate::error::StoreError;
use crate::options::MayGoOn;

/// The checksum of a piece, the piece, and what the database adds to both fit 128 pages.
const ROW_BYTES: usize = row::CHECKSUM_BYTES + (512 << 10) - 256;

/// An empty row with room for a whole piece.
fn start_row() -> Vec<u8> {
    row::start_with_capacity(ROW_BYTES - row::CHECKSUM_BYTES)
}

/// A snapshot in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The number of the last entry in it.
    pub(crate) sequence: u64,
    /// Whether it was loaded and replaced the state, so that the log depends on it.
    pub(crate) is_base: bool,
    pieces: u32,
}

impl Snapshot {
    /// About how many bytes it has.
    fn bytes(self) -> u64 {
        u64::from(self.pieces) * ROW_BYTES as u64
    }
}

/// Gives the piece with this key to `take`. An error if it is missing or damaged, or if `may_go_on` says no.
fn take_piece(
    pieces: &impl ReadableTable<(u64, u32), &'static [u8]>,
    key: (u64, u32),
    may_go_on: Option<&MayGoOn>,
    take: impl FnOnce(&[u8]),
) -> io::Result<()> {
    if may_go_on.is_some_and(|may_go_on| !may_go_on()) {
        return Err(io::Error::other(StoreError::Cancelled));
    }
    let damaged = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let row = pieces.get(key).map_err(io::Error::other)?;
    let row = row.ok_or_else(damaged)?;
    take(row::open(row::place_of(key), row.value()).ok_or_else(damaged)?);
    Ok(())
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
        row: start_row(),
        may_go_on,
    };
    fill(&mut writer)?;
    let written = writer.finish()?;
    let mut snapshots = write.open_table(SNAPSHOTS)?;
    snapshots.insert(sequence, (is_base, written))?;

    for old in superfluous(&all_snapshots(&snapshots)?, kept) {
        snapshots.remove(old.sequence)?;
        for number in 0..old.pieces {
            pieces.remove((old.sequence, number))?;
        }
    }
    Ok(())
}

/// How many pieces one transaction writes or removes, if commits come between: 1 MiB.
const PIECES_PER_COMMIT: usize = 2;

/// Writes a snapshot after the entry `sequence`, with the bytes of `source`, in short transactions that let commits
/// go first. Removes all but the last `kept` snapshots. Returns `false`, and there is no new snapshot, once
/// `may_go_on` returns `false`. If `source` cannot be read, that is [`StoreError::Scratch`], and there is none either.
pub(crate) fn write_in_turns(
    database: &Database,
    turns: &Turns,
    (sequence, kept): (u64, usize),
    source: &mut dyn Read,
    may_go_on: &dyn Fn() -> bool,
) -> Result<bool, StoreError> {
    let _one_at_a_time = turns.snapshot();
    if !remove_headless(database, turns, may_go_on)? {
        return Ok(false);
    }
    let mut written = 0;
    let mut is_done = false;
    while !is_done {
        if !may_go_on() {
            return Ok(false);
        }
        turns.give_way();
        let write = database.begin_write()?;
        {
            let mut pieces = write.open_table(PIECES)?;
            for _ in 0..PIECES_PER_COMMIT {
                let mut row = start_row();
                let most = (ROW_BYTES - row.len()) as u64;
                let read = (&mut *source).take(most).read_to_end(&mut row);
                let read = read.map_err(StoreError::Scratch)?;
                is_done = read == 0;
                if is_done {
                    break;
                }
                let key = (sequence, written);
                pieces.insert(key, &*row::seal(row::place_of(key), row))?;
                written += 1;
            }
        }
        if is_done {
            let mut snapshots = write.open_table(SNAPSHOTS)?;
            snapshots.insert(sequence, (false, written))?;
            for old in superfluous(&all_snapshots(&snapshots)?, kept) {
                snapshots.remove(old.sequence)?;
            }
        }
        write.commit()?;
    }
    // If this is left off, the next snapshot goes on with it.
    remove_headless(database, turns, may_go_on)?;
    Ok(true)
}

/// Removes the pieces that belong to no snapshot: those of snapshots that were removed or left off, and those of images
/// that are not whole or not of the last snapshot. Returns `false`,
/// and some may be left, once `may_go_on` returns `false`.
fn remove_headless(
    database: &Database,
    turns: &Turns,
    may_go_on: &dyn Fn() -> bool,
) -> Result<bool, StoreError> {
    loop {
        if !may_go_on() {
            return Ok(false);
        }
        turns.give_way();
        // The search is in the transaction of the removal: between two, pieces could become those of a snapshot.
        let write = database.begin_write()?;
        let some = headless(&write)?;
        if some.is_empty() {
            write.abort()?;
            return Ok(true);
        }
        {
            let mut pieces = write.open_table(PIECES)?;
            for piece in some {
                pieces.remove(piece)?;
            }
        }
        write.commit()?;
    }
}

/// Some pieces that belong to no snapshot and to no image.
fn headless(write: &WriteTransaction) -> Result<Vec<(u64, u32)>, StoreError> {
    let snapshots = write.open_table(SNAPSHOTS)?;
    let pieces = write.open_table(PIECES)?;
    let last = all_snapshots(&snapshots)?.pop();
    let mut next = Some(0);
    while let Some(from) = next
        && let Some(piece) = pieces.range((from, 0)..)?.next()
    {
        let (sequence, _) = piece?.0.value();
        let is_needed = match image::snapshot_of(sequence) {
            None => snapshots.get(sequence)?.is_some(),
            Some(of) => {
                last.is_some_and(|last| last.sequence == of) && image::has_head(&pieces, of)?
            }
        };
        if !is_needed {
            let of_one = pieces.range((sequence, 0)..=(sequence, u32::MAX))?;
            let some = of_one.take(PIECES_PER_COMMIT);
            return some.map(|piece| Ok(piece?.0.value())).collect();
        }
        next = sequence.checked_add(1);
    }
    Ok(Vec::new())
}

/// The oldest of these snapshots, so that `kept` are left, without those that the log depends on.
fn superfluous(all: &[Snapshot], kept: usize) -> impl Iterator<Item = &Snapshot> {
    let count = all.len().saturating_sub(kept.max(1));
    all.iter().take(count).filter(|old| !old.is_base)
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
        let row = row::seal(row::place_of(key), mem::replace(&mut self.row, start_row()));
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
        let key = (self.snapshot.sequence, self.next);
        take_piece(&self.pieces, key, self.may_go_on.as_ref(), |piece| {
            self.piece.clear();
            self.piece.extend(piece);
        })?;
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
