//! [`Queue`]: the bounded queue of batches that wait for the writer.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use crate::error::ProjectError;
use crate::options::Options;
use crate::write::batch::Answer;
use crate::write::prepare::PreparedBatch;

/// Called once with the answer to a batch.
pub(crate) type Callback = Box<dyn FnOnce(Result<Answer, ProjectError>) + Send>;

/// A batch in the queue.
pub(crate) struct Job {
    pub(crate) batch: PreparedBatch,
    pub(crate) callback: Callback,
}

/// Batches that wait for the writer, in the order in which they are written.
///
/// A batch counts against the limits from its reservation until it is answered, not only while it
/// waits.
pub(crate) struct Queue {
    contents: Mutex<Contents>,
    changed: Condvar,
    max_bytes: usize,
    max_batches: usize,
}

#[derive(Default)]
struct Contents {
    jobs: VecDeque<Job>,
    /// Bytes of all batches that are reserved and not answered.
    bytes: usize,
    /// Number of these batches.
    batches: usize,
    /// Reservations without a job yet.
    reserved: usize,
    is_closing: bool,
    is_abandoned: bool,
}

impl Contents {
    fn has_ended(&self) -> bool {
        let is_empty = self.jobs.is_empty() && self.reserved == 0;
        self.is_abandoned || self.is_closing && is_empty
    }
}

/// What the writer takes from the queue.
pub(crate) enum Taken {
    /// Batches that share a commit.
    Jobs(Vec<Job>),
    /// There is no batch now.
    Nothing,
    /// There is no batch and there will be none.
    Ended,
}

/// Room in the queue for a batch that is being prepared. Dropping it gives the room back.
pub(crate) struct Reservation<'q> {
    queue: &'q Queue,
    bytes: usize,
    is_used: bool,
}

impl Queue {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            contents: Mutex::default(),
            changed: Condvar::new(),
            max_bytes: options.max_queue_bytes,
            max_batches: options.max_queue_batches,
        }
    }

    /// Reserves room for a batch, so that no batch is prepared and then turned away.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation<'_>, ProjectError> {
        let mut contents = self.contents.lock();
        if contents.is_closing {
            return Err(ProjectError::Closed);
        }
        let is_empty = contents.batches == 0;
        let fits = contents.batches < self.max_batches
            && contents.bytes.saturating_add(bytes) <= self.max_bytes;
        if !is_empty && !fits {
            return Err(ProjectError::Full);
        }
        contents.bytes += bytes;
        contents.batches += 1;
        contents.reserved += 1;
        Ok(Reservation {
            queue: self,
            bytes,
            is_used: false,
        })
    }

    /// Takes the batches that share a commit: at least one, and at most `max_bytes` if there are
    /// several.
    pub(crate) fn take(&self, max_bytes: usize) -> Taken {
        let mut contents = self.contents.lock();
        if contents.has_ended() {
            return Taken::Ended;
        }
        if contents.jobs.is_empty() {
            return Taken::Nothing;
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(job) = contents.jobs.front()
            && (taken.is_empty() || bytes + job.batch.bytes <= max_bytes)
        {
            bytes += job.batch.bytes;
            taken.extend(contents.jobs.pop_front());
        }
        Taken::Jobs(taken)
    }

    /// Waits until there is a batch, or the end.
    pub(crate) fn wait(&self) {
        let mut contents = self.contents.lock();
        while contents.jobs.is_empty() && !contents.has_ended() {
            self.changed.wait(&mut contents);
        }
    }

    /// Gives back the room of a batch that is answered.
    pub(crate) fn release(&self, bytes: usize) {
        let mut contents = self.contents.lock();
        contents.bytes -= bytes;
        contents.batches -= 1;
    }

    /// Takes no more batches. Those in the queue are still written.
    pub(crate) fn close(&self) {
        self.contents.lock().is_closing = true;
        self.changed.notify_all();
    }

    /// Takes no more batches, and returns those in the queue unwritten.
    pub(crate) fn abandon(&self) -> Vec<Job> {
        let mut contents = self.contents.lock();
        contents.is_closing = true;
        contents.is_abandoned = true;
        self.changed.notify_all();
        contents.jobs.drain(..).collect()
    }

    /// The number of batches that are not answered, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let contents = self.contents.lock();
        (contents.batches, contents.bytes)
    }
}

impl Reservation<'_> {
    /// Puts the batch into the queue.
    pub(crate) fn fill(mut self, job: Job) {
        self.is_used = true;
        let mut contents = self.queue.contents.lock();
        contents.reserved -= 1;
        contents.jobs.push_back(job);
        drop(contents);
        self.queue.changed.notify_all();
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            let mut contents = self.queue.contents.lock();
            contents.reserved -= 1;
            contents.bytes -= self.bytes;
            contents.batches -= 1;
            drop(contents);
            self.queue.changed.notify_all();
        }
    }
}
