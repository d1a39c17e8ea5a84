//! [`Writer`]: takes batches from the queue, has them committed, and answers. After a failure it opens
//! the store again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use idmerge_store::StoreError;

use crate::error::ProjectError;
use crate::inner::Inner;
use crate::open::recovery::Recovery;
use crate::open::state::WriterState;
use crate::open::store::Opener;
use crate::privacy::pause::Phase;
use crate::workers::{Next, Task};
use crate::write::batch::Answer;
use crate::write::commit::Committer;
use crate::write::queue::Job;

/// The writer of a project.
pub(crate) struct Writer {
    inner: Arc<Inner>,
    /// `None` from a failure until the store is open again.
    committer: Option<Committer>,
    maintenance: Arc<Task>,
    recovery: Recovery,
}

impl Writer {
    pub(crate) fn new(
        inner: Arc<Inner>,
        state: WriterState,
        open: Opener,
        maintenance: Arc<Task>,
    ) -> Self {
        Self {
            committer: Some(Committer::new(inner.clone(), state, maintenance.clone())),
            inner,
            maintenance,
            recovery: Recovery::new(open),
        }
    }

    /// A turn of the writer: writes the batches that share a commit and answers them, or tries to
    /// recover from a failure. Does not wait for batches.
    pub(crate) fn turn(&mut self) -> Next {
        match self.inner.pause.phase() {
            Phase::Off => {}
            Phase::Wanted => return self.stop_writing(),
            Phase::Held | Phase::Closed => {
                self.answer_all();
                return Next::Wait;
            }
            Phase::Closing => return self.close_store(),
            Phase::Ending => return self.open_store(),
        }
        if self.inner.check().is_err() {
            return self.turn_failed();
        }
        let jobs = self.inner.queue.take(self.inner.options.max_commit_bytes);
        if !jobs.is_empty() {
            self.write_and_answer(jobs);
        }
        if self.inner.queue.has_jobs() || self.inner.check().is_err() {
            Next::Again
        } else {
            Next::Wait
        }
    }

    /// Writes nothing more, for an erasure, but the batches that are begun.
    fn stop_writing(&mut self) -> Next {
        let begun = self.inner.queue.take_begun();
        if !begun.is_empty() {
            self.write_and_answer(begun);
            return Next::Again;
        }
        if self.ends_erasure() {
            return Next::Again;
        }
        self.answer_all();
        self.inner.pause.hold();
        Next::Wait
    }

    /// Ends the erasure if the project has failed, because it must recover first.
    fn ends_erasure(&self) -> bool {
        let has_failed = self.inner.failed().is_some();
        if has_failed {
            self.inner.pause.end();
        }
        has_failed
    }

    /// Closes the store for an erasure, which is then carried out by renaming a file.
    fn close_store(&mut self) -> Next {
        if self.ends_erasure() {
            return Next::Again;
        }
        self.committer = None;
        self.inner.unpublish();
        self.answer_all();
        self.inner.pause.let_go();
        Next::Wait
    }

    /// Goes on after an erasure. The store is still open if the new file could not be written.
    fn open_store(&mut self) -> Next {
        self.answer_all();
        if self.committer.is_none()
            && let Err(error) = unpanicked(|| self.reopen())
        {
            self.recovery.failed(self.inner.clock.now(), 0);
            self.inner.still_fails(error.reason());
        }
        self.inner.pause.end();
        Next::Again
    }

    /// Answers all batches in the queue, none of which is written.
    fn answer_all(&self) {
        while self.inner.queue.has_jobs() {
            self.answer(self.inner.queue.take(usize::MAX), None);
        }
    }

    fn turn_failed(&mut self) -> Next {
        if self.inner.state().is_err() && self.committer.is_some() {
            // The maintenance found the failure.
            self.recovery.failed(self.inner.clock.now(), 0);
            self.committer = None;
        }
        self.answer(self.inner.queue.take(usize::MAX), None);
        match self.recovery.wait(self.inner.clock.now()) {
            Some(time) => Next::After(time),
            None => {
                self.recover();
                Next::Again
            }
        }
    }

