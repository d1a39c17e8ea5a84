//! The state after an entry of the log: a snapshot and the entries after it.

pub(crate) mod answers;
mod claim_batch;
mod folding;
pub(crate) mod overlay;
pub(crate) mod seen_claims;

use std::collections::BTreeSet;
use std::io::Write;
use std::{fmt, io};

use idmerge_core::{Claim, DistinctIdBuf, Id, IdentityResolver, Outcome, SnapshotError};

use crate::error::StoreError;
use crate::log::Log;
use crate::log::about;
use crate::log::codec::outcome_code;
use crate::log::component::Connection;
use crate::log::entry::{Entry, What};
use crate::log::file::unpanicked;
use crate::log::index::{Index, Revisions};
use crate::log::snapshots::image::Image;
use crate::log::snapshots::{self, PieceReader, Snapshot};
use crate::options::Opened;
use crate::state::folding::Folding;
use crate::state::overlay::{Before, Fresh, Overlay};
use crate::state::seen_claims::{Head, SeenClaims};

/// The engines with the state.
pub(crate) struct State<R> {
    pub(crate) overlay: Overlay<R>,
}

impl<R: IdentityResolver> State<R> {
    pub(crate) fn new(fresh: Fresh<R>) -> Self {
        Self {
            overlay: Overlay::new(fresh),
        }
    }

    /// The state after the last entry of the log, in one engine: withdrawn entries are left out from
    /// the start.
    pub(crate) fn fold(fresh: Fresh<R>, log: Log<'_>) -> Result<Self, StoreError> {
        let Revisions {
            retractions,
            withdrawn,
        } = Index::revisions(log)?;
        let mut state = Self::new(fresh);
        // A snapshot between an entry and its retraction has the withdrawn entry in it.
        let is_good = |snapshot: u64| {
            snapshot <= log.until
                && !(retractions.iter()).any(|(sequence, retracted)| {
                    snapshot < *sequence && retracted.iter().any(|it| *it <= snapshot)
                })
        };
        let from = state.read_latest(log, &is_good, None)?.snapshot;
        // After a retraction other entries may have other answers than in the log.
        let mut folding = Folding::new(&mut state, log, retractions.is_empty(), None);
        log.each_entry(from + 1, &mut |entry| {
            let is_left_out = match entry.what {
                What::Claim { .. } => withdrawn.contains(&entry.sequence),
                What::Erased { .. } | What::Retracted { .. } => true,
                What::Replaced => false,
            };
            if !is_left_out {
                folding.entry(&entry)?;
            }
            Ok(true)
        })?;
        folding.finish()?;
        Ok(state)
    }

