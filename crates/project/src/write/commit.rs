//! [`Committer`]: applies batches and commits them.

use std::sync::Arc;

use idmerge_store::redb::ReadTransaction;

use crate::archive::block::StoredEvent;
use crate::archive::directory::BlockHead;
use crate::archive::room;
use crate::error::ProjectError;
use crate::figures::Figures;
use crate::inner::Inner;
use crate::open::state::{State, WriterState};
#[cfg(test)]
use crate::simulation::hooks::{Mistake, makes};
use crate::user_key::user_key;
use crate::workers::Task;
use crate::write::batch::{ClaimAnswer, RecordAnswer, RecordError, stored_source};
use crate::write::carry_out::carry_out;
use crate::write::claims::{ClaimResult, Claims};
use crate::write::new_ids::check_ids;
use crate::write::prepare::PreparedBatch;
use crate::write::profiles::turn::{Load, Turn};
use crate::write::profiles::{ProfileChanges, WeighedMerges};
use crate::write::queue::Job;
use crate::write::repeated::{NewEvent, StoredEvents};

/// Applies and commits batches.
pub(crate) struct Committer {
    inner: Arc<Inner>,
    state: WriterState,
    maintenance: Arc<Task>,
    /// Counters of what is applied and not committed.
    figures: Figures,
    /// Whether the last commit left the batches that ask for much to this one.
    has_put_off: bool,
}

impl Committer {
    pub(crate) fn new(inner: Arc<Inner>, state: WriterState, maintenance: Arc<Task>) -> Self {
        Self {
            inner,
            state,
            maintenance,
            figures: Figures::default(),
            has_put_off: false,
        }
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state.shared
    }

    /// Shows that the project can write: writes some bytes, and removes them.
    pub(crate) fn probe(&self, bytes: usize) -> Result<(), ProjectError> {
        let store = self.state.shared.store.read();
        store.commit_with::<ProjectError>(|write| room::fill(write, bytes))?;
        store.commit_with::<ProjectError>(room::empty)?;
        Ok(())
    }

    /// Applies and commits batches. If this fails, nothing of them is committed. Returns the number
    /// of the last entry of the log.
    pub(crate) fn write(&mut self, jobs: &mut [Job]) -> Result<u64, ProjectError> {
        if let [job] = &mut *jobs
            && self.may_write(job)
            && let Some(alone) = &job.batch.alone
        {
            let Inner {
                settings, options, ..
            } = &*self.inner;
            let committed = carry_out(alone, &self.state.shared, settings, options)?;
            // A profile that was hidden may be shown again, and it may be the only one.
            let read = self.state.shared.store.read().begin_read()?;
            self.state.profiles = ProfileChanges::open(&read)?;
            return Ok(committed);
        }
        let read = self.state.shared.store.read().begin_read()?;
        let mut turn = Turn::new(&self.inner.options, jobs);
        for job in &mut *jobs {
            if !self.may_write(job) {
                continue;
            }
            match self.begin(&mut job.batch, &read, &mut turn) {
                Err(
                    error @ (ProjectError::TooMuchWork { .. } | ProjectError::TooManyIds { .. }),
                ) => {
                    job.batch.give_up();
                    job.refused = Some(error);
                }
                begun => begun?,
            }
        }
        self.put_off(jobs, &turn);
        for job in &mut *jobs {
            let is_large = !turn.is_small(Load::of(&job.batch));
            if is_large && !self.has_put_off && self.may_write(job) {
                self.apply_some_events(&mut job.batch, &read, &mut turn)?;
                self.apply_updates(&mut job.batch, &read, &mut turn)?;
            }
        }
        drop(read);
        let sequence = self.commit()?;
        self.count(jobs);
        Ok(sequence)
    }

    /// Decides whether the batches that ask for much wait for the next commit, because others wait for this
    /// one. They do so once at most.
    fn put_off(&mut self, jobs: &[Job], turn: &Turn) {
        let is_small = |job: &Job| turn.is_small(Load::of(&job.batch));
        let has_both = jobs.iter().any(is_small) && !jobs.iter().all(is_small);
        self.has_put_off = has_both && !self.has_put_off;
    }

