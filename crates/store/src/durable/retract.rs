//! Withdrawing claims, and withdrawing a retraction.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use idmerge_core::{Claim, DistinctId, IdentityResolver, Outcome, Resolve, RuleBook};
use serde::Serialize;

use crate::durable::Durable;
use crate::error::StoreError;
use crate::history::changes::Change;
use crate::log::Log;
use crate::log::entry::sequences::Sequences;
use crate::log::entry::{Cause, What, own};
use crate::log::index::Index;
use crate::log::snapshots;
use crate::state::overlay::Before;

/// The result of a retraction, or of a [preview](crate::History::preview) of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Retraction {
    /// The number of the entry of the retraction. Withdraw that entry to undo the retraction. If
    /// everything was withdrawn before, it is the number of the last entry that did that.
    pub sequence: u64,
    /// Whether this withdrew anything. If not, nothing has changed.
    pub is_new: bool,
    /// How many claims this withdrew; 0 if it withdrew a retraction.
    pub claims: u64,
    pub(crate) changes: Vec<Change>,
}

impl Retraction {
    /// Every ID that has another canonical ID now. The changes do not repeat the cause that was given
    /// to [`Durable::retract`].
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The result for what is withdrawn already, if all of it is.
    pub(crate) fn already(
        index: &Index<'_>,
        entries: &BTreeSet<u64>,
    ) -> Result<Option<Self>, StoreError> {
        Ok(withdrawn_by(index, entries)?.map(|sequence| Self {
            sequence,
            is_new: false,
            claims: 0,
            changes: Vec::new(),
        }))
    }
}

/// What a retraction withdraws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The claim of the entry with this number, or the retraction that the entry is.
    Entry(u64),
    /// Every claim that names this ID.
    Named(DistinctId<'a>),
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(sequence) => write!(f, "entry {sequence}"),
            Self::Named(id) => write!(f, "the claims that name {id}"),
        }
    }
}

/// The entries of a target.
pub(crate) struct Withdrawn {
    /// The entries of the claims, or the one of a retraction.
    pub(crate) entries: BTreeSet<u64>,
    /// How many claims they make that count now.
    pub(crate) claims: u64,
}

impl Withdrawn {
    /// # Errors
    ///
    /// Those of [`Durable::retract`] and [`Durable::detach`] that the target is to blame for.
    pub(crate) fn of(
        target: Target<'_>,
        log: Log<'_>,
        rule_book: RuleBook,
    ) -> Result<Self, StoreError> {
        let withdrawn = match target {
            Target::Entry(sequence) => entries_with(log, sequence)?,
            Target::Named(id) => {
                let id = own(id, rule_book);
                let is_meant = |claim: Claim<'_>| {
                    let ids = claim.ids();
                    ids.iter().any(|named| own(*named, rule_book) == id)
                };
                entries_of(&Index::new(log)?, [id; 2], &is_meant)?
            }
        };
        if withdrawn.entries.is_empty()
            && let Target::Named(id) = target
        {
            let id = own(id, rule_book).to_buf();
            return Err(StoreError::NotNamed { id });
        }
        if let Some(base) = snapshots::all(log.read)?.iter().rfind(|it| it.is_base) {
            return Err(StoreError::NotFromClaims {
                sequence: base.sequence,
            });
        }
        Ok(withdrawn)
    }
}

impl<R: IdentityResolver> Durable<R> {
    /// Withdraws the claim of an entry: the state becomes exactly that of the same events without
    /// those that have made the claim so far (LG-1, LG-2). Other events may have said the same in
    /// another way; they count. A later claim that was rejected because of this one is accepted now,
    /// and the reverse. An event that makes the claim after the retraction counts too. Commits.
    ///
    /// The retraction is an entry, with a name and a reason. Withdrawing it brings the claim
    /// back. Withdrawing what is withdrawn already changes nothing; [`Retraction::is_new`] says so.
    ///
    /// Only the entries that are connected with the claim are folded again; to find them quickly the
    /// [index](Self::index) should be up to date.
    ///
    /// ```
    /// use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Resolve};
    /// # use idmerge_store::{Cause, Durable, Options};
    /// # use idmerge_simplified::Simplified;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let mut store = Durable::open(folder.path(), Simplified::default, Options::default())?;
    /// let [device, user] = ["D1", "U1"].map(|text| Id::new(text).unwrap());
    /// store.apply(Claim::Link { device, user })?;
    ///
    /// let retraction = store.retract(1, "ada", "a shared tablet", Cause::default())?;
    /// assert_eq!(store.resolve(DistinctId::device(device)), *"$device:D1");
    ///
    /// store.retract(retraction.sequence, "ada", "it was hers after all", Cause::default())?;
    /// assert_eq!(store.resolve(DistinctId::device(device)), *"U1");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`]; [`StoreError::NotRetractable`] if the entry has no claim of the
    /// rule book of the store; [`StoreError::NotFromClaims`] if a snapshot was loaded into the store;
    /// and if the disk fails. The state is then as it was. If the disk fails in the middle, the store
    /// answers [`StoreError::Failed`] from then on and must be opened again.
    pub fn retract(
        &mut self,
        sequence: u64,
        who: &str,
        why: &str,
        cause: Cause<'_>,
    ) -> Result<Retraction, StoreError> {
        self.withdraw(Target::Entry(sequence), who, why, cause)
    }

