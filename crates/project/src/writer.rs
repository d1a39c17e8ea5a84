//! The one thread that writes: takes what waits, weighs it, commits it, and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use idmerge_core::{Claim, DistinctId, IdentityResolver, Outcome, RuleBook};
use idmerge_store::redb::ReadTransaction;
use idmerge_store::{Cause, Durable};

use crate::archive::{Appender, BlockHead, Stored};
use crate::batch::{Answer, ClaimAnswer, RecordAnswer, RecordError};
use crate::prepare::{Prepared, PreparedEvent};
use crate::profiles::{Merge, ProfileChanges};
use crate::project::Shared;
use crate::queue::Job;
use crate::seen::{LazyRuns, Seen};
use crate::settings::Engine;
use crate::{Figures, ProjectError};

/// From so much of what is allowed on a cluster is nearly full.
pub(crate) const NEAR_CAP_PERCENT: usize = 90;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) appender: Appender,
    pub(crate) seen: Seen,
    pub(crate) profiles: ProfileChanges,
    /// Of what is not committed.
    pub(crate) figures: Figures,
}

/// Why a claim was rejected: the code, and what it says.
type Failure = Option<(&'static str, String)>;

impl Writer {
    pub(crate) fn run(mut self) {
        let shared = self.shared.clone();
        while let Some(mut jobs) = shared.queue.take(shared.options.commit_bytes_max) {
            let written = shared.check().and_then(|()| {
                catch_unwind(AssertUnwindSafe(|| self.write(&mut jobs)))
                    .unwrap_or_else(|_| Err(failed("a defect of the program".to_owned())))
            });
            if let Err(error) = &written {
                let reason = with_sources(error);
                shared.failure.lock().get_or_insert(reason);
            }
            for job in jobs {
                shared.queue.answered(job.batch.bytes);
                let answer = match &written {
                    Ok(sequence) => Ok(Answer {
                        records: job.batch.answers,
                        sequence: *sequence,
                    }),
                    // What failed is not to be known of every batch.
                    Err(error) => Err(shared
                        .check()
                        .err()
                        .unwrap_or_else(|| failed(error.to_string()))),
                };
                (job.callback)(answer);
            }
        }
    }

    /// Weighs and commits some batches. Whatever fails, nothing of them is committed.
    fn write(&mut self, jobs: &mut [Job]) -> Result<u64, ProjectError> {
        let read = self.shared.store.read().begin_read()?;
        for job in &mut *jobs {
            self.weigh(&mut job.batch, &read)?;
        }
        drop(read);
        let sequence = self.commit()?;
        let mut figures = std::mem::take(&mut self.figures);
        for answer in jobs.iter().flat_map(|job| &job.batch.answers) {
            count(answer, &mut figures);
        }
        self.shared.figures.lock().add(figures);
        Ok(sequence)
    }

    fn weigh(&mut self, batch: &mut Prepared, read: &ReadTransaction) -> Result<(), ProjectError> {
        let mut answers = std::mem::take(&mut batch.answers);
        let mut runs = LazyRuns::new(read);
        let mut new = Vec::with_capacity(batch.events.len());
        for event in &batch.events {
            let is_repeated = match event.print {
                Some(print) => self.seen.is_repeated(print, event.print_ms, &mut runs)?,
                None => false,
            };
            if is_repeated {
                answers[event.at] = RecordAnswer::Repeated;
            } else {
                new.push(event);
            }
        }
        let failures = match self.shared.settings.rule_book() {
            RuleBook::Simplified => self.weigh_links(batch, &new, &mut answers, read)?,
            RuleBook::Original => self.weigh_claims(batch, &new, &mut answers, read)?,
        };
        for (event, failure) in new.iter().zip(failures) {
            self.keep(batch, event, failure)?;
        }
        if !batch.updates.is_empty() {
            let store = self.shared.store.read();
            let limits = &self.shared.options.profile_limits;
            for (at, update) in &batch.updates {
                match self.profiles.update(update, &*store, read, limits)? {
                    Ok(()) => self.figures.updates += 1,
                    Err(error) => answers[*at] = RecordAnswer::Refused(Box::new(error)),
                }
            }
        }
        self.figures.events += new.len() as u64;
        batch.answers = answers;
        Ok(())
    }

    fn keep(
        &mut self,
        batch: &Prepared,
        event: &PreparedEvent,
        failure: Failure,
    ) -> Result<(), ProjectError> {
        let text = &batch.text[event.text.clone()];
        let failure = failure.as_ref();
        let stored = Stored {
            number: 0,
            time_ms: event.time_ms,
            received_ms: batch.received_ms,
            source: batch.source,
            failure: failure.map(|(reason, description)| [*reason, description.as_str()]),
            text,
        };
        self.appender.push(&stored, event.user_key)
    }

    /// In Simplified all claims of a batch are weighed together. A device has a profile of its own
    /// until it is linked.
    fn weigh_links(
        &mut self,
        batch: &Prepared,
        events: &[&PreparedEvent],
        answers: &mut [RecordAnswer],
        read: &ReadTransaction,
    ) -> Result<Vec<Failure>, ProjectError> {
        let mut failures = vec![None; events.len()];
        let (mut claims, mut causes, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (place, event) in events.iter().enumerate() {
            answers[event.at] = RecordAnswer::Stored(event.unweighed);
            if let Some(claim) = batch.claim(event) {
                claims.push(claim);
                causes.push(cause(batch, event));
                places.push(place);
            }
        }
        if claims.is_empty() {
            return Ok(failures);
        }
        let mut links = Vec::new();
        let mut weighed = 0;
        self.shared
            .store
            .write()
            .apply_batch_caused(&claims, &causes, &mut |outcome| {
                let place = places[weighed];
                let (answer, failure) = answered(outcome);
                if answer == ClaimAnswer::Merged {
                    links.push(claims[weighed]);
                }
                answers[events[place].at] = RecordAnswer::Stored(answer);
                failures[place] = failure;
                weighed += 1;
            })?;
        if self.profiles.is_any() {
            for link in links {
                if let Claim::Link { device, user } = link {
                    let [device, user] = [DistinctId::device(device), DistinctId::plain(user)];
                    let [device, user] = [device, user].map(|id| id.to_string());
                    let merge = Merge {
                        before: [&device, &user],
                        after: &user,
                        named: [&device, &user],
                    };
                    self.profiles.merged(RuleBook::Simplified, &merge, read)?;
                }
            }
        }
        Ok(failures)
    }

    /// In Original claims are few, and each is weighed alone, since it is wanted which ID was
    /// canonical before.
    fn weigh_claims(
        &mut self,
        batch: &Prepared,
        events: &[&PreparedEvent],
        answers: &mut [RecordAnswer],
        read: &ReadTransaction,
    ) -> Result<Vec<Failure>, ProjectError> {
        let mut failures = Vec::with_capacity(events.len());
        for event in events {
            let Some(claim) = batch.claim(event) else {
                answers[event.at] = RecordAnswer::Stored(event.unweighed);
                failures.push(None);
                continue;
            };
            let (answer, failure) = self.weigh_claim(claim, cause(batch, event), read)?;
            answers[event.at] = RecordAnswer::Stored(answer);
            failures.push(failure);
        }
        Ok(failures)
    }

    fn weigh_claim(
        &mut self,
        claim: Claim<'_>,
        cause: Cause<'_>,
        read: &ReadTransaction,
    ) -> Result<(ClaimAnswer, Failure), ProjectError> {
        let shared = self.shared.clone();
        let mut store = shared.store.write();
        let named = match claim {
            Claim::Identify { identified, anon } => [identified, anon],
            Claim::Alias { distinct_id, alias } => [distinct_id, alias],
            Claim::Merge { first, second } => [first, second],
            _ => return Ok(answered(store.apply_caused(claim, cause)?)),
        }
        .map(DistinctId::plain);
        let before = named.map(|id| store.resolve(id).to_string());
        let (answer, failure) = answered(store.apply_caused(claim, cause)?);
        if !matches!(answer, ClaimAnswer::Merged | ClaimAnswer::AlreadyMerged) {
            return Ok((answer, failure));
        }
        let after = store.resolve(named[0]).to_string();
        if answer == ClaimAnswer::Merged || before[0] != after {
            note_near_cap(&shared, &store, named[0], &before, &after);
        }
        drop(store);
        let named = named.map(|id| id.to_string());
        let merge = Merge {
            before: before.each_ref().map(String::as_str),
            after: &after,
            named: named.each_ref().map(String::as_str),
        };
        self.profiles.merged(RuleBook::Original, &merge, read)?;
        Ok((answer, failure))
    }

    fn commit(&mut self) -> Result<u64, ProjectError> {
        let shared = self.shared.clone();
        let store = shared.store.read();
        let is_event = self.figures.events > 0;
        if !is_event && !self.profiles.is_changed() {
            return Ok(store.commit()?);
        }
        let started = now();
        let is_run = is_event && self.appender.unindexed() >= shared.options.index_events;
        let mut heads: Vec<BlockHead> = Vec::new();
        let sequence = store.commit_with::<ProjectError>(|write| {
            if is_event {
                heads = self.appender.write(write)?;
                let last = heads.last().map_or(0, |head| head.last);
                if is_run {
                    self.appender.write_run(write)?;
                    self.seen.write_run(write, last)?;
                } else {
                    self.seen.write(write, last)?;
                }
            }
            if self.profiles.is_changed() {
                self.profiles.write(write)?;
            }
            Ok(())
        })?;
        drop(store);
        if is_event {
            let mut directory = shared.directory.write();
            directory.add_blocks(&heads);
            if is_run {
                directory.forget_recent();
            } else {
                directory.add_recent(self.appender.new_pairs());
            }
        }
        shared.figures.lock().add_commit(started.elapsed());
        if is_run {
            shared.bell.ring();
        }
        Ok(sequence)
    }
}

/// What made a claim.
fn cause<'b>(batch: &Prepared, event: &'b PreparedEvent) -> Cause<'b> {
    Cause {
        insert_id: event.insert_id.as_deref(),
        time_ms: Some(event.time_ms),
        source: Some(batch.source),
    }
}

fn answered(outcome: Outcome<'_>) -> (ClaimAnswer, Failure) {
    match outcome {
        Outcome::Merged => (ClaimAnswer::Merged, None),
        Outcome::AlreadyMerged => (ClaimAnswer::AlreadyMerged, None),
        Outcome::Rejected(rejection) => {
            let code = rejection.code();
            (
                ClaimAnswer::Rejected(code),
                Some((code, rejection.to_string())),
            )
        }
        _ => (ClaimAnswer::None, None),
    }
}

fn note_near_cap(
    shared: &Shared,
    store: &Durable<Engine>,
    id: DistinctId<'_>,
    before: &[String; 2],
    after: &str,
) {
    let Some(max) = shared.settings.max_cluster_ids() else {
        return;
    };
    let ids = store.cluster(id).map_or(1, |cluster| cluster.members.len());
    let mut near_cap = shared.near_cap.lock();
    for id in before {
        near_cap.remove(id);
    }
    if ids * 100 >= max as usize * NEAR_CAP_PERCENT {
        near_cap.insert(after.to_owned());
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
    reason = "how long a commit takes is measured, and nothing depends on it"
)]
fn now() -> Instant {
    Instant::now()
}
