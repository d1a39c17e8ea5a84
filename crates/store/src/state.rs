//! The state after an entry of the log: a snapshot and the entries after it.

pub(crate) mod overlay;
pub(crate) mod seen_claims;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::{fmt, io};

use idmerge_core::{DistinctIdBuf, IdentityResolver, Outcome, SnapshotError};
use redb::ReadTransaction;

use crate::error::StoreError;
use crate::log::Log;
use crate::log::about;
use crate::log::entry::{Entry, What};
use crate::log::index::Index;
use crate::log::snapshots::{self, PieceReader, Snapshot};
use crate::options::Opened;
use crate::state::overlay::{Before, Fresh, Overlay};
use crate::state::seen_claims::SeenClaims;

/// The engines, and the claims that need no entry.
pub(crate) struct State<R> {
    pub(crate) overlay: Overlay<R>,
    pub(crate) seen_claims: SeenClaims,
}

impl<R: IdentityResolver> State<R> {
    pub(crate) fn new(fresh: Fresh<R>) -> Self {
        Self {
            overlay: Overlay::new(fresh),
            seen_claims: SeenClaims::default(),
        }
    }

    /// The state after the last entry of the log, in one engine: withdrawn entries are left out from
    /// the start.
    pub(crate) fn fold(fresh: Fresh<R>, log: Log<'_>) -> Result<Self, StoreError> {
        let index = Index::new(log)?;
        let retractions = index.retractions()?;
        let withdrawn = index.withdrawn()?;
        let mut state = Self::new(fresh);
        // A snapshot between an entry and its retraction has the withdrawn entry in it.
        let is_good = |snapshot: u64| {
            snapshot <= log.until
                && !(retractions.iter())
                    .any(|&(sequence, retracted)| retracted <= snapshot && snapshot < sequence)
        };
        let from = state.read_latest(log.read, &is_good)?.snapshot;
        log.each_entry(from + 1, &mut |entry| {
            let is_left_out = match entry.what {
                What::Claim { .. } => withdrawn.contains(&entry.sequence),
                What::Retracted { .. } => true,
                What::Replaced => false,
            };
            if !is_left_out {
                // After a retraction other entries may have other answers than in the log.
                state.apply_entry(log, &entry, retractions.is_empty())?;
            }
            Ok(true)
        })?;
        Ok(state)
    }

    /// The state after the last entry of the log, with the same overlay as the process that wrote the
    /// log had. After retractions this is quicker than [`fold`](Self::fold).
    pub(crate) fn open(fresh: Fresh<R>, log: Log<'_>) -> Result<(Self, u64, Opened), StoreError> {
        let mut state = Self::new(fresh);
        let mut opened = state.read_latest(log.read, &|snapshot| snapshot <= log.until)?;
        let at = state.apply_after(log, opened.snapshot)?;
        opened.applied = at - opened.snapshot;
        opened.is_revised = about::is_revised(log.read)?;
        Ok((state, at, opened))
    }

    /// Writes a snapshot of the store: the fingerprints of seen claims, and the engine. `log` must be
    /// the log of this state.
    pub(crate) fn write_snapshot(&self, sink: &mut dyn Write, log: Log<'_>) -> io::Result<()> {
        self.in_one_engine(log, |engine, seen_claims| {
            let fingerprints = seen_claims.sorted();
            sink.write_all(&(fingerprints.len() as u64).to_le_bytes())?;
            for fingerprint in fingerprints {
                sink.write_all(&fingerprint.to_le_bytes())?;
            }
            engine.write_snapshot(sink)
        })
    }

    /// Writes the snapshot of the engine alone. `log` must be the log of this state.
    pub(crate) fn write_engine(&self, sink: &mut dyn Write, log: Log<'_>) -> io::Result<()> {
        self.in_one_engine(log, |engine, _| engine.write_snapshot(sink))
    }

    /// Passes one engine with the whole state to `write`. If there are parts, it folds the log again,
    /// because only one engine can be written.
    fn in_one_engine(
        &self,
        log: Log<'_>,
        write: impl FnOnce(&R, &SeenClaims) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(engine) = self.overlay.whole() {
            return write(engine, &self.seen_claims);
        }
        let fresh = self.overlay.fresh.clone();
        let folded = Self::fold(fresh, log).map_err(io::Error::other)?;
        write(folded.overlay.any(), &folded.seen_claims)
    }

    fn read_snapshot(
        &mut self,
        read: &ReadTransaction,
        snapshot: Snapshot,
    ) -> Result<(), SnapshotError> {
        let pieces = PieceReader::new(read, snapshot).map_err(io::Error::other)?;
        let mut source = io::BufReader::new(pieces);
        let mut number = [0; 8];
        source.read_exact(&mut number)?;
        // The vector grows with the bytes read, so that a wrong number does not take memory.
        let mut fingerprints = Vec::new();
        for _ in 0..u64::from_le_bytes(number) {
            let mut fingerprint = [0; 16];
            source.read_exact(&mut fingerprint)?;
            fingerprints.push(u128::from_le_bytes(fingerprint));
        }
        self.overlay.replace(&mut source)?;
        self.seen_claims.replace(fingerprints);
        Ok(())
    }

