//! [`Turn`]: how much work on profiles shares a commit, and how much may wait.
//!
//! A few bytes can ask for changes of any number of large profiles. So a commit reads a bounded number
//! of bytes of profiles, and a batch that reads few goes first: nobody waits for the large profiles of
//! others.

use crate::error::ProjectError;
use crate::options::Options;
use crate::write::queue::Job;

/// A batch is small if its updates read at most one such part of what a commit may read.
const SMALL_PART: usize = 64;

/// The work on profiles in one commit.
pub(crate) struct Turn {
    max_bytes: usize,
    max_waiting_bytes: usize,
    /// The bytes of profiles that this commit reads for small batches.
    small_bytes: usize,
    /// The same for the others.
    large_bytes: usize,
    /// The bytes of profiles that the taken batches have to read.
    waiting_bytes: usize,
}

impl Turn {
    /// A turn of the batches that share a commit.
    pub(crate) fn new(options: &Options, jobs: &[Job]) -> Self {
        let known = jobs.iter().filter_map(|job| job.batch.profile_bytes);
        Self {
            max_bytes: options.max_commit_profile_bytes,
            max_waiting_bytes: options.max_waiting_profile_bytes,
            small_bytes: 0,
            large_bytes: 0,
            waiting_bytes: known.sum(),
        }
    }

    /// Takes note of a batch whose updates read these bytes of profiles.
    ///
    /// # Errors
    ///
    /// [`ProjectError::TooMuchWork`] if they are too much.
    pub(crate) fn admit(&mut self, bytes: usize) -> Result<(), ProjectError> {
        let waiting_bytes = self.waiting_bytes;
        let max_bytes = self.max_waiting_bytes;
        if !self.is_small(Some(bytes)) && waiting_bytes.saturating_add(bytes) > max_bytes {
            return Err(ProjectError::TooMuchWork {
                bytes,
                waiting_bytes,
                max_bytes,
            });
        }
        self.waiting_bytes += bytes;
        Ok(())
    }

    /// Whether the updates of a batch read few bytes.
    pub(crate) fn is_small(&self, batch_bytes: Option<usize>) -> bool {
        batch_bytes.unwrap_or(0) <= self.max_bytes / SMALL_PART
    }

    /// Whether there may be room for a profile of a batch.
    pub(crate) fn has_room(&mut self, batch_bytes: Option<usize>) -> bool {
        let max_bytes = self.max_bytes;
        *self.bytes_of(batch_bytes) < max_bytes
    }

    /// Takes the room for one profile of a batch, if there is any. A profile that is too large for any
    /// turn is read alone.
    pub(crate) fn take(&mut self, batch_bytes: Option<usize>, profile_bytes: usize) -> bool {
        let max_bytes = self.max_bytes;
        let bytes = self.bytes_of(batch_bytes);
        let has_room = *bytes == 0 || bytes.saturating_add(profile_bytes) <= max_bytes;
        if has_room {
            *bytes += profile_bytes;
        }
        has_room
    }

    fn bytes_of(&mut self, batch_bytes: Option<usize>) -> &mut usize {
        if self.is_small(batch_bytes) {
            &mut self.small_bytes
        } else {
            &mut self.large_bytes
        }
    }
}
