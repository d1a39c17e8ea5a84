//! Images of snapshots, in the table of their pieces.
//!
//! An image is a cache of the snapshot: it is used only if it is whole and of that snapshot. To a version that knows no
//! images it is the rest of a snapshot that was left off, and is removed as such.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use idmerge_core::{IdentityResolver, ImagePiece, ImageSink, ImageSource, SnapshotError};
use idmerge_disk::row;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::{
    PIECES_PER_COMMIT, PieceReader, Snapshot, all, all_snapshots, remove_headless, take_piece,
};
use crate::durable::turns::Turns;
use crate::error::StoreError;
use crate::log::Log;
use crate::log::tables::{PIECES, SNAPSHOTS};
use crate::options::MayGoOn;
use crate::state::seen_claims::Head;

/// Set in the number of a snapshot, it is the number of the image. No log has so many entries.
const IMAGE: u64 = 1 << 63;

/// The piece that is written last. It identifies the snapshot that the image was made of.
const HEAD: u32 = 0;

const VERSION: [u8; 2] = 1_u16.to_le_bytes();

/// The snapshot that an image of this number is of; `None` if the number is that of a snapshot.
pub(super) fn snapshot_of(number: u64) -> Option<u64> {
    (number & IMAGE != 0).then_some(number & !IMAGE)
}

/// Whether the image of this snapshot was written to its end.
pub(super) fn has_head(
    pieces: &impl ReadableTable<(u64, u32), &'static [u8]>,
    snapshot: u64,
) -> Result<bool, StoreError> {
    Ok(pieces.get((IMAGE | snapshot, HEAD))?.is_some())
}

fn key(snapshot: u64, piece: ImagePiece) -> (u64, u32) {
    let part = u32::from(piece.part) * ImagePiece::MAX;
    (IMAGE | snapshot, part + piece.number)
}

/// The content of the head: the version, and a checksum of the checksums of the last two pieces of the snapshot. The
/// snapshot ends with a checksum of the whole state, which is in these two.
fn head_of(
    pieces: &impl ReadableTable<(u64, u32), &'static [u8]>,
    snapshot: Snapshot,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut checksums = Vec::new();
    for number in snapshot.pieces.saturating_sub(2)..snapshot.pieces {
        let Some(piece) = pieces.get((snapshot.sequence, number))? else {
            return Ok(None);
        };
        checksums.extend(piece.value().iter().take(row::CHECKSUM_BYTES));
    }
    let checksum = row::checksum(snapshot.pieces.into(), &checksums);
    Ok(Some([&VERSION[..], &checksum.to_le_bytes()].concat()))
}

/// The pieces of an image.
pub(crate) struct Image {
    pieces: redb::ReadOnlyTable<(u64, u32), &'static [u8]>,
    snapshot: u64,
    threads: usize,
    may_go_on: Option<MayGoOn>,
}

impl Image {
    /// The image of a snapshot; `None` if there is none that can be used.
    pub(crate) fn of(log: Log<'_>, snapshot: Snapshot) -> Result<Option<Self>, StoreError> {
        let pieces = log.read.open_table(PIECES)?;
        let key = (IMAGE | snapshot.sequence, HEAD);
        let is_of_it = match pieces.get(key)? {
            None => false,
            Some(head) => match row::open(row::place_of(key), head.value()) {
                None => false,
                Some(found) => head_of(&pieces, snapshot)?.is_some_and(|head| head == found),
            },
        };
        Ok(is_of_it.then(|| Self {
            pieces,
            snapshot: snapshot.sequence,
            threads: log.threads(),
            may_go_on: log.may_go_on(),
        }))
    }
}

impl ImageSource for Image {
    fn piece(&self, piece: ImagePiece, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let key = key(self.snapshot, piece);
        take_piece(&self.pieces, key, self.may_go_on.as_ref(), take)
    }

    fn each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= tasks {
                    return;
                }
                task(number);
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.threads.min(tasks) {
                // Without the thread the others do its work.
                drop(thread::Builder::new().spawn_scoped(scope, work));
            }
            work();
        });
    }
}

