//! [`StateCopy`]: a snapshot that is written while claims go on, and its image.

use std::io::{self, Read, Seek, Write};
use std::sync::Arc;

use idmerge_core::IdentityResolver;
use redb::{Database, ReadTransaction};

use super::Durable;
use super::turns::Turns;
use crate::error::StoreError;
use crate::log::Log;
use crate::log::snapshots::{self, image};
use crate::state::State;
use crate::state::overlay::Fresh;

/// Where the bytes of a snapshot are before they are in the store: a temporary file, or memory. It is empty at
/// first.
pub trait Scratch: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Scratch for T {}

const BUFFER_BYTES: usize = 256 << 10;

/// The state of a store at one moment, which is not in the store yet. The file of the store is closed only when
/// this is dropped too.
pub struct StateCopy<R> {
    database: Arc<Database>,
    turns: Arc<Turns>,
    /// The committed log of that moment.
    read: ReadTransaction,
    fresh: Fresh<R>,
    sequence: u64,
    snapshots_kept: usize,
    image_from_bytes: u64,
    scratch: Box<dyn Scratch>,
    /// Whether the bytes of the engine are missing, because there are parts: the log is folded for them.
    needs_fold: bool,
}

impl<R: IdentityResolver> Durable<R> {
    /// Copies the state, to be written as a snapshot by [`StateCopy::write`] when nothing holds the store any
    /// more. It writes what is in the [journal](crate::Options::journal_bytes) to the database; apart from that only
    /// `scratch` may write to a disk. `None` if there is a snapshot of this state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Uncommitted`] if some claims are not committed, [`StoreError::Scratch`] if `scratch` fails, and
    /// if the disk fails.
    pub fn copy_state(
        &self,
        mut scratch: Box<dyn Scratch>,
    ) -> Result<Option<StateCopy<R>>, StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        let sequence = {
            let tail = self.commits.tail();
            if tail.committed() != tail.sequence() {
                return Err(StoreError::Uncommitted);
            }
            tail.committed()
        };
        if self.snapshot_sequence()? == sequence {
            return Ok(None);
        }
        let whole = self.state.overlay.whole();
        let copy = |scratch: &mut dyn Scratch| {
            // Claims wait, and a call of the system for each row of a few bytes would take long.
            let mut buffered = io::BufWriter::with_capacity(BUFFER_BYTES, scratch);
            self.seen_claims.write(&mut buffered)?;
            if let Some(engine) = whole {
                engine.write_snapshot(&mut buffered)?;
            }
            buffered.flush()
        };
        copy(&mut scratch).map_err(StoreError::Scratch)?;
        Ok(Some(StateCopy {
            needs_fold: whole.is_none(),
            database: self.database.clone(),
            turns: self.turns.clone(),
            read: self.commits.begin_read()?,
            fresh: self.state.overlay.fresh.clone(),
            sequence,
            snapshots_kept: self.options.snapshots_kept,
            image_from_bytes: self.options.image_from_bytes,
            scratch,
        }))
    }

    /// Writes the image of the latest snapshot into the store, so that the next opening takes a fraction of the time.
    /// An image is a cache: without one the snapshot is read, and both give the same state. Commits and claims can
    /// come between. Returns whether there is an image: there is none of a [small](crate::Options::image_from_bytes)
    /// snapshot, and not every engine has images.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn image(&self) -> Result<bool, StoreError> {
        self.image_while(&|| true)
    }

    /// As [`image`](Self::image), but writes none if `may_go_on` returns `false` meanwhile. It is called for every
    /// 512 KiB.
    ///
    /// # Errors
    ///
    /// Those of [`image`](Self::image).
    pub fn image_while(&self, may_go_on: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        let from_bytes = self.options.image_from_bytes;
        let engine = self.state.overlay.any();
        image::write_in_turns(&self.database, &self.turns, engine, from_bytes, may_go_on)
    }
}

impl<R: IdentityResolver> StateCopy<R> {
    /// Writes the snapshot into the store, 1 MiB at a time, and then its [image](Durable::image): commits can come
    /// between. Stops once `may_go_on` returns `false`, and then there is no snapshot, or no image of it. Returns whether
    /// there is a snapshot. Two copies are written one after the other.
    ///
    /// # Errors
    ///
    /// [`StoreError::Scratch`] if `scratch` fails: there is no snapshot then, and the store is as before. And if the
    /// disk fails.
    pub fn write(mut self, may_go_on: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        if self.needs_fold {
            let log = Log::committed(&self.read, self.sequence);
            let folded = State::fold(self.fresh.clone(), log)?;
            let written = folded.overlay.any().write_snapshot(&mut self.scratch);
            written.map_err(StoreError::Scratch)?;
        }
        drop(self.read);
        self.scratch.rewind().map_err(StoreError::Scratch)?;
        let is_written = snapshots::write_in_turns(
            &self.database,
            &self.turns,
            (self.sequence, self.snapshots_kept),
            &mut self.scratch,
            may_go_on,
        )?;
        if is_written {
            let engine = (self.fresh)();
            let from_bytes = self.image_from_bytes;
            image::write_in_turns(&self.database, &self.turns, &engine, from_bytes, may_go_on)?;
        }
        Ok(is_written)
    }
}

impl<R> std::fmt::Debug for StateCopy<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateCopy")
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// Memory as a [`Scratch`].
pub fn in_memory() -> Box<dyn Scratch> {
    Box::new(io::Cursor::new(Vec::new()))
}