    /// The part of the state after the last entry of the log that is about the users of some IDs.
    /// Everything connected with them is in it if something was withdrawn, or if all attempted claims
    /// are asked for.
    pub(crate) fn part<'i>(
        fresh: Fresh<R>,
        index: &Index<'_>,
        ids: impl Iterator<Item = Id<'i>>,
        connection: Connection,
    ) -> Result<Self, StoreError> {
        let withdrawn = index.withdrawn()?;
        let connection = match index.retractions()?.is_empty() {
            true => connection,
            false => Connection::Attempted,
        };
        let entries = index.component(ids, connection)?;
        let mut engine = fresh();
        index.log.each_of(&entries, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what
                && !withdrawn.contains(&entry.sequence)
            {
                engine.apply(claim)?;
            }
            Ok(())
        })?;
        Ok(Self {
            overlay: Overlay::with(fresh, engine),
        })
    }

    /// The state after the last entry of the log, in an overlay as the process that wrote the log had it.
    /// After retractions this is quicker than [`fold`](Self::fold). A process that adds entries
    /// passes `seen_claims`, which then has the claims of the log.
    pub(crate) fn open(
        fresh: Fresh<R>,
        log: Log<'_>,
        mut seen_claims: Option<&mut SeenClaims>,
    ) -> Result<(Self, u64, Opened), StoreError> {
        let mut state = Self::new(fresh);
        let is_good = |snapshot| snapshot <= log.until;
        let mut opened = state.read_latest(log, &is_good, seen_claims.as_deref_mut())?;
        let at = state.apply_after(log, opened.snapshot, seen_claims)?;
        opened.applied = at - opened.snapshot;
        opened.is_revised = about::is_revised(log.read)?;
        opened.incomplete_until = about::incomplete_until(log.read)?;
        Ok((state, at, opened))
    }

    /// Writes a snapshot of the store: the claims that have an entry, and the engine. `log` must be the
    /// log of this state.
    pub(crate) fn write_snapshot(
        &self,
        sink: &mut dyn Write,
        log: Log<'_>,
        seen_claims: &SeenClaims,
    ) -> io::Result<()> {
        seen_claims.write(sink)?;
        self.write_engine(sink, log)
    }

    /// Writes the snapshot of the engine alone. If there are parts, it folds the log again, because only
    /// one engine can be written. `log` must be the log of this state.
    pub(crate) fn write_engine(&self, sink: &mut dyn Write, log: Log<'_>) -> io::Result<()> {
        if let Some(engine) = self.overlay.whole() {
            return engine.write_snapshot(sink);
        }
        let fresh = self.overlay.fresh.clone();
        let folded = Self::fold(fresh, log).map_err(io::Error::other)?;
        folded.overlay.any().write_snapshot(sink)
    }

    fn read_snapshot(
        &mut self,
        log: Log<'_>,
        snapshot: Snapshot,
        seen_claims: Option<&mut SeenClaims>,
    ) -> Result<bool, SnapshotError> {
        let pieces = PieceReader::new(log.read, snapshot).map_err(io::Error::other)?;
        let pieces = pieces.only_while(log.may_go_on());
        let mut source = io::BufReader::new(pieces);
        if seen_claims.is_none() && self.read_image(log, snapshot) {
            return Ok(true);
        }
        let has_to_read_image = seen_claims.is_some();
        let head = Head::read(&mut source)?;
        match (head, seen_claims) {
            (Head::SeenClaims(_), Some(seen_claims)) => seen_claims.read(&mut source)?,
            (Head::Version1(_), Some(seen_claims)) => {
                head.skip(&mut source)?;
                self.read_claims(log.up_to(snapshot.sequence), seen_claims)
                    .map_err(io::Error::other)?;
            }
            (_, None) => head.skip(&mut source)?,
        }
        if has_to_read_image && self.read_image(log, snapshot) {
            return Ok(true);
        }
        self.overlay.replace(&mut source)?;
        Ok(false)
    }

    /// Reads the image of a snapshot instead of the state in it. Returns `false` if there is none that can be used:
    /// it is a cache, so that is no error.
    fn read_image(&mut self, log: Log<'_>, snapshot: Snapshot) -> bool {
        // The database panics on some damaged files. The state is replaced only by a whole one.
        let read = unpanicked(|| {
            let Some(image) = Image::of(log, snapshot)? else {
                return Ok(false);
            };
            Ok(self.overlay.replace_by_image(&image).is_ok())
        });
        read.unwrap_or(false)
    }

    /// Reads the claims that have an entry from the log, because a snapshot of format version 1 does
    /// not have them.
    fn read_claims(&self, log: Log<'_>, seen_claims: &mut SeenClaims) -> Result<(), StoreError> {
        seen_claims.clear();
        let mut loaded = Self::new(self.overlay.fresh.clone());
        log.each_entry(1, &mut |entry| {
            if entry.what == What::Replaced {
                loaded.read_base(log, entry.sequence)?;
            }
            seen_claims.entry(&entry, log, loaded.overlay.any())?;
            Ok(true)
        })
    }

    /// Reads the latest snapshot that is not damaged.
    fn read_latest(
        &mut self,
        log: Log<'_>,
        is_good: &dyn Fn(u64) -> bool,
        mut seen_claims: Option<&mut SeenClaims>,
    ) -> Result<Opened, StoreError> {
        let mut opened = Opened::default();
        for snapshot in snapshots::all(log.read)?.into_iter().rev() {
            if !is_good(snapshot.sequence) {
                continue;
            }
            match self.read_snapshot(log, snapshot, seen_claims.as_deref_mut()) {
                Ok(is_from_image) => {
                    opened.snapshot = snapshot.sequence;
                    opened.is_from_image = is_from_image;
                    return Ok(opened);
                }
                Err(error) => {
                    log.check()?;
                    opened.damaged.push((snapshot.sequence, error));
                }
            }
        }
        if let Some(seen_claims) = seen_claims {
            seen_claims.clear();
        }
        Ok(opened)
    }

    /// Applies the entries after `after` (0 for all of them), and returns the number of the last one.
    pub(crate) fn apply_after(
        &mut self,
        log: Log<'_>,
        after: u64,
        seen_claims: Option<&mut SeenClaims>,
    ) -> Result<u64, StoreError> {
        let mut folding = Folding::new(self, log, true, seen_claims);
        let mut at = folding.claims_on_two_threads(after)?;
        log.each_entry(at + 1, &mut |entry| {
            folding.entry(&entry)?;
            at = entry.sequence;
            Ok(true)
        })?;
        folding.finish()?;
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
                let now = self.apply(claim, log.up_to(sequence - 1))?;
                if is_answered_as_logged && outcome_code(now) != outcome_code(outcome) {
                    return Err(StoreError::Diverged {
                        sequence,
                        logged: format!("{outcome:?}"),
                        now: format!("{now:?}"),
                    });
                }
                Ok(Vec::new())
            }
            What::Erased { .. } => Ok(Vec::new()),
            What::Replaced => {
                self.read_base(log, sequence)?;
                Ok(Vec::new())
            }
            What::Retracted { retracted, .. } => {
                self.withdraw(&retracted.iter().collect(), log.up_to(sequence))
            }
        }
    }

    /// Applies a claim as [`Overlay::apply`] does. If folding parts again has taken as much work as
    /// folding the whole log, it first folds the whole log into one engine, which ends such work.
    pub(crate) fn apply<'a>(
        &'a mut self,
        claim: Claim<'a>,
        log: Log<'_>,
    ) -> Result<Outcome<'a>, StoreError> {
        if self.overlay.refolded() > log.until && self.overlay.must_fold(claim) {
            *self = Self::fold(self.overlay.fresh.clone(), log)?;
        }
        self.overlay.apply(claim, log)
    }

    /// Reads the snapshot that replaced the state at this entry.
    pub(crate) fn read_base(&mut self, log: Log<'_>, sequence: u64) -> Result<(), StoreError> {
        let mut snapshots = snapshots::all(log.read)?.into_iter();
        let base = snapshots.find(|snapshot| snapshot.sequence == sequence);
        let base = base.ok_or(StoreError::DamagedLog {
            sequence,
            what: "the state that was loaded into the store is missing",
        })?;
        self.read_snapshot(log, base, None)
            .map(drop)
            .map_err(|source| StoreError::DamagedBase { sequence, source })
    }

    /// Folds again the entries that are connected with withdrawn ones. `log` must have the retraction.
    /// All entries of one retraction are connected with each other.
    pub(crate) fn withdraw(
        &mut self,
        retracted: &BTreeSet<u64>,
        log: Log<'_>,
    ) -> Result<Vec<Before>, StoreError> {
        let Some(ids) = claimed_ids(log, retracted)? else {
            return Ok(Vec::new());
        };
        let ids = [ids[0].as_id(), ids[1].as_id()];
        let (_, before) = self.overlay.fold_again(ids, log)?;
        Ok(before)
    }
}

/// The IDs of the claim of one of these entries. For a retraction, those of an entry that it withdraws. `None` if
/// the IDs of all of them are erased.
pub(crate) fn claimed_ids(
    log: Log<'_>,
    sequences: &BTreeSet<u64>,
) -> Result<Option<[DistinctIdBuf; 2]>, StoreError> {
    let mut sequences = sequences.clone();
    while let Some(sequence) = sequences.pop_last() {
        let mut ids = None;
        let earlier = log.entry(sequence, |entry| match entry.what {
            What::Claim { claim, .. } => {
                ids = Some(claim.ids().map(DistinctIdBuf::from));
                Vec::new()
            }
            // A retraction withdraws earlier entries, so this ends.
            What::Retracted { retracted, .. } => retracted.iter().collect(),
            What::Erased { .. } | What::Replaced => Vec::new(),
        })?;
        if ids.is_some() {
            return Ok(ids);
        }
        sequences.extend(earlier.into_iter().filter(|it| (1..sequence).contains(it)));
    }
    Ok(None)
}

/// What an outcome is called: `merged`, or the code of a rejection, without its wording.
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