    fn write_and_answer(&mut self, mut jobs: Vec<Job>) {
        let Some(committer) = &mut self.committer else {
            return self.answer(jobs, None);
        };
        let synced = committer.synced();
        let written = unpanicked(|| committer.write(&mut jobs));
        let sequence = match &written {
            Ok(sequence) => Some(*sequence),
            // Something after the commit failed, such as making the file shorter.
            Err(_) if committer.synced() > synced => Some(committer.count_synced(&jobs)),
            Err(_) => None,
        };
        if let Err(error) = &written {
            let bytes = jobs.iter().map(|job| job.batch.bytes).sum();
            self.recovery.failed(self.inner.clock.now(), bytes);
            if let Some(committer) = self.committer.take() {
                self.inner.fail(committer.state(), error.reason());
            }
        }
        self.answer(jobs, sequence);
    }

    /// Opens the store again, unless it is open, and shows that it can be written.
    fn recover(&mut self) {
        let recovered = unpanicked(|| self.reopen_and_probe());
        self.recovery
            .attempted(self.inner.clock.now(), recovered.is_ok());
        match recovered {
            Ok(()) => self.inner.recovered(),
            // The reason is still that of the failure.
            Err(ProjectError::Store(StoreError::InUse)) if self.recovery.may_be_closing() => {}
            Err(error) => self.inner.still_fails(error.reason()),
        }
    }

    fn reopen(&mut self) -> Result<(), ProjectError> {
        let Inner {
            settings, options, ..
        } = &*self.inner;
        let state = WriterState::read(self.recovery.open()?, settings, options)?;
        self.inner.load_tasks(&state.shared)?;
        let committer = Committer::new(self.inner.clone(), state, self.maintenance.clone());
        // What is committed can be read, even if the disk is still full.
        self.inner.publish(committer.state());
        self.committer = Some(committer);
        Ok(())
    }

    fn reopen_and_probe(&mut self) -> Result<(), ProjectError> {
        if self.committer.is_none() {
            self.reopen()?;
        }
        let bytes = self.recovery.check_room()?;
        // A commit that fails makes the database unusable, and so does a panic.
        let Some(committer) = self.committer.take() else {
            return Ok(());
        };
        let probed = unpanicked(|| committer.probe(bytes));
        match &probed {
            Ok(()) => self.committer = Some(committer),
            Err(error) => self.inner.fail(committer.state(), error.reason()),
        }
        probed
    }

    /// Answers batches: with this number of the last entry of the log if they are written.
    fn answer(&self, jobs: Vec<Job>, sequence: Option<u64>) {
        let failure = self.inner.check().err();
        let mut unfinished = Vec::new();
        for job in jobs {
            if sequence.is_some() && !job.batch.is_done() {
                unfinished.push(job);
                continue;
            }
            let bytes = job.batch.queue_bytes;
            let answer = match (sequence, job.refused) {
                (Some(_), Some(error)) => Err(error),
                (Some(sequence), None) => Ok(Answer {
                    records: job.batch.answers,
                    sequence,
                }),
                // It is not known which batch failed, so all get the same error.
                (None, _) => Err(refusal(failure.as_ref())),
            };
            self.inner.queue.answer(bytes, job.callback, answer);
        }
        self.inner.queue.put_back(unfinished);
    }
}

fn refusal(failure: Option<&ProjectError>) -> ProjectError {
    let reason = match failure {
        Some(ProjectError::Erasing) => return ProjectError::Erasing,
        Some(ProjectError::Failed { reason }) => reason.clone(),
        _ => "a commit failed".to_owned(),
    };
    ProjectError::Failed { reason }
}

/// Turns a panic into an error.
fn unpanicked<T>(work: impl FnOnce() -> Result<T, ProjectError>) -> Result<T, ProjectError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(ProjectError::Failed {
            reason: "the writer panicked".to_owned(),
        })
    })
}