    /// Withdraws every claim that names an ID, as [`retract`](Self::retract) withdraws one. One entry
    /// of the log does it, so a crash keeps all or none, and withdrawing that entry brings all
    /// back. Claims of the other rule book are not withdrawn. Commits.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotNamed`] if no claim names the ID, and those of [`retract`](Self::retract).
    pub fn detach(
        &mut self,
        id: DistinctId<'_>,
        who: &str,
        why: &str,
        cause: Cause<'_>,
    ) -> Result<Retraction, StoreError> {
        self.withdraw(Target::Named(id), who, why, cause)
    }

    /// As [`retract`](Self::retract) or [`detach`](Self::detach), for either target.
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn withdraw(
        &mut self,
        target: Target<'_>,
        who: &str,
        why: &str,
        cause: Cause<'_>,
    ) -> Result<Retraction, StoreError> {
        self.commit()?;
        let read = self.commits.begin_read()?;
        let log = Log::committed(&read, self.committed());
        let rule_book = self.state.overlay.any().rule_book();
        let Withdrawn { entries, claims } = Withdrawn::of(target, log, rule_book)?;
        if let Some(already) = Retraction::already(&Index::new(log)?, &entries)? {
            return Ok(already);
        }
        let detached = match target {
            Target::Entry(_) => None,
            Target::Named(id) => Some(own(id, rule_book)),
        };
        let tail = self.commits.tail_mut();
        // Until the state follows, it differs from the log.
        self.failed = true;
        let bytes = Sequences::encode(entries.iter().copied());
        tail.retracted(Sequences::of(&bytes), detached, [who, why], cause);
        let log = Log::with_tail(&read, tail);
        let before = self.state.withdraw(&entries, log)?;
        self.seen_claims.withdraw_entries(&entries, log)?;
        self.failed = false;
        let sequence = self.commit()?;
        let changes = changed(sequence, &before, self);
        Ok(Retraction {
            sequence,
            is_new: true,
            claims,
            changes,
        })
    }
}

/// The entries that are withdrawn with this one: all entries of its claim (LG-2).
fn entries_with(log: Log<'_>, sequence: u64) -> Result<Withdrawn, StoreError> {
    let mut is_retraction = false;
    let mut named = None;
    log.entry(sequence, |entry| match entry.what {
        What::Claim { claim, outcome } if outcome != Outcome::Ignored => {
            named = Some((claim.kind(), claim.ids().map(|id| id.to_buf())));
        }
        What::Retracted { .. } => is_retraction = true,
        _ => {}
    })?;
    if is_retraction {
        return Ok(Withdrawn {
            entries: BTreeSet::from([sequence]),
            claims: 0,
        });
    }
    let (kind, ids) = named.ok_or(StoreError::NotRetractable { sequence })?;
    let ids = ids.each_ref().map(|id| id.as_id());
    let claim = Claim::new(kind, ids.map(|id| id.id()));
    entries_of(&Index::new(log)?, ids, &|other| other == claim)
}

/// The entries of some claims that name both IDs.
fn entries_of(
    index: &Index<'_>,
    ids: [DistinctId<'_>; 2],
    is_meant: &dyn Fn(Claim<'_>) -> bool,
) -> Result<Withdrawn, StoreError> {
    let [first, second] = ids.map(|id| index.entries([id.id()].into_iter()));
    let named: BTreeSet<u64> = first?.intersection(&second?).copied().collect();
    let withdrawn = index.withdrawn()?;
    let mut entries = BTreeSet::new();
    let mut counting = HashSet::new();
    index.log.each_of(&named, &mut |entry| {
        // An entry is here too if the hash of one of its IDs is that of another ID.
        if let What::Claim { claim, .. } = entry.what
            && is_meant(claim)
        {
            entries.insert(entry.sequence);
            if !withdrawn.contains(&entry.sequence) {
                counting.insert((claim.kind(), claim.ids().map(|id| id.to_buf())));
            }
        }
        Ok(())
    })?;
    Ok(Withdrawn {
        entries,
        claims: counting.len() as u64,
    })
}

/// The last retraction that withdrew one of these entries, if all of them are withdrawn.
fn withdrawn_by(index: &Index<'_>, entries: &BTreeSet<u64>) -> Result<Option<u64>, StoreError> {
    let withdrawn = index.withdrawn()?;
    if !entries.iter().all(|entry| withdrawn.contains(entry)) {
        return Ok(None);
    }
    let retractions = index.retractions()?;
    let by = retractions.iter().rfind(|(sequence, retracted)| {
        !withdrawn.contains(sequence) && retracted.iter().any(|it| entries.contains(it))
    });
    Ok(by.map(|(by, _)| *by))
}

/// The changes of the IDs that have another canonical ID than before.
fn changed(sequence: u64, before: &[Before], now: &impl Resolve) -> Vec<Change> {
    let all = before.iter().map(|(id, from)| (id.as_id(), from.as_id()));
    all.map(|(id, from)| [id, from, now.resolve(id)])
        .filter(|[_, from, to]| from != to)
        .map(|ids| Change::new(sequence, ids, Cause::default()))
        .collect()
}
