//! What a retraction would change, without changing it.

use std::collections::{BTreeSet, HashSet};

use idmerge_core::{DistinctIdBuf, IdentityResolver};

use crate::durable::retract::{Retraction, Target, Withdrawn};
use crate::error::StoreError;
use crate::history::History;
use crate::history::changes::Change;
use crate::log::component::Connection;
use crate::log::entry::{Cause, What, own};
use crate::log::index::Index;
use crate::state::claimed_ids;

impl<R: IdentityResolver> History<R> {
    /// What a retraction of `target` would answer and change. Only the entries that are connected with it
    /// are read and folded, into engines of their own, so this holds up nobody. The sequence is the number
    /// that the entry would have.
    ///
    /// # Errors
    ///
    /// Those of [`Durable::withdraw`](crate::Durable::withdraw), and [`StoreError::TooManyConnected`] if
    /// more than `connected_max` entries are connected with the claims.
    pub fn preview(
        &self,
        target: Target<'_>,
        connected_max: u64,
    ) -> Result<Retraction, StoreError> {
        let log = self.log();
        let rule_book = (self.fresh)().rule_book();
        let Withdrawn { entries, claims } = Withdrawn::of(target, log, rule_book)?;
        let index = Index::new(log)?;
        if let Some(already) = Retraction::already(&index, &entries)? {
            return Ok(already);
        }
        let connected = match claimed_ids(log, &entries)? {
            Some(ids) => {
                index.component(ids.iter().map(|id| id.as_id().id()), Connection::Attempted)?
            }
            None => BTreeSet::new(),
        };
        if connected.len() as u64 > connected_max {
            return Err(StoreError::TooManyConnected {
                connected: connected.len() as u64,
                max: connected_max,
            });
        }
        let sequence = self.last() + 1;
        Ok(Retraction {
            sequence,
            is_new: true,
            claims,
            changes: self.changes_of(&index, &connected, sequence, &entries)?,
        })
    }

    /// The IDs of some entries that have another canonical ID if `withdrawn` are withdrawn too.
    fn changes_of(
        &self,
        index: &Index<'_>,
        connected: &BTreeSet<u64>,
        sequence: u64,
        withdrawn: &BTreeSet<u64>,
    ) -> Result<Vec<Change>, StoreError> {
        let now = index.withdrawn()?;
        let then = index.withdrawn_with(sequence, withdrawn)?;
        let [mut before, mut after] = [(self.fresh)(), (self.fresh)()];
        let rule_book = before.rule_book();
        let mut ids: HashSet<DistinctIdBuf> = HashSet::new();
        self.log().each_of(connected, &mut |entry| {
            let What::Claim { claim, .. } = entry.what else {
                return Ok(());
            };
            ids.extend(claim.ids().map(|id| own(id, rule_book).to_buf()));
            if !now.contains(&entry.sequence) {
                before.apply(claim)?;
            }
            if !then.contains(&entry.sequence) {
                after.apply(claim)?;
            }
            Ok(())
        })?;
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        let changes = ids.iter().map(|id| {
            let id = id.as_id();
            [id, before.resolve(id), after.resolve(id)]
        });
        Ok(changes
            .filter(|[_, from, to]| from != to)
            .map(|ids| Change::new(sequence, ids, Cause::default()))
            .collect())
    }
}
