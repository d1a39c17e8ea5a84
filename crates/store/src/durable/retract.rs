//! Withdrawing what was logged.

use std::sync::PoisonError;

use idmerge_core::{DistinctId, IdentityResolver};
use redb::ReadableDatabase;

use crate::durable::Durable;
use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::{Cause, What};
use crate::log::index::Index;
use crate::log::snapshots;
use crate::state::overlay::Before;
use crate::state::owned::OwnedId;

/// What a retraction did.
#[derive(Clone, Debug)]
pub struct Retraction {
    /// The number of its entry, with which it can be withdrawn in turn.
    pub sequence: u64,
    remaps: Vec<[OwnedId; 3]>,
}

impl Retraction {
    /// Each id that has another canonical one now: the id, what it resolved to, and what it
    /// resolves to.
    pub fn remaps(&self) -> impl Iterator<Item = [DistinctId<'_>; 3]> {
        self.remaps
            .iter()
            .map(|remap| remap.each_ref().map(OwnedId::get))
    }
}

impl<R: IdentityResolver> Durable<R> {
    /// Withdraws an entry, exactly: the state becomes what the log without that entry gives. Later
    /// claims that were rejected because of it are accepted now, and the other way round. Commits.
    ///
    /// The retraction is an entry itself, with who and why, and withdrawing it brings the first
    /// entry back. What hangs together with the claim by other claims is folded again and nothing
    /// else; for that the [index](Self::index) should be up to date.
    ///
    /// What the log does not have cannot come to count: a claim that said nothing new when it came
    /// (its ids were one user already, by others) is not in it.
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
    /// [`StoreError::NoSuchEntry`]; [`StoreError::RetractedAlready`];
    /// [`StoreError::NotRetractable`] for an entry of no claim of the store's rules;
    /// [`StoreError::NotFromClaims`] in a store whose state was replaced by one from elsewhere; and
    /// where the disk fails. The state is then as it was, except after an error of the disk in the
    /// middle, after which the store says [`StoreError::Failed`] and must be opened again.
    pub fn retract(
        &mut self,
        sequence: u64,
        who: &str,
        why: &str,
        cause: Cause<'_>,
    ) -> Result<Retraction, StoreError> {
        self.commit()?;
        self.may_be_retracted(sequence)?;
        let tail = self.tail.get_mut().unwrap_or_else(PoisonError::into_inner);
        // From here on the log says more than the state.
        self.failed = true;
        tail.retracted(sequence, who, why, cause);
        let read = self.database.begin_read()?;
        let before = self.state.withdraw(sequence, Log::with_tail(&read, tail))?;
        drop(read);
        self.failed = false;
        let sequence = self.commit()?;
        let remaps = remapped(before, self);
        Ok(Retraction { sequence, remaps })
    }

    fn may_be_retracted(&self, sequence: u64) -> Result<(), StoreError> {
        let read = self.database.begin_read()?;
        let log = Log::committed(&read, self.committed());
        let is_retractable = log.entry(sequence, |entry| match entry.what {
            What::Claim { outcome, .. } => outcome != idmerge_core::Outcome::Ignored,
            What::Retracted { .. } => true,
            What::Replaced => false,
        })?;
        if !is_retractable {
            return Err(StoreError::NotRetractable { sequence });
        }
        if let Some(base) = snapshots::all(&read)?.iter().rfind(|it| it.is_base) {
            return Err(StoreError::NotFromClaims {
                sequence: base.sequence,
            });
        }
        let index = Index::new(log)?;
        if index.withdrawn()?.contains(&sequence) {
            let retractions = index.retractions()?;
            let by = retractions
                .iter()
                .rfind(|(_, retracted)| *retracted == sequence);
            return Err(StoreError::RetractedAlready {
                sequence,
                by: by.map_or(0, |(by, _)| *by),
            });
        }
        Ok(())
    }
}

/// Of these ids those that have another canonical one now.
pub(crate) fn remapped(before: Vec<Before>, now: &impl IdentityResolver) -> Vec<[OwnedId; 3]> {
    let all = before.into_iter().map(|(id, from)| {
        let to = OwnedId::new(now.resolve(id.get()));
        [id, from, to]
    });
    all.filter(|[_, from, to]| from != to).collect()
}
