//! [`Folding`]: applies the entries of the log in their order.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::{mem, panic, thread};

use idmerge_core::IdentityResolver;

use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::{Entry, What};
use crate::state::State;
use crate::state::claim_batch::ClaimBatch;
use crate::state::seen_claims::SeenClaims;

/// How many batches may wait to be applied.
const BATCHES_MAX: usize = 4;

/// Applies entries of the log in their order, claims that follow each other together.
pub(super) struct Folding<'f, 'l, R> {
    state: &'f mut State<R>,
    log: Log<'l>,
    is_answered_as_logged: bool,
    /// Remembers the entries too.
    seen_claims: Option<&'f mut SeenClaims>,
    batch: ClaimBatch,
}

impl<'f, 'l, R: IdentityResolver> Folding<'f, 'l, R> {
    pub(super) fn new(
        state: &'f mut State<R>,
        log: Log<'l>,
        is_answered_as_logged: bool,
        seen_claims: Option<&'f mut SeenClaims>,
    ) -> Self {
        Self {
            state,
            log,
            is_answered_as_logged,
            seen_claims,
            batch: ClaimBatch::default(),
        }
    }

    /// Applies the claims after the entry `at`, up to the first entry that is something else than a claim. Another thread
    /// reads them from the log meanwhile, which takes half of the time. Returns the last entry that was applied.
    ///
    /// It does nothing if one thread is to be used, or if the state is in parts.
    pub(super) fn claims_on_two_threads(&mut self, at: u64) -> Result<u64, StoreError> {
        if self.log.threads() < 2 || self.state.overlay.whole().is_none() {
            return Ok(at);
        }
        let log = self.log;
        thread::scope(|scope| {
            let (batches, filled) = mpsc::sync_channel(BATCHES_MAX);
            let (emptied, empty) = mpsc::channel();
            let read = move || read_claims(log, at, &batches, &empty);
            let Ok(reading) = thread::Builder::new().spawn_scoped(scope, read) else {
                return Ok(at);
            };
            let applied = self.apply_batches(filled, &emptied);
            // After an error nobody takes batches any more, and the reader stops at its next one.
            let read = reading.join();
            applied?;
            read.unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }

    fn apply_batches(
        &mut self,
        filled: Receiver<ClaimBatch>,
        emptied: &Sender<ClaimBatch>,
    ) -> Result<(), StoreError> {
        for batch in filled {
            self.batch = batch;
            self.apply_batch()?;
            // The reader may have ended.
            let _ended = emptied.send(mem::take(&mut self.batch));
        }
        Ok(())
    }

    pub(super) fn entry(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        // Of parts each claim may make a new one.
        if let What::Claim { claim, outcome } = entry.what
            && self.state.overlay.whole().is_some()
        {
            self.batch.add(entry.sequence, claim, outcome);
            return match self.batch.is_full() {
                true => self.apply_batch(),
                false => Ok(()),
            };
        }
        self.apply_batch()?;
        let state = &mut *self.state;
        state.apply_entry(self.log, entry, self.is_answered_as_logged)?;
        match &mut self.seen_claims {
            Some(seen_claims) => seen_claims.entry(entry, self.log, state.overlay.any()),
            None => Ok(()),
        }
    }

    fn apply_batch(&mut self) -> Result<(), StoreError> {
        let Some(engine) = self.state.overlay.whole_mut() else {
            return Ok(());
        };
        let seen_claims = self.seen_claims.as_deref_mut();
        self.batch
            .apply(engine, self.is_answered_as_logged, seen_claims, self.log)
    }

    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        self.apply_batch()
    }
}

/// Reads claims in batches, up to the first entry that is something else. Returns the last entry before that one.
fn read_claims(
    log: Log<'_>,
    mut at: u64,
    batches: &SyncSender<ClaimBatch>,
    empty: &Receiver<ClaimBatch>,
) -> Result<u64, StoreError> {
    let mut batch = ClaimBatch::default();
    log.each_entry(at + 1, &mut |entry| {
        match entry.what {
            What::Claim { claim, outcome } => batch.add(entry.sequence, claim, outcome),
            // It changes nothing.
            What::Erased { .. } => {}
            What::Replaced | What::Retracted { .. } => return Ok(false),
        }
        at = entry.sequence;
        if !batch.is_full() {
            return Ok(true);
        }
        let next = empty.try_recv().unwrap_or_default();
        Ok(batches.send(mem::replace(&mut batch, next)).is_ok())
    })?;
    // Nobody takes it after an error.
    let _failed = batches.send(batch);
    Ok(at)
}
