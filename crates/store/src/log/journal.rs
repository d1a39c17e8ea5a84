//! The journal: a small file in front of the database, so that a small commit writes a page and not ten.
//!
//! A commit of few entries appends a [`frame`] to it and syncs it. A *checkpoint* writes the entries of all frames
//! into the database, together with the number of a new *epoch*. From then on the frames of the epoch before do not
//! count, and the journal is written from its start again. So the database decides in its own commit which frames count,
//! and no frame that counts is ever written over.

pub(crate) mod frame;
pub(crate) mod frames;
pub(crate) mod place;
pub(crate) mod replay;
pub(crate) mod row;

use std::hash::{BuildHasher, Hasher, RandomState};

use redb::WriteTransaction;

use self::frame::PAGE_BYTES;
use self::place::{JournalFile, Place};
use self::row::JournalRow;
use super::about;
use super::file::last_sync::LastSync;
use super::tail::Tail;
use crate::error::StoreError;
use crate::options::Options;

/// A commit with a longer frame goes to the database at once: a few of them would fill the journal.
const FRAME_BYTES_MAX: usize = 256 << 10;

/// The journal of a store that is open for writing. It is locked after the tail.
#[derive(Debug)]
pub(crate) struct Journal {
    place: Place,
    bytes: u32,
    /// How many small commits come before it is made.
    after: u64,
    last_sync: LastSync,
    open: Option<Open>,
    /// What [`append`](Self::append) wrote last, to use its memory again.
    buffer: Vec<u8>,
}

/// A journal that is there. The database has its row, unless it was made for a commit that failed.
#[derive(Debug)]
struct Open {
    file: JournalFile,
    epoch: u128,
    /// Where the next frame begins.
    end: u64,
    /// After an error nobody knows what is on the disk, so nothing is written to it any more.
    has_failed: bool,
}

/// What the row of the journal becomes with a commit of the database.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// It stays.
    Same,
    Epoch(u128),
    /// There is no journal any more.
    End,
}

impl Journal {
    pub(crate) fn new(place: Place, options: &Options) -> Self {
        let pages = options.journal_bytes / PAGE_BYTES;
        // A journal that no row can describe is as useless as one without a page.
        let bytes = u32::try_from(pages * PAGE_BYTES).unwrap_or_default();
        Self {
            place: if bytes == 0 { Place::Nowhere } else { place },
            bytes,
            after: options.journal_after,
            last_sync: options.last_sync.clone(),
            open: None,
            buffer: Vec::new(),
        }
    }

    /// Makes what is not committed durable, if it is little and there is room. If not, it returns `false`, and the
    /// database has to.
    pub(crate) fn append(&mut self, tail: &Tail) -> Result<bool, StoreError> {
        let Some(open) = self.open.as_mut().filter(|open| !open.has_failed) else {
            return Ok(false);
        };
        let length = frame::length(tail.uncommitted());
        if length > FRAME_BYTES_MAX || open.end + length as u64 > u64::from(self.bytes) {
            return Ok(false);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let Some(frame) = frame::encode(buffer, open.epoch, open.end, tail.uncommitted()) else {
            return Ok(false);
        };
        let backend = &open.file.backend;
        let synced = (backend.write(open.end, &frame)).and_then(|()| backend.sync_data());
        if let Err(error) = synced {
            self.fail(frame.len());
            return Err(error.into());
        }
        open.end += frame.len().next_multiple_of(PAGE_BYTES) as u64;
        self.buffer = frame;
        self.last_sync.count_commit();
        Ok(true)
    }

    /// Takes back the frame that may be on the disk or not.
    fn fail(&mut self, frame_bytes: usize) {
        let Some(open) = &mut self.open else { return };
        open.has_failed = true;
        // If this fails too, the next opening in this process knows about it.
        self.last_sync.journal_failed(open.epoch, open.end);
        let zeros = vec![0; frame_bytes];
        let backend = &open.file.backend;
        let _is_taken_back = (backend.write(open.end, &zeros)).and_then(|()| backend.sync_data());
    }

    /// Makes the journal, if it is time for it. A commit of the database with [`next`](Self::next) must follow.
    pub(crate) fn make_if_due(&mut self, tail: &Tail) {
        if self.open.is_some() || matches!(self.place, Place::Nowhere) {
            return;
        }
        if frame::length(tail.uncommitted()) > FRAME_BYTES_MAX {
            return;
        }
        if self.after > 0 {
            self.after -= 1;
            return;
        }
        match self.place.make(self.bytes) {
            Ok(file) => {
                self.open = Some(Open {
                    file,
                    epoch: random(),
                    // So that the next commit of the database begins an epoch.
                    end: u64::from(self.bytes),
                    has_failed: false,
                });
            }
            // The disk may be full. Commits go on without it.
            Err(_) => self.place = Place::Nowhere,
        }
    }

    /// What a commit of the database does with the journal: it writes everything that is in there.
    pub(crate) fn next(&self, write: &WriteTransaction) -> Result<Next, StoreError> {
        let next = match &self.open {
            None => return Ok(Next::Same),
            Some(open) if open.has_failed => Next::End,
            // Nothing is in it.
            Some(open) if open.end == 0 => return Ok(Next::Same),
            Some(open) => Next::Epoch(open.epoch.wrapping_add(1)),
        };
        self.set(write, next)?;
        Ok(next)
    }

    /// Ends the journal with a commit of the database.
    pub(crate) fn end(&self, write: &WriteTransaction) -> Result<Next, StoreError> {
        self.set(write, Next::End)?;
        Ok(Next::End)
    }

    fn set(&self, write: &WriteTransaction, next: Next) -> Result<(), StoreError> {
        let bytes = self.bytes;
        match next {
            Next::Same => Ok(()),
            Next::End => about::set_journal(write, None),
            Next::Epoch(epoch) => about::set_journal(write, Some(JournalRow { epoch, bytes })),
        }
    }

    /// Notes that the commit is done.
    pub(crate) fn is_next(&mut self, next: Next) {
        match (next, &mut self.open) {
            (Next::Epoch(epoch), Some(open)) => {
                open.epoch = epoch;
                open.end = 0;
            }
            (Next::End, open) => {
                self.place = Place::Nowhere;
                if let Some(open) = open.take() {
                    open.file.remove();
                }
            }
            (Next::Same | Next::Epoch(_), _) => {}
        }
    }

    /// Notes that a commit of the database failed. Nobody knows which epoch is on the disk, so no frame may be written.
    pub(crate) fn is_unknown(&mut self) {
        if let Some(open) = &mut self.open {
            open.has_failed = true;
        }
    }

    /// Whether the database may have a row of it.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

/// A number that no other process has chosen. The hash of the standard library has random keys.
#[allow(
    clippy::disallowed_methods,
    reason = "no answer depends on the number of an epoch, but two journals must not have the same"
)]
fn random() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}
