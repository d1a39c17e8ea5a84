//! [`Queue`]: the bounded queue of batches that wait for the writer.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::{Condvar, Mutex};

use crate::error::ProjectError;
use crate::options::Options;
use crate::write::batch::Answer;
use crate::write::prepare::PreparedBatch;

/// A batch is small if it takes at most one such part of the queue.
const SMALL_PART: usize = 64;
/// The part of the queue that is kept for small batches.
const KEPT_PART: usize = 4;

/// Called once with the answer to a batch.
pub(crate) type Callback = Box<dyn FnOnce(Result<Answer, ProjectError>) + Send>;

/// A batch in the queue.
pub(crate) struct Job {
    pub(crate) batch: PreparedBatch,
    pub(crate) callback: Callback,
    /// How many erasures had begun before the batch was checked for IDs that are erased.
    pub(crate) erasures: u64,
    /// Why the batch is not taken, if the writer finds out.
    pub(crate) refused: Option<ProjectError>,
}

impl Job {
    /// Whether it shares its commit with no other.
    fn is_alone(&self) -> bool {
        self.batch.alone.is_some()
    }
}

/// Batches that wait for the writer, in the order in which they are written.
///
/// A batch counts against the limits from its reservation until it is answered, not only while it
/// waits.
pub(crate) struct Queue {
    contents: Mutex<Contents>,
    /// Signalled when a closing queue has no batch any more.
    emptied: Condvar,
    max_bytes: usize,
    max_batches: usize,
}

#[derive(Default)]
struct Contents {
    jobs: VecDeque<Job>,
    /// Batches that were taken, and whose updates are not all carried out.
    unfinished: VecDeque<Job>,
    /// Bytes of all batches that are reserved and not answered.
    bytes: usize,
    /// Number of these batches.
    batches: usize,
    stage: Stage,
}

/// How far a queue is closed. Each stage includes those before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    /// No more batches are taken.
    Closing,
    /// No batch may be begun any more, although it was taken.
    Refusing,
    /// Batches that are begun are given up as well.
    Abandoned,
}

impl Contents {
    fn close_to(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
    }
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
            emptied: Condvar::new(),
            max_bytes: options.max_queue_bytes,
            max_batches: options.max_queue_batches,
        }
    }

    /// Reserves room for the text of a batch, before it is prepared.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation<'_>, ProjectError> {
        let mut contents = self.contents.lock();
        if contents.stage >= Stage::Closing {
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
        Ok(Reservation {
            queue: self,
            bytes,
            is_used: false,
        })
    }

    /// Takes the batches that share a commit: at most `max_bytes` if there are several, and none if
    /// there is no batch. All that are [unfinished](Self::put_back) come first.
    pub(crate) fn take(&self, max_bytes: usize) -> Vec<Job> {
        let mut contents = self.contents.lock();
        let mut taken: Vec<Job> = contents.unfinished.drain(..).collect();
        let mut bytes = 0;
        while let Some(job) = contents.jobs.front()
            && (bytes == 0 || bytes + job.batch.bytes <= max_bytes)
            && taken
                .first()
                .is_none_or(|first| !first.is_alone() && !job.is_alone())
        {
            bytes += job.batch.bytes;
            taken.extend(contents.jobs.pop_front());
        }
        taken
    }

    /// Takes the batches that are begun.
    pub(crate) fn take_begun(&self) -> Vec<Job> {
        self.contents.lock().unfinished.drain(..).collect()
    }

    /// Whether a batch waits for the writer.
    pub(crate) fn has_jobs(&self) -> bool {
        let contents = self.contents.lock();
        !contents.jobs.is_empty() || !contents.unfinished.is_empty()
    }

    /// Puts batches back, in this order, whose updates are not all carried out. Refuses them if the queue
    /// is abandoned.
    pub(crate) fn put_back(&self, jobs: Vec<Job>) {
        {
            let mut contents = self.contents.lock();
            if contents.stage < Stage::Abandoned {
                contents.unfinished.extend(jobs);
                return;
            }
        }
        self.answer_closed(jobs);
    }

    /// Whether a batch may still be begun.
    pub(crate) fn may_begin(&self) -> bool {
        self.contents.lock().stage < Stage::Refusing
    }

    /// Whether the updates of batches that were taken may still be carried out.
    pub(crate) fn may_go_on(&self) -> bool {
        self.contents.lock().stage < Stage::Abandoned
    }

    /// Gives back the room of a batch that the writer has taken, and answers it.
    pub(crate) fn answer(
        &self,
        bytes: usize,
        callback: Callback,
        answer: Result<Answer, ProjectError>,
    ) {
        self.release(bytes);
        // A panic in one answer must not keep the other batches from theirs.
        drop(catch_unwind(AssertUnwindSafe(|| callback(answer))));
    }

    /// Answers batches that are not written, because the queue is closed.
    fn answer_closed(&self, jobs: Vec<Job>) {
        for job in jobs {
            let closed = Err(ProjectError::Closed);
            self.answer(job.batch.queue_bytes, job.callback, closed);
        }
    }

    fn release(&self, bytes: usize) {
        let mut contents = self.contents.lock();
        contents.bytes -= bytes;
        contents.batches -= 1;
        if contents.stage >= Stage::Closing && contents.batches == 0 {
            self.emptied.notify_all();
        }
    }

    /// Takes no more batches, and waits until those in the queue are written.
    pub(crate) fn close(&self) {
        let mut contents = self.contents.lock();
        contents.close_to(Stage::Closing);
        while contents.batches > 0 {
            self.emptied.wait(&mut contents);
        }
    }

    /// Takes no more batches, and refuses those in the queue that are not begun.
    pub(crate) fn refuse(&self) {
        let jobs = {
            let mut contents = self.contents.lock();
            contents.close_to(Stage::Refusing);
            contents.jobs.drain(..).collect()
        };
        self.answer_closed(jobs);
    }

    /// Takes no more batches, and refuses those in the queue, also if their updates are carried out in
    /// part.
    pub(crate) fn abandon(&self) {
        let jobs = {
            let mut contents = self.contents.lock();
            contents.close_to(Stage::Abandoned);
            let Contents {
                jobs, unfinished, ..
            } = &mut *contents;
            jobs.drain(..).chain(unfinished.drain(..)).collect()
        };
        self.answer_closed(jobs);
    }

    /// The number of batches that are not answered, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let contents = self.contents.lock();
        (contents.batches, contents.bytes)
    }
}

