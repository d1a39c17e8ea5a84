//! The state at an entry of the log: a snapshot, and the entries after it.

pub(crate) mod overlay;
pub(crate) mod owned;
pub(crate) mod seen_claims;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::{fmt, io};

use idmerge_core::{IdentityResolver, Outcome, SnapshotError};
use redb::ReadTransaction;

use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::{Entry, What};
use crate::log::index::Index;
use crate::log::snapshots::{self, PieceReader, Snapshot};
use crate::options::Opened;
use crate::state::overlay::{Before, Fresh, Overlay};
use crate::state::owned::{OwnedId, distinct_ids};
use crate::state::seen_claims::SeenClaims;

/// Overlay, and which claims are no news to them.
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

    /// The state after the last entry of the log, in one engine: what is withdrawn is left out
    /// from the start.
    pub(crate) fn fold(fresh: Fresh<R>, log: Log<'_>) -> Result<Self, StoreError> {
        let index = Index::new(log)?;
        let retractions = index.retractions()?;
        let withdrawn = index.withdrawn()?;
        let mut state = Self::new(fresh);
        // A snapshot has what was withdrawn only later.
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
                // Without a withdrawn entry others are answered otherwise than they were.
                state.weigh(log, &entry, retractions.is_empty())?;
            }
            Ok(true)
        })?;
        Ok(state)
    }

    /// The state after the last entry of the log, with those engines beside each other that
    /// whoever wrote the log had; quicker where something was withdrawn.
    pub(crate) fn open(fresh: Fresh<R>, log: Log<'_>) -> Result<(Self, u64, Opened), StoreError> {
        let mut state = Self::new(fresh);
        let mut opened = state.read_latest(log.read, &|snapshot| snapshot <= log.until)?;
        let at = state.go_on(log, opened.snapshot)?;
        opened.weighed = at - opened.snapshot;
        Ok((state, at, opened))
    }

    /// Writes what a store's snapshot has: what is no news, and the engine. The log is that of
    /// this state.
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

    /// Writes the snapshot of the engine alone.
    pub(crate) fn write_engine(&self, sink: &mut dyn Write, log: Log<'_>) -> io::Result<()> {
        self.in_one_engine(log, |engine, _| engine.write_snapshot(sink))
    }

    /// Where parts were folded again, all is: only one engine can be written down.
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
        // Grows with what is read, so that a wrong number takes no memory.
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

    /// Takes the latest snapshot of these that can be read.
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

    /// Brings the state from entry `after`, 0 for none, to the last entry of the log. Answers with
    /// the number of that entry.
    pub(crate) fn go_on(&mut self, log: Log<'_>, after: u64) -> Result<u64, StoreError> {
        let mut at = after;
        log.each_entry(after + 1, &mut |entry| {
            self.weigh(log, &entry, true)?;
            at = entry.sequence;
            Ok(true)
        })?;
        Ok(at)
    }

    /// Weighs an entry of the log again. Answers with the ids that a withdrawal may have given
    /// another canonical one, as they were before.
    pub(crate) fn weigh(
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
                    what: "the state that was put in is not there",
                })?;
                self.read_snapshot(log.read, base)
                    .map_err(|source| StoreError::DamagedBase { sequence, source })?;
                Ok(Vec::new())
            }
            What::Retracted { retracted, .. } => self.withdraw(retracted, log.up_to(sequence)),
        }
    }

    /// Folds again what an entry has to do with. The log has the entry that withdraws it.
    pub(crate) fn withdraw(
        &mut self,
        retracted: u64,
        log: Log<'_>,
    ) -> Result<Vec<Before>, StoreError> {
        let claimed = claim_of(log, retracted)?;
        let [first, second] = &claimed;
        let ids = [first.get(), second.get()];
        let (_, before) = self.overlay.fold_again(ids, &mut self.seen_claims, log)?;
        Ok(before)
    }
}

/// The ids of the claim that an entry is of, or that it withdraws, or whose withdrawal it
/// withdraws.
fn claim_of(log: Log<'_>, sequence: u64) -> Result<[OwnedId; 2], StoreError> {
    enum Is {
        Claim(Option<[OwnedId; 2]>),
        Retraction(u64),
        Other,
    }
    let mut at = sequence;
    let mut seen = HashSet::new();
    while seen.insert(at) {
        let is = log.entry(at, |entry| match entry.what {
            What::Claim { claim, .. } => {
                Is::Claim(distinct_ids(claim).map(|ids| ids.map(OwnedId::new)))
            }
            What::Retracted { retracted, .. } => Is::Retraction(retracted),
            What::Replaced => Is::Other,
        })?;
        match is {
            Is::Claim(Some(ids)) => return Ok(ids),
            Is::Retraction(retracted) => at = retracted,
            Is::Claim(None) | Is::Other => break,
        }
    }
    Err(StoreError::NotRetractable { sequence })
}

/// What of an outcome has to be the same for ever; how a rejection is worded is not part of it.
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
