//! The writer thread: takes batches from the queue, applies and commits them, and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use idmerge_disk::{Dedup, LazyRuns};
use idmerge_store::redb::ReadTransaction;

use crate::archive::appender::Appender;
use crate::archive::block::StoredEvent;
use crate::archive::directory::BlockHead;
use crate::error::ProjectError;
use crate::figures::Figures;
use crate::inner::Inner;
use crate::write::batch::{Answer, ClaimAnswer, RecordAnswer, RecordError};
use crate::write::claims::{ClaimResult, Claims};
use crate::write::prepare::{PreparedBatch, PreparedEvent};
use crate::write::profiles::ProfileChanges;
use crate::write::queue::Job;

/// The state of the writer thread.
pub(crate) struct Writer {
    pub(crate) inner: Arc<Inner>,
    pub(crate) appender: Appender,
    pub(crate) dedup: Dedup,
    pub(crate) profiles: ProfileChanges,
    /// Counters of what is applied and not committed.
    pub(crate) figures: Figures,
}

impl Writer {
    /// The body of the writer thread.
    pub(crate) fn run(mut self) {
        let inner = self.inner.clone();
        while let Some(mut jobs) = inner.queue.take(inner.options.max_commit_bytes) {
            let written = inner.check().and_then(|()| {
                catch_unwind(AssertUnwindSafe(|| self.write(&mut jobs)))
                    .unwrap_or_else(|_| Err(failed("the writer panicked".to_owned())))
            });
            if let Err(error) = &written {
                let reason = with_sources(error);
                inner.failure.lock().get_or_insert(reason);
            }
            for job in jobs {
                inner.queue.release(job.batch.bytes);
                let answer = match &written {
                    Ok(sequence) => Ok(Answer {
                        records: job.batch.answers,
                        sequence: *sequence,
                    }),
                    // We do not know which batch failed, so all get the same error.
                    Err(error) => Err(inner
                        .check()
                        .err()
                        .unwrap_or_else(|| failed(error.to_string()))),
                };
                (job.callback)(answer);
            }
        }
    }

    /// Applies and commits batches. If this fails, nothing of them is committed. Returns the number
    /// of the last entry of the log.
    fn write(&mut self, jobs: &mut [Job]) -> Result<u64, ProjectError> {
        let read = self.inner.store.read().begin_read()?;
        for job in &mut *jobs {
            self.apply(&mut job.batch, &read)?;
        }
        drop(read);
        let sequence = self.commit()?;
        let mut figures = std::mem::take(&mut self.figures);
        for answer in jobs.iter().flat_map(|job| &job.batch.answers) {
            count(answer, &mut figures);
        }
        self.inner.counters.lock().add(figures);
        Ok(sequence)
    }

    fn apply(
        &mut self,
        batch: &mut PreparedBatch,
        read: &ReadTransaction,
    ) -> Result<(), ProjectError> {
        let mut answers = std::mem::take(&mut batch.answers);
        let new = self.new_events(batch, &mut answers, read)?;
        let claims = Claims {
            inner: &self.inner,
            profiles: &mut self.profiles,
            read,
            batch,
        };
        let results = claims.apply(&new)?;
        for (event, result) in new.iter().zip(&results) {
            answers[event.index] = RecordAnswer::Stored(result.answer);
            self.append(batch, event, result)?;
        }
        self.figures.events += new.len() as u64;
        self.apply_updates(batch, &mut answers, read)?;
        batch.answers = answers;
        Ok(())
    }