impl Reservation<'_> {
    /// Reserves more room, as for updates that were parsed. A large batch leaves some room to the small
    /// ones, so that a few large ones do not keep everybody else out.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ProjectError> {
        let max_bytes = self.queue.max_bytes;
        let is_small = self.bytes.saturating_add(bytes) <= max_bytes / SMALL_PART;
        let for_others = if is_small { 0 } else { max_bytes / KEPT_PART };
        let mut contents = self.queue.contents.lock();
        let is_alone = contents.batches == 1;
        if !is_alone && contents.bytes.saturating_add(bytes) > max_bytes - for_others {
            return Err(ProjectError::Full);
        }
        contents.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }

    /// Puts the batch into the queue.
    pub(crate) fn fill(mut self, job: Job) {
        self.is_used = true;
        let mut contents = self.queue.contents.lock();
        contents.jobs.push_back(job);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.queue.release(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue::new(&Options {
            max_queue_bytes: 6_400,
            ..Options::default()
        })
    }

    #[test]
    fn a_large_batch_leaves_a_quarter_to_the_small_ones() {
        let queue = queue();
        let _first = queue.reserve(1).unwrap();
        let mut large = queue.reserve(1).unwrap();
        // 6,400 / 4 bytes are left to others.
        assert!(large.grow(4_799).is_err());
        large.grow(4_798).unwrap();
        assert_eq!(queue.size(), (2, 4_800));
        assert!(large.grow(1).is_err());

        // A batch of a 64th part is small, with its text.
        let mut small = queue.reserve(1).unwrap();
        assert!(small.grow(100).is_err());
        small.grow(99).unwrap();
        assert_eq!(queue.size(), (3, 4_900));
        drop((large, small));
        assert_eq!(queue.size(), (1, 1));
    }

    #[test]
    fn small_batches_fill_the_queue_and_one_batch_has_all_of_it() {
        let queue = queue();
        let mut alone = queue.reserve(1).unwrap();
        alone.grow(10_000).unwrap();
        assert!(matches!(queue.reserve(1), Err(ProjectError::Full)));
        drop(alone);
        let small: Vec<_> = (0..64)
            .map(|_| {
                let mut small = queue.reserve(1).unwrap();
                small.grow(99).unwrap();
                small
            })
            .collect();
        assert_eq!(queue.size(), (64, 6_400));
        assert!(matches!(queue.reserve(1), Err(ProjectError::Full)));
        drop(small);
        assert_eq!(queue.size(), (0, 0));
    }
}
