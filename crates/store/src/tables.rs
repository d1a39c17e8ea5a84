//! The tables of the database, and how they are read: the form in `docs/store.md`.

use std::io::{self, Read, Write};
use std::path::Path;

use idmerge_core::{IdentityResolver, RuleBook};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    WriteTransaction,
};

use crate::block::{self, hash};
use crate::code::Wrong;
use crate::entry::Entry;
use crate::error::StoreError;
use crate::file::{FILE, builder, unpanicked};
use crate::options::Options;

/// Blocks of entries by the sequence number of their first.
pub(crate) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// What is said once of a store.
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
/// Snapshots by the sequence number of the last entry in them: what kind, and how many pieces.
const SNAPSHOTS: TableDefinition<'_, u64, (bool, u32)> = TableDefinition::new("snapshots");
/// The pieces of snapshots, each with a hash before it.
const PIECES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("pieces");

/// The tables of a store.
pub(crate) const NAMES: [&str; 6] = [
    "log",
    "about",
    "snapshots",
    "pieces",
    "named",
    "named pages",
];

const FORMAT: u16 = 1;

/// A piece and what the database adds to it fit 128 pages.
const PIECE_BYTES: usize = (512 << 10) - 256;

/// What is said once of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The rules that it goes by, for ever.
    pub rule_book: RuleBook,
    /// The settings of its engine, as [`Options::settings`] had them.
    pub settings: String,
}

impl About {
    /// What the store in a folder says of itself, for who has yet to choose the engine to open it
    /// with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where there is no store, [`StoreError::NotAStore`],
    /// [`StoreError::UnsupportedVersion`], and [`StoreError::InUse`] where whoever writes it shares
    /// it with nobody.
    pub fn of_folder(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let file = folder.as_ref().join(FILE);
        let options = Options::default();
        let read = unpanicked(|| {
            let database = builder(&options).open_read_only(&file)?;
            Self::read(&database.begin_read()?)
        });
        let found = match read {
            // The last writer has crashed; opened for writing it is put in order.
            Err(StoreError::NotClosed) => unpanicked(|| {
                let database = builder(&options).open(&file)?;
                Self::read(&database.begin_read()?)
            }),
            read => read,
        };
        found?.ok_or(StoreError::NotAStore)
    }

    /// What a store with this engine and these options says.
    pub(crate) fn of(engine: &impl IdentityResolver, options: &Options) -> Self {
        Self {
            rule_book: engine.rule_book(),
            settings: options.settings.clone(),
        }
    }

    /// Writes it into a database that has nothing yet.
    pub(crate) fn commit(&self, database: &Database) -> Result<(), StoreError> {
        let write = database.begin_write()?;
        self.write(&write)?;
        Ok(write.commit()?)
    }

    /// What a store says of itself, or `None` of one that nothing was written to.
    pub(crate) fn read(read: &ReadTransaction) -> Result<Option<Self>, StoreError> {
        let table = match read.open_table(ABOUT) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        let format = table.get("format")?.ok_or(StoreError::NotAStore)?;
        let found = <[u8; 2]>::try_from(format.value()).map_err(|_| StoreError::NotAStore)?;
        let found = u16::from_le_bytes(found);
        if found != FORMAT {
            return Err(StoreError::UnsupportedVersion {
                found,
                supported: FORMAT,
            });
        }
        let rule_book = table.get("rule book")?.ok_or(StoreError::NotAStore)?;
        let rule_book = RuleBook::ALL
            .into_iter()
            .find(|known| known.name().as_bytes() == rule_book.value())
            .ok_or(StoreError::NotAStore)?;
        let settings = table.get("settings")?.ok_or(StoreError::NotAStore)?;
        Ok(Some(Self {
            rule_book,
            settings: String::from_utf8_lossy(settings.value()).into_owned(),
        }))
    }

    /// Writes it, and makes the other tables.
    fn write(&self, write: &WriteTransaction) -> Result<(), StoreError> {
        let mut table = write.open_table(ABOUT)?;
        table.insert("format", &FORMAT.to_le_bytes()[..])?;
        table.insert("rule book", self.rule_book.name().as_bytes())?;
        table.insert("settings", self.settings.as_bytes())?;
        write.open_table(LOG)?;
        write.open_table(SNAPSHOTS)?;
        write.open_table(PIECES)?;
        Ok(())
    }

    /// Whether an engine that says this of itself can go on with the store.
    pub(crate) fn admits(&self, engine: &Self) -> Result<(), StoreError> {
        if self.rule_book != engine.rule_book {
            return Err(StoreError::OtherRuleBook {
                found: self.rule_book,
                expected: engine.rule_book,
            });
        }
        if self.settings != engine.settings {
            return Err(StoreError::OtherSettings {
                found: self.settings.clone(),
                expected: engine.settings.clone(),
            });
        }
        Ok(())
    }
}

impl From<(u64, Wrong)> for StoreError {
    fn from((sequence, what): (u64, Wrong)) -> Self {
        Self::DamagedLog { sequence, what }
    }
}

