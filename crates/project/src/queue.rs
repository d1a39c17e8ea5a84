//! The bounded queue before the writer.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::prepare::Prepared;
use crate::{Answer, Options, ProjectError};

/// What is called when a batch is safe, or cannot be.
pub(crate) type Callback = Box<dyn FnOnce(Result<Answer, ProjectError>) + Send>;

/// A batch that waits.
pub(crate) struct Job {
    pub(crate) batch: Prepared,
    pub(crate) callback: Callback,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Of everything that has a place and is not answered.
    bytes: usize,
    batches: usize,
    /// How many have a place and are not in `jobs` yet.
    expected: usize,
    is_closing: bool,
    is_abandoned: bool,
}

/// Batches that wait for the writer, in the order in which they are written.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    bytes_max: usize,
    batches_max: usize,
}

/// A place in the queue for a batch that is being prepared.
pub(crate) struct Place<'q> {
    queue: &'q Queue,
    bytes: usize,
    is_taken: bool,
}

impl Queue {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            bytes_max: options.queue_bytes_max,
            batches_max: options.queue_batches_max,
        }
    }

    /// Takes a place for a batch with so many bytes, so that nothing is prepared in vain.
    pub(crate) fn place(&self, bytes: usize) -> Result<Place<'_>, ProjectError> {
        let mut state = self.state.lock();
        if state.is_closing {
            return Err(ProjectError::Closed);
        }
        let is_alone = state.batches == 0;
        let fits =
            state.batches < self.batches_max && state.bytes.saturating_add(bytes) <= self.bytes_max;
        if !is_alone && !fits {
            return Err(ProjectError::Full);
        }
        state.bytes += bytes;
        state.batches += 1;
        state.expected += 1;
        Ok(Place {
            queue: self,
            bytes,
            is_taken: false,
        })
    }

    /// Waits for something to write, and takes as much as shares a commit. `None`: there is nothing
    /// left and nothing more comes.
    pub(crate) fn take(&self, bytes_max: usize) -> Option<Vec<Job>> {
        let mut state = self.state.lock();
        loop {
            if state.is_abandoned {
                return None;
            }
            if !state.jobs.is_empty() {
                break;
            }
            if state.is_closing && state.expected == 0 {
                return None;
            }
            self.changed.wait(&mut state);
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(job) = state.jobs.front()
            && (taken.is_empty() || bytes + job.batch.bytes <= bytes_max)
        {
            bytes += job.batch.bytes;
            taken.extend(state.jobs.pop_front());
        }
        Some(taken)
    }

    /// Gives the place of a batch back, once it is answered.
    pub(crate) fn answered(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.bytes -= bytes;
        state.batches -= 1;
    }

    /// Takes nothing more; what waits is still written.
    pub(crate) fn close(&self) {
        self.state.lock().is_closing = true;
        self.changed.notify_all();
    }

    /// Takes nothing more, and what waits is not written.
    pub(crate) fn abandon(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        state.is_closing = true;
        state.is_abandoned = true;
        self.changed.notify_all();
        state.jobs.drain(..).collect()
    }

    /// How many batches wait, and how many bytes they have.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.batches, state.bytes)
    }
}

impl Place<'_> {
    /// Puts the batch into its place.
    pub(crate) fn fill(mut self, job: Job) {
        self.is_taken = true;
        let mut state = self.queue.state.lock();
        state.expected -= 1;
        state.jobs.push_back(job);
        drop(state);
        self.queue.changed.notify_all();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_taken {
            let mut state = self.queue.state.lock();
            state.expected -= 1;
            state.bytes -= self.bytes;
            state.batches -= 1;
            drop(state);
            self.queue.changed.notify_all();
        }
    }
}