    /// The events that are not repeated. The others are answered here.
    fn new_events<'b>(
        &mut self,
        batch: &'b PreparedBatch,
        answers: &mut [RecordAnswer],
        read: &ReadTransaction,
    ) -> Result<Vec<&'b PreparedEvent>, ProjectError> {
        let mut runs = LazyRuns::new(read);
        let mut new = Vec::with_capacity(batch.events.len());
        for event in &batch.events {
            let is_repeated = match event.facts.fingerprint {
                Some(fingerprint) => {
                    let time_ms = event.fingerprint_ms;
                    self.dedup.is_repeated(fingerprint, time_ms, &mut runs)?
                }
                None => false,
            };
            if is_repeated {
                answers[event.index] = RecordAnswer::Repeated;
            } else {
                new.push(event);
            }
        }
        Ok(new)
    }

    fn append(
        &mut self,
        batch: &PreparedBatch,
        event: &PreparedEvent,
        result: &ClaimResult,
    ) -> Result<(), ProjectError> {
        let rejection = result.rejection.as_ref();
        let stored = StoredEvent {
            // The appender numbers events.
            number: 0,
            time_ms: event.time_ms,
            received_ms: batch.received_ms,
            source: batch.source,
            failure: rejection.map(|(code, description)| [*code, description.as_str()]),
            text: &batch.text[event.text.clone()],
        };
        self.appender.push(&stored, event.facts.user_key)
    }

    /// Profiles are updated after the claims of the batch.
    fn apply_updates(
        &mut self,
        batch: &PreparedBatch,
        answers: &mut [RecordAnswer],
        read: &ReadTransaction,
    ) -> Result<(), ProjectError> {
        if batch.updates.is_empty() {
            return Ok(());
        }
        let store = self.inner.store.read();
        let Inner {
            settings, options, ..
        } = &*self.inner;
        let limits = &options.profile_limits;
        for (index, update) in &batch.updates {
            let profiles = &mut self.profiles;
            match profiles.update(update, settings, &*store, read, limits)? {
                Ok(()) => self.figures.updates += 1,
                Err(error) => answers[*index] = RecordAnswer::Refused(Box::new(error)),
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, ProjectError> {
        let inner = self.inner.clone();
        let store = inner.store.read();
        let has_events = self.figures.events > 0;
        if !has_events && !self.profiles.has_changes() {
            return Ok(store.commit()?);
        }
        let started = now();
        let is_index_due = has_events && self.appender.unindexed() >= inner.options.index_events;
        let mut heads: Vec<BlockHead> = Vec::new();
        let sequence = store.commit_with::<ProjectError>(|write| {
            if has_events {
                heads = self.appender.write(write)?;
                let last = heads.last().map_or(0, |head| head.last);
                if is_index_due {
                    self.appender.write_run(write)?;
                    self.dedup.write_run(write, last)?;
                } else {
                    self.dedup.write(write, last)?;
                }
            }
            if self.profiles.has_changes() {
                self.profiles.write(write)?;
            }
            Ok(())
        })?;
        drop(store);
        if has_events {
            let mut directory = inner.directory.write();
            directory.add_blocks(&heads);
            if is_index_due {
                directory.clear_unindexed();
            } else {
                directory.add_unindexed(self.appender.new_pairs());
            }
        }
        inner.counters.lock().add_commit(started.elapsed());
        if is_index_due {
            inner.maintenance.request();
        }
        Ok(sequence)
    }
}

fn count(answer: &RecordAnswer, figures: &mut Figures) {
    match answer {
        RecordAnswer::Stored(ClaimAnswer::Merged) => figures.merges += 1,
        RecordAnswer::Stored(ClaimAnswer::Rejected(code)) => {
            *figures.rejected.entry(code).or_default() += 1;
        }
        RecordAnswer::Stored(_) => {}
        RecordAnswer::Repeated => figures.repeated += 1,
        RecordAnswer::Refused(error) => {
            let rule = match &**error {
                RecordError::Update(_) => "update",
                error => error.rule(),
            };
            *figures.refused.entry(rule).or_default() += 1;
        }
    }
}

fn failed(reason: String) -> ProjectError {
    ProjectError::Failed { reason }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "the duration of a commit is measured, and no answer depends on it"
)]
fn now() -> Instant {
    Instant::now()
}
