//! [`Turn`]: how much work on profiles shares a commit, and how much may wait.
//!
//! A few bytes can ask for changes of any number of large profiles, and for any number of changes of a
//! small one. Merges that fill a profile from another one read large profiles too. So a commit reads a
//! bounded number of bytes of profiles and carries out a bounded number of changes, and a batch that asks
//! for little goes first: small batches do not wait for large ones.

use crate::error::ProjectError;
use crate::options::Options;
use crate::write::prepare::PreparedBatch;
use crate::write::queue::Job;

/// A batch is small if its updates and merges need at most one such part of what a commit may do.
const SMALL_PART: usize = 64;

/// Work on profiles.
#[derive(Clone, Copy, Default)]
pub(crate) struct Load {
    /// The bytes of the stored profiles.
    pub(crate) bytes: usize,
    /// The members of the updates.
    pub(crate) members: usize,
}

impl Load {
    /// The work of the updates and merges of a batch, as far as it is known.
    pub(crate) fn of(batch: &PreparedBatch) -> Self {
        Self {
            bytes: batch.profile_bytes.unwrap_or(0) + batch.merge_bytes,
            members: batch.members,
        }
    }

    /// The work of the merges of a batch alone.
    pub(crate) fn of_merges(batch: &PreparedBatch) -> Self {
        Self {
            bytes: batch.merge_bytes,
            members: 0,
        }
    }
}

/// The work on profiles in one commit.
pub(crate) struct Turn {
    max: Load,
    max_waiting_bytes: usize,
    /// The work of this commit for small batches.
    small: Load,
    /// The same for the others.
    large: Load,
    /// The bytes of profiles that the taken batches have to read.
    waiting_bytes: usize,
}

/// What a turn has left for a batch.
pub(crate) struct Room<'t> {
    used: &'t mut Load,
    max: Load,
}

impl Turn {
    /// A turn of the batches that share a commit.
    pub(crate) fn new(options: &Options, jobs: &[Job]) -> Self {
        let known = jobs.iter().map(|job| Load::of(&job.batch).bytes);
        Self {
            max: Load {
                bytes: options.max_commit_profile_bytes,
                members: options.max_commit_members,
            },
            max_waiting_bytes: options.max_waiting_profile_bytes,
            small: Load::default(),
            large: Load::default(),
            waiting_bytes: known.sum(),
        }
    }

    /// Takes note of a batch whose updates and merges read these bytes of profiles.
    ///
    /// # Errors
    ///
    /// [`ProjectError::TooMuchWork`] if they are too much.
    pub(crate) fn admit(&mut self, bytes: usize) -> Result<(), ProjectError> {
        let waiting_bytes = self.waiting_bytes;
        let max_bytes = self.max_waiting_bytes;
        let is_small = self.is_small(Load { bytes, members: 0 });
        if !is_small && waiting_bytes.saturating_add(bytes) > max_bytes {
            return Err(ProjectError::TooMuchWork {
                bytes,
                waiting_bytes,
                max_bytes,
            });
        }
        self.waiting_bytes += bytes;
        Ok(())
    }

    /// Whether a batch asks for little.
    pub(crate) fn is_small(&self, batch: Load) -> bool {
        batch.bytes <= self.max.bytes / SMALL_PART && batch.members <= self.max.members / SMALL_PART
    }

    /// The room for a batch.
    pub(crate) fn room(&mut self, batch: Load) -> Room<'_> {
        let is_small = self.is_small(batch);
        let max = self.max;
        let used = match is_small {
            true => &mut self.small,
            false => &mut self.large,
        };
        Room { used, max }
    }
}

impl Room<'_> {
    /// Whether there may be room.
    pub(crate) fn has_any(&self) -> bool {
        self.used.bytes < self.max.bytes && self.used.members < self.max.members
    }

    /// Takes the room to read one profile, if there is any. A profile that is too large for any turn is
    /// read alone.
    pub(crate) fn take_profile(&mut self, bytes: usize) -> bool {
        let used = &mut self.used.bytes;
        let has_room = *used == 0 || used.saturating_add(bytes) <= self.max.bytes;
        if has_room {
            *used += bytes;
        }
        has_room
    }

    /// Takes the room to carry out one update, if there is any. An update that is too large for any turn
    /// is carried out alone. Once an update has no room, no later one has: updates of one profile stay in
    /// order.
    pub(crate) fn take_update(&mut self, members: usize) -> bool {
        let used = &mut self.used.members;
        let has_room = *used == 0 || used.saturating_add(members) <= self.max.members;
        *used = match has_room {
            true => *used + members,
            false => self.max.members,
        };
        has_room
    }
}

#[cfg(test)]
mod tests;