/// The last block of the log, and its sequence number.
pub(crate) fn last_block(read: &ReadTransaction) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let log = read.open_table(LOG)?;
    let last = log.last()?;
    Ok(last.map(|(first, row)| (first.value(), row.value().to_vec())))
}

/// Calls `visit` with each entry from this sequence number on, until it answers `false`.
pub(crate) fn each_entry(
    read: &ReadTransaction,
    from: u64,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let log = read.open_table(LOG)?;
    // The block that has the entry may have begun before it.
    let first = match log.range(..=from)?.next_back() {
        Some(row) => row?.0.value(),
        None => from,
    };
    let mut next = None;
    for row in log.range(first..)? {
        let (first, row) = row?;
        let first = first.value();
        let expected = next.unwrap_or(first.min(from));
        if first != expected {
            return Err(StoreError::DamagedLog {
                sequence: expected,
                what: "it is not there",
            });
        }
        next = block::each_entry(first, row.value(), &mut |entry| {
            Ok(entry.sequence < from || visit(entry)?)
        })?;
        if next.is_none() {
            break;
        }
    }
    Ok(())
}

/// A snapshot that the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The last entry in it.
    pub(crate) sequence: u64,
    /// Whether the log goes on from it, and cannot do without it.
    pub(crate) is_base: bool,
    pieces: u32,
}

/// All snapshots, the oldest first.
pub(crate) fn snapshots(read: &ReadTransaction) -> Result<Vec<Snapshot>, StoreError> {
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

/// Writes a snapshot with what `fill` puts into it, and removes the oldest but `kept`.
pub(crate) fn write_snapshot(
    write: &WriteTransaction,
    sequence: u64,
    is_base: bool,
    kept: usize,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), StoreError> {
    let mut pieces = write.open_table(PIECES)?;
    let mut writer = PieceWriter {
        pieces: &mut pieces,
        sequence,
        written: 0,
        piece: Vec::new(),
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

/// Whether all of a snapshot can be read.
pub(crate) fn is_whole(read: &ReadTransaction, snapshot: Snapshot) -> bool {
    let copied = unpanicked(|| {
        let mut pieces = PieceReader::new(read, snapshot)?;
        Ok(io::copy(&mut pieces, &mut io::sink())?)
    });
    copied.is_ok()
}

/// Copies a snapshot into another database.
pub(crate) fn copy_snapshot(
    read: &ReadTransaction,
    copy: &Database,
    snapshot: Snapshot,
) -> Result<(), StoreError> {
    let mut pieces = PieceReader::new(read, snapshot)?;
    let write = copy.begin_write()?;
    let Snapshot {
        sequence, is_base, ..
    } = snapshot;
    write_snapshot(&write, sequence, is_base, usize::MAX, |sink| {
        io::copy(&mut pieces, sink).map(drop)
    })?;
    Ok(write.commit()?)
}

/// Cuts what is written into pieces.
struct PieceWriter<'p, 't> {
    pieces: &'p mut Table<'t, (u64, u32), &'static [u8]>,
    sequence: u64,
    written: u32,
    piece: Vec<u8>,
}

impl PieceWriter<'_, '_> {
    fn put(&mut self) -> io::Result<()> {
        let mut row = hash(place(self.sequence, self.written), &self.piece)
            .to_le_bytes()
            .to_vec();
        row.append(&mut self.piece);
        self.pieces
            .insert((self.sequence, self.written), &*row)
            .map_err(|error| match StoreError::from(error) {
                StoreError::Io(error) => error,
                error => io::Error::other(error),
            })?;
        self.written += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<u32> {
        if !self.piece.is_empty() {
            self.put()?;
        }
        Ok(self.written)
    }
}

impl Write for PieceWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.piece.len());
        self.piece.extend(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES {
            self.put()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One number for a piece of a snapshot.
fn place(sequence: u64, number: u32) -> u64 {
    sequence.rotate_left(32) ^ u64::from(number)
}

/// Reads a snapshot piece by piece. A piece with a wrong hash is an error.
pub(crate) struct PieceReader {
    pieces: redb::ReadOnlyTable<(u64, u32), &'static [u8]>,
    snapshot: Snapshot,
    next: u32,
    piece: Vec<u8>,
    at: usize,
}

impl PieceReader {
    pub(crate) fn new(read: &ReadTransaction, snapshot: Snapshot) -> Result<Self, StoreError> {
        Ok(Self {
            pieces: read.open_table(PIECES)?,
            snapshot,
            next: 0,
            piece: Vec::new(),
            at: 0,
        })
    }

    fn read_piece(&mut self) -> io::Result<()> {
        let damaged = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let sequence = self.snapshot.sequence;
        let row = self
            .pieces
            .get((sequence, self.next))
            .map_err(io::Error::other)?
            .ok_or_else(damaged)?;
        let (stored, piece) = row.value().split_first_chunk().ok_or_else(damaged)?;
        if u64::from_le_bytes(*stored) != hash(place(sequence, self.next), piece) {
            return Err(damaged());
        }
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
