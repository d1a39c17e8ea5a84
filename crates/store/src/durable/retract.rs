//! Withdrawing an entry of the log.

use std::sync::PoisonError;

use idmerge_core::{IdentityResolver, Outcome, Resolve};
use redb::ReadableDatabase;

use crate::durable::Durable;
use crate::error::StoreError;
use crate::history::changes::Change;
use crate::log::Log;
use crate::log::entry::{Cause, What};
use crate::log::index::Index;
use crate::log::snapshots;
use crate::state::overlay::Before;

/// The result of a retraction.
#[derive(Clone, Debug)]
pub struct Retraction {
    /// The number of the entry of the retraction. Withdraw that entry to undo the retraction.
    pub sequence: u64,
    changes: Vec<Change>,
}

impl Retraction {
    /// Every ID that has another canonical ID now. The changes do not repeat the cause that was given
    /// to [`Durable::retract`].
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

impl<R: IdentityResolver> Durable<R> {
    /// Withdraws an entry: the state becomes exactly that of the log without the entry. A later claim
    /// that was rejected because of the entry is accepted now, and the reverse. Commits.
    ///
    /// The retraction is an entry too, with a name and a reason. Withdrawing it brings the first entry
    /// back.
    /// Only the entries that are connected with the claim are folded again; to find them quickly the
    /// [index](Self::index) should be up to date.
    ///
    /// A claim that has no entry cannot count afterwards. A claim has no entry if its IDs were one
    /// user already when it arrived.
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
    /// [`StoreError::NotRetractable`] if the entry has no claim of the rule book of the store;
    /// [`StoreError::NotFromClaims`] if a snapshot was loaded into the store; and if the
    /// disk fails. The state is then as it was. If the disk fails in the middle, the store answers
    /// [`StoreError::Failed`] from then on and must be opened again.
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
        // Until the state follows, it differs from the log.
        self.failed = true;
        tail.retracted(sequence, who, why, cause);
        let read = self.database.begin_read()?;
        let before = self.state.withdraw(sequence, Log::with_tail(&read, tail))?;
        drop(read);
        self.failed = false;
        let sequence = self.commit()?;
        let changes = changed(sequence, &before, self);
        Ok(Retraction { sequence, changes })
    }

    fn may_be_retracted(&self, sequence: u64) -> Result<(), StoreError> {
        let read = self.database.begin_read()?;
        let log = Log::committed(&read, self.committed());
        let is_retractable = log.entry(sequence, |entry| match entry.what {
            What::Claim { outcome, .. } => outcome != Outcome::Ignored,
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

/// The changes of the IDs that have another canonical ID than before.
fn changed(sequence: u64, before: &[Before], now: &impl Resolve) -> Vec<Change> {
    let all = before.iter().map(|(id, from)| (id.as_id(), from.as_id()));
    all.map(|(id, from)| [id, from, now.resolve(id)])
        .filter(|[_, from, to]| from != to)
        .map(|ids| Change::new(sequence, ids, Cause::default()))
        .collect()
}