    /// Whether a batch may be written as far as a commit has room. A project that is closing finishes soon.
    fn may_write(&self, job: &mut Job) -> bool {
        let queue = &self.inner.queue;
        let is_begun = job.batch.profile_bytes.is_some();
        if !is_begun && job.refused.is_none() && job.erasures != self.inner.pause.begun() {
            job.batch.give_up();
            job.refused = Some(ProjectError::Erasing);
        }
        if !is_begun && job.refused.is_none() && !queue.may_begin() {
            job.batch.give_up();
            job.refused = Some(ProjectError::Closed);
        }
        job.refused.is_none() && queue.may_go_on()
    }

    fn count(&mut self, jobs: &[Job]) {
        let mut figures = std::mem::take(&mut self.figures);
        let is_answered = |job: &&Job| job.batch.is_done() && job.refused.is_none();
        let answered = jobs.iter().filter(is_answered);
        for answer in answered.flat_map(|job| &job.batch.answers) {
            count(answer, &mut figures);
        }
        self.inner.counters.lock().add(figures);
    }

    /// How many commits are known to be on the disk.
    pub(crate) fn synced(&self) -> u64 {
        self.state.shared.store.read().synced_commits()
    }

    /// Counts batches that are on the disk although their commit failed. Returns the number of the last
    /// entry of the log.
    pub(crate) fn count_synced(&mut self, jobs: &[Job]) -> u64 {
        self.count(jobs);
        self.state.shared.store.read().sequence()
    }

    /// Applies the events of a batch, unless their merges ask for much, and its updates if they ask for
    /// little.
    ///
    /// # Errors
    ///
    /// [`ProjectError::TooMuchWork`] and [`ProjectError::TooManyIds`] are about this batch alone. No part of
    /// it is applied then.
    fn begin(
        &mut self,
        batch: &mut PreparedBatch,
        read: &ReadTransaction,
        turn: &mut Turn,
    ) -> Result<(), ProjectError> {
        if batch.profile_bytes.is_none() {
            let update_bytes = self.weigh_updates(batch, read)?;
            let (_, merge_bytes) = self.weigh_merges(batch, read, &mut |_| true)?;
            check_ids(batch, &*self.state.shared.store.read(), &self.inner.options)?;
            turn.admit(update_bytes.saturating_add(merge_bytes))?;
            batch.profile_bytes = Some(update_bytes);
            batch.merge_bytes = merge_bytes;
        }
        if turn.is_small(Load::of_merges(batch)) {
            self.apply_some_events(batch, read, turn)?;
        }
        if turn.is_small(Load::of(batch)) {
            self.apply_updates(batch, read, turn)?;
        }
        Ok(())
    }

    /// Applies the events whose merges the turn has room for, as far as the merges have room to copy profiles.
    fn apply_some_events(
        &mut self,
        batch: &mut PreparedBatch,
        read: &ReadTransaction,
        turn: &mut Turn,
    ) -> Result<(), ProjectError> {
        if batch.events_left().is_empty() {
            return Ok(());
        }
        let mut room = turn.room(Load::of_merges(batch));
        let (count, _) = self.weigh_merges(batch, read, &mut |bytes| room.take_profile(bytes))?;
        let until = batch.applied_events + count;
        let inner = self.inner.clone();
        let rule_book = inner.settings.rule_book();
        if !self.state.profiles.may_copy(rule_book, &inner.options) {
            return self.apply_events(batch, until, read);
        }
        while batch.applied_events < until {
            let plain = batch.events_before_claim(until);
            if plain == 0 && !self.state.profiles.has_room_to_copy(&inner.options) {
                break;
            }
            self.apply_events(batch, batch.applied_events + plain.max(1), read)?;
        }
        Ok(())
    }