/// Writes the image of the last snapshot, in short transactions that let commits go first. Returns whether there is
/// one: none of a snapshot of fewer bytes than `from_bytes`, or if the engine has no images, or once `may_go_on`
/// returns `false`. The state of `engine` does not matter.
pub(crate) fn write_in_turns(
    database: &Database,
    turns: &Turns,
    engine: &impl IdentityResolver,
    from_bytes: u64,
    may_go_on: &dyn Fn() -> bool,
) -> Result<bool, StoreError> {
    let _one_at_a_time = turns.snapshot();
    let read = database.begin_read()?;
    let Some(&snapshot) = all(&read)?.last() else {
        return Ok(false);
    };
    if has_head(&read.open_table(PIECES)?, snapshot.sequence)? {
        return Ok(true);
    }
    // Removed first, so that the new image takes the room of an old one.
    let may_begin = remove_headless(database, turns, may_go_on)?;
    if !may_begin || snapshot.bytes() < from_bytes {
        return Ok(false);
    }
    let mut sink = Sink {
        database,
        turns,
        snapshot: snapshot.sequence,
        rows: Vec::new(),
        error: None,
        may_go_on,
    };
    let written = write_pieces(&read, snapshot, engine, &mut sink);
    drop(read);
    if let Some(error) = sink.error {
        return Err(error);
    }
    match written {
        Ok(true) if may_go_on() => sink.finish(snapshot),
        // A damaged snapshot has no image. Neither has one that somebody has no use for any more.
        _ => Ok(false),
    }
}

fn write_pieces(
    read: &ReadTransaction,
    snapshot: Snapshot,
    engine: &impl IdentityResolver,
    sink: &mut Sink<'_>,
) -> Result<bool, SnapshotError> {
    let pieces = PieceReader::new(read, snapshot).map_err(io::Error::other)?;
    let mut pieces = io::BufReader::new(pieces);
    Head::read(&mut pieces)?.skip(&mut pieces)?;
    engine.write_image(&mut pieces, sink)
}

/// Writes pieces, a few in a transaction.
struct Sink<'s> {
    database: &'s Database,
    turns: &'s Turns,
    snapshot: u64,
    rows: Vec<((u64, u32), Vec<u8>)>,
    error: Option<StoreError>,
    may_go_on: &'s dyn Fn() -> bool,
}

impl Sink<'_> {
    fn commit(&mut self) -> Result<(), StoreError> {
        self.turns.give_way();
        let write = self.database.begin_write()?;
        {
            let mut pieces = write.open_table(PIECES)?;
            for (key, row) in self.rows.drain(..) {
                pieces.insert(key, &*row)?;
            }
        }
        Ok(write.commit()?)
    }

    /// Writes the last pieces and the head, if there is no later snapshot by now.
    fn finish(mut self, snapshot: Snapshot) -> Result<bool, StoreError> {
        self.turns.give_way();
        let write = self.database.begin_write()?;
        let last = all_snapshots(&write.open_table(SNAPSHOTS)?)?.pop();
        let head = head_of(&write.open_table(PIECES)?, snapshot)?;
        let Some(head) = head.filter(|_| last == Some(snapshot)) else {
            write.abort()?;
            return Ok(false);
        };
        {
            let mut pieces = write.open_table(PIECES)?;
            for (key, row) in self.rows.drain(..) {
                pieces.insert(key, &*row)?;
            }
            let key = (IMAGE | snapshot.sequence, HEAD);
            let mut row = row::start();
            row.extend(head);
            pieces.insert(key, &*row::seal(row::place_of(key), row))?;
        }
        write.commit()?;
        Ok(true)
    }
}

impl ImageSink for Sink<'_> {
    fn put(&mut self, piece: ImagePiece, bytes: &[u8]) -> io::Result<()> {
        if !(self.may_go_on)() {
            return Err(io::Error::other("the image is left off"));
        }
        let key = key(self.snapshot, piece);
        let mut row = row::start_with_capacity(bytes.len());
        row.extend(bytes);
        self.rows.push((key, row::seal(row::place_of(key), row)));
        if self.rows.len() == PIECES_PER_COMMIT
            && let Err(error) = self.commit()
        {
            self.error = Some(error);
            return Err(io::Error::other("the image cannot be written"));
        }
        Ok(())
    }
}