    /// Reads the latest snapshot that is not damaged.
    fn read_latest(
        &mut self,
        read: &ReadTransaction,
        is_good: &dyn Fn(u64) -> bool,
    ) -> Result<Opened, StoreError> {
        let mut opened = Opened::default();
        for snapshot in snapshots::all(read)?.into_iter().rev() {
            if !is_good(snapshot.sequence) {
                continue;
            }
            match self.read_snapshot(read, snapshot) {
                Ok(()) => {
                    opened.snapshot = snapshot.sequence;
                    break;
                }
                Err(error) => opened.damaged.push((snapshot.sequence, error)),
            }
        }
        Ok(opened)
    }

    /// Applies the entries after `after` (0 for all of them), and returns the number of the last one.
    pub(crate) fn apply_after(&mut self, log: Log<'_>, after: u64) -> Result<u64, StoreError> {
        let mut at = after;
        log.each_entry(after + 1, &mut |entry| {
            self.apply_entry(log, &entry, true)?;
            at = entry.sequence;
            Ok(true)
        })?;
        Ok(at)
    }

    /// Applies an entry of the log. For a retraction it returns the IDs whose canonical ID may have
    /// changed, with their canonical IDs of before.
    pub(crate) fn apply_entry(
        &mut self,
        log: Log<'_>,
        entry: &Entry<'_>,
        is_answered_as_logged: bool,
    ) -> Result<Vec<Before>, StoreError> {
        let sequence = entry.sequence;
        match entry.what {
            What::Claim { claim, outcome } => {
                let before = log.up_to(sequence - 1);
                let now = self.overlay.apply(claim, &mut self.seen_claims, before)?;
                if is_answered_as_logged && verdict(now) != verdict(outcome) {
                    return Err(StoreError::Diverged {
                        sequence,
                        logged: format!("{outcome:?}"),
                        now: format!("{now:?}"),
                    });
                }
                self.seen_claims.is_news(claim, now);
                Ok(Vec::new())
            }
            What::Replaced => {
                let mut snapshots = snapshots::all(log.read)?.into_iter();
                let base = snapshots.find(|snapshot| snapshot.sequence == sequence);
                let base = base.ok_or(StoreError::DamagedLog {
                    sequence,
                    what: "the state that was loaded into the store is missing",
                })?;
                self.read_snapshot(log.read, base)
                    .map_err(|source| StoreError::DamagedBase { sequence, source })?;
                Ok(Vec::new())
            }
            What::Retracted { retracted, .. } => self.withdraw(retracted, log.up_to(sequence)),
        }
    }

    /// Folds again the entries that are connected with a withdrawn one. `log` must have the retraction.
    pub(crate) fn withdraw(
        &mut self,
        retracted: u64,
        log: Log<'_>,
    ) -> Result<Vec<Before>, StoreError> {
        let claimed = claim_of(log, retracted)?;
        let [first, second] = &claimed;
        let ids = [first.as_id(), second.as_id()];
        let (_, before) = self.overlay.fold_again(ids, &mut self.seen_claims, log)?;
        Ok(before)
    }
}

/// The IDs of the claim of an entry. For a retraction, those of the entry that it withdraws.
fn claim_of(log: Log<'_>, sequence: u64) -> Result<[DistinctIdBuf; 2], StoreError> {
    enum Is {
        Claim([DistinctIdBuf; 2]),
        Retraction(u64),
        Other,
    }
    let mut at = sequence;
    let mut seen = HashSet::new();
    while seen.insert(at) {
        let is = log.entry(at, |entry| match entry.what {
            What::Claim { claim, .. } => Is::Claim(claim.ids().map(DistinctIdBuf::from)),
            What::Retracted { retracted, .. } => Is::Retraction(retracted),
            What::Replaced => Is::Other,
        })?;
        match is {
            Is::Claim(ids) => return Ok(ids),
            Is::Retraction(retracted) => at = retracted,
            Is::Other => break,
        }
    }
    Err(StoreError::NotRetractable { sequence })
}

/// The part of an outcome that must never change for a logged claim. The wording of a rejection may.
pub(crate) fn verdict(outcome: Outcome<'_>) -> Option<&'static str> {
    match outcome {
        Outcome::Merged => Some("merged"),
        Outcome::AlreadyMerged => Some("already merged"),
        Outcome::Ignored => Some("ignored"),
        Outcome::Rejected(rejection) => Some(rejection.code()),
        _ => None,
    }
}

impl<R: fmt::Debug> fmt::Debug for State<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.overlay.fmt(f)
    }
}