    /// Weighs the merges of the events that are left, up to the first event for which `take` answers `false`
    /// when it is given the bytes of profiles that the event reads. Returns how many events come before that
    /// one, and the bytes of all of them.
    fn weigh_merges(
        &self,
        batch: &PreparedBatch,
        read: &ReadTransaction,
        take: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(usize, usize), ProjectError> {
        let events = batch.events_left();
        let Inner {
            settings, options, ..
        } = &*self.inner;
        let profiles = &self.state.profiles;
        if !profiles.may_fill(settings.rule_book(), options) {
            return Ok((events.len(), 0));
        }
        let store = self.state.shared.store.read();
        let mut weighed = WeighedMerges::default();
        let mut all = 0;
        for (at, event) in events.iter().enumerate() {
            let Some(claim) = batch.claim(event) else {
                continue;
            };
            let bytes = profiles.weigh_merge(claim, &*store, read, &mut weighed)?;
            if bytes > 0 && !take(bytes) {
                return Ok((at, all));
            }
            all += bytes;
        }
        Ok((events.len(), all))
    }

    /// Applies the events of a batch that are before this place and not applied yet.
    fn apply_events(
        &mut self,
        batch: &mut PreparedBatch,
        until: usize,
        read: &ReadTransaction,
    ) -> Result<(), ProjectError> {
        let from = std::mem::replace(&mut batch.applied_events, until);
        if batch.events_left().is_empty() {
            batch.merge_bytes = 0;
        }
        if from == until {
            return Ok(());
        }
        let mut answers = std::mem::take(&mut batch.answers);
        let mut stored = StoredEvents::new(
            &self.inner.settings,
            &self.state.shared,
            read,
            &self.state.appender,
        );
        let new = self.state.repeated.new_events(
            batch,
            &batch.events[from..until],
            &mut answers,
            &mut stored,
        )?;
        let claims = Claims {
            inner: &self.inner,
            state: &self.state.shared,
            profiles: &mut self.state.profiles,
            read,
            batch,
        };
        let results = claims.apply(&new)?;
        let first = self.state.appender.next();
        for (event, result) in new.iter().zip(&results) {
            answers[event.event.index] = RecordAnswer::Stored(result.answer);
            let failure = failure(event, result, first, &results);
            self.append(batch, event, failure, result.attributed.as_deref())?;
        }
        self.figures.events += new.len() as u64;
        batch.answers = answers;
        Ok(())
    }

    fn append(
        &mut self,
        batch: &PreparedBatch,
        new: &NewEvent<'_>,
        failure: Option<[&str; 2]>,
        attributed: Option<&str>,
    ) -> Result<(), ProjectError> {
        let event = new.event;
        self.figures.replaced += u64::from(new.replaced.is_some());
        let stored = StoredEvent {
            // The appender numbers events.
            number: 0,
            time_ms: event.time_ms,
            received_ms: batch.received_ms,
            source: &stored_source(batch.source, event.facts.is_unweighed),
            failure,
            attributed,
            text: batch.json(event),
        };
        let key = attributed.map(user_key).or(event.facts.user_key);
        self.state.appender.push(&stored, key)
    }

    /// The bytes of the stored profiles that the updates of a batch change.
    fn weigh_updates(
        &self,
        batch: &PreparedBatch,
        read: &ReadTransaction,
    ) -> Result<usize, ProjectError> {
        if batch.updates.is_empty() {
            return Ok(0);
        }
        let store = self.state.shared.store.read();
        let profiles = &self.state.profiles;
        profiles.weigh(&batch.updates, &self.inner.settings, &*store, read)
    }

    /// Carries out the updates for which the turn has room, and removes them from the batch.
    fn apply_updates(
        &mut self,
        batch: &mut PreparedBatch,
        read: &ReadTransaction,
        turn: &mut Turn,
    ) -> Result<(), ProjectError> {
        let mut room = turn.room(Load::of(batch));
        // The events of a batch come before its updates.
        let has_events = !batch.events_left().is_empty();
        if has_events || batch.updates.is_empty() || !room.has_any() {
            return Ok(());
        }
        let Inner {
            settings, options, ..
        } = &*self.inner;
        let store = self.state.shared.store.read();
        let profiles = &mut self.state.profiles;
        let plan = profiles.plan(&batch.updates, settings, &*store, read, &mut room)?;
        drop(store);
        let answers = &mut batch.answers;
        for (index, error) in plan.refused {
            answers[index] = RecordAnswer::Refused(Box::new(error));
        }
        let figures = &mut self.figures;
        let mut answer = |index: usize, result| match result {
            Ok(()) => figures.updates += 1,
            Err(error) => answers[index] = RecordAnswer::Refused(Box::new(error)),
        };
        for planned in plan.profiles {
            let limits = &options.profile_limits;
            profiles.update(planned, &batch.updates, limits, read, &mut answer)?;
        }
        let mut places = 0..;
        let members = &mut batch.members;
        batch.updates.retain(|(_, update)| {
            let at = places.next();
            let is_left = at.is_some_and(|at| plan.left.binary_search(&at).is_ok());
            *members -= if is_left { 0 } else { update.members() };
            is_left
        });
        let left_bytes = |bytes: usize| bytes.saturating_sub(plan.done_bytes);
        batch.profile_bytes = batch.profile_bytes.map(left_bytes);
        Ok(())
    }

    fn commit(&mut self) -> Result<u64, ProjectError> {
        let inner = self.inner.clone();
        let state = self.state.shared.clone();
        let store = state.store.read();
        let has_events = self.figures.events > 0;
        let has_index = has_events || self.state.repeated.has_changes();
        if !has_index && !self.state.profiles.has_changes() {
            return Ok(store.commit()?);
        }
        let started = inner.clock.now();
        let index_events = inner.options.index_events;
        let is_index_due = has_index
            && self
                .state
                .appender
                .unindexed()
                .max(self.state.repeated.recent())
                >= index_events;
        let mut heads: Vec<BlockHead> = Vec::new();
        let mut replaced = None;
        let sequence = store.commit_with::<ProjectError>(|write| {
            if has_events {
                heads = self.state.appender.write(write)?;
            }
            #[cfg(test)]
            if makes(Mistake::ShowsEarly) {
                state.directory.write().add_blocks(&heads);
            }
            if has_index {
                let last = self.state.appender.next() - 1;
                replaced = self.state.repeated.write(write, last, is_index_due)?;
            }
            if is_index_due && self.state.appender.unindexed() > 0 {
                self.state.appender.write_run(write)?;
            }
            if self.state.profiles.has_changes() {
                self.state.profiles.write(write)?;
            }
            Ok(())
        });
        #[cfg(test)]
        let sequence = sequence.or_else(|error| match makes(Mistake::AnswersWithoutCommit) {
            true => Ok(store.committed()),
            false => Err(error),
        });
        let sequence = sequence?;
        drop(store);
        if has_index {
            self.show(&state, &heads, replaced, is_index_due);
        }
        inner
            .counters
            .lock()
            .add_commit(inner.clock.now() - started);
        if is_index_due {
            self.maintenance.wake();
        }
        Ok(sequence)
    }

    /// Lets readers see the events of a commit.
    fn show(
        &mut self,
        state: &State,
        heads: &[BlockHead],
        replaced: Option<u64>,
        is_indexed: bool,
    ) {
        #[cfg(test)]
        let heads = match makes(Mistake::ShowsLate) {
            true => &[],
            false => heads,
        };
        let mut directory = state.directory.write();
        directory.add_blocks(heads);
        directory.replaced = replaced.unwrap_or(directory.replaced);
        if is_indexed {
            directory.clear_unindexed();
        } else {
            directory.add_unindexed(self.state.appender.new_pairs());
        }
        drop(directory);
        if let Some(watch) = &*self.inner.events_watch.read() {
            watch();
        }
    }
}

/// Why the claim of an event was rejected: the code and the description. If the claim was weighed for
/// the event that this one replaces, the answer is that of then. `first` is the number of the first
/// event of the batch.
fn failure<'r>(
    new: &'r NewEvent<'_>,
    result: &'r ClaimResult,
    first: u64,
    results: &'r [ClaimResult],
) -> Option<[&'r str; 2]> {
    let of = |result: &'r ClaimResult| {
        let (code, description) = result.rejection.as_ref()?;
        Some([*code, description.as_str()])
    };
    let Some(replaced) = new.replaced.as_ref().filter(|it| it.has_same_claim) else {
        return of(result);
    };
    match replaced.number.checked_sub(first) {
        Some(index) => of(results.get(usize::try_from(index).ok()?)?),
        None => Some(replaced.failure.as_ref()?.each_ref().map(String::as_str)),
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
            figures.add_refused(rule);
        }
    }
}
