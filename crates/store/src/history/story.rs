//! The story of a user, in parts: the claims that name its IDs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use idmerge_core::{Claim, DistinctId, DistinctIdBuf, IdentityResolver, Resolve};

use crate::error::StoreError;
use crate::history::History;
use crate::history::log_entry::LogEntry;
use crate::log::component::Connection;
use crate::log::entry::{What, own};
use crate::log::index::{Index, fingerprint};
use crate::state::overlay::members;

/// The most entries that are read for one part of a story.
const PART_ENTRIES: usize = 2_000;

/// The claims that name some IDs of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoryPart {
    /// The claims in arrival order, with the answers that count now.
    pub claims: Vec<LogEntry>,
    /// For how many of the IDs there are no more claims.
    pub complete: usize,
    /// The last entry that was read for the ID after those: to continue, pass that ID as the first one
    /// and this number. 0 if nothing was read for it.
    pub read_until: u64,
}

impl<R: IdentityResolver> History<R> {
    /// The claims that name a member of the cluster of an ID, in arrival order, with the answers that
    /// count now. `engine` must have the state of this history.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn story(
        &self,
        engine: &dyn Resolve,
        id: DistinctId<'_>,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let id = own(id, engine.rule_book());
        let canonical = engine.resolve(id);
        let is_of_user = |id: DistinctId<'_>| engine.resolve(id) == canonical;
        let members: Vec<_> = members(engine.cluster(id), id)
            .into_iter()
            .map(DistinctIdBuf::from)
            .collect();
        let part = self.part_of_story(&members, 0, &is_of_user, usize::MAX)?;
        Ok(part.claims)
    }

    /// A part of the story of a user: claims that name one of these members of its cluster. A claim
    /// that names two IDs of the user is told with one of them, so it is in one part.
    ///
    /// The work is in proportion to the members and to the part, which has at most 2,000 claims. For the
    /// first member the claims after the entry `after` are told. If a claim was ever withdrawn, all claims
    /// connected with the user are applied again.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn story_part(
        &self,
        members: &[DistinctIdBuf],
        after: u64,
        is_of_user: &dyn Fn(DistinctId<'_>) -> bool,
    ) -> Result<StoryPart, StoreError> {
        self.part_of_story(members, after, is_of_user, PART_ENTRIES)
    }

    /// A part for which at most `entries_max` entries are read.
    fn part_of_story(
        &self,
        members: &[DistinctIdBuf],
        after: u64,
        is_of_user: &dyn Fn(DistinctId<'_>) -> bool,
        entries_max: usize,
    ) -> Result<StoryPart, StoreError> {
        let mut keys = Vec::new();
        for member in members {
            let after = if keys.is_empty() { after } else { 0 };
            keys.push((fingerprint(member.as_id().id()), after));
        }
        let index = Index::new(self.log())?;
        let read = index.first_entries(&keys, entries_max)?;
        let is_full = read.iter().map(BTreeSet::len).sum::<usize>() == entries_max;
        let mut part = StoryPart {
            complete: members.len(),
            ..StoryPart::default()
        };
        if is_full {
            // There may be more about the last one.
            part.complete = read.len() - 1;
            part.read_until = read
                .last()
                .and_then(BTreeSet::last)
                .copied()
                .unwrap_or(after);
        }
        let read_for: HashMap<DistinctId<'_>, BTreeSet<u64>> =
            members.iter().map(DistinctIdBuf::as_id).zip(read).collect();
        let claims = self.told(&index, &read_for, is_of_user)?;
        part.claims = claims.into_values().collect();
        Ok(part)
    }

    /// The claims among the entries that were read for some members that are told with these members.
    fn told(
        &self,
        index: &Index<'_>,
        read_for: &HashMap<DistinctId<'_>, BTreeSet<u64>>,
        is_of_user: &dyn Fn(DistinctId<'_>) -> bool,
    ) -> Result<BTreeMap<u64, LogEntry>, StoreError> {
        let mut engine = (self.fresh)();
        let rule_book = engine.rule_book();
        let withdrawn = index.withdrawn()?;
        let all: BTreeSet<u64> = read_for.values().flatten().copied().collect();
        let mut claims = BTreeMap::new();
        index.log.each_of(&all, &mut |entry| {
            if let What::Claim { claim, outcome } = entry.what
                && let Some(teller) = tellers(claim).into_iter().find(|id| is_of_user(*id))
                && read_for
                    .get(&teller)
                    .is_some_and(|read| read.contains(&entry.sequence))
            {
                let mut shown = LogEntry::from(entry);
                shown.answered_now(outcome, rule_book);
                shown.withdrawn = withdrawn.contains(&entry.sequence);
                claims.insert(entry.sequence, shown);
            }
            Ok(())
        })?;
        if claims.is_empty() || index.retractions()?.is_empty() {
            return Ok(claims);
        }
        // After a retraction other claims may have other answers than in the log.
        let ids = read_for.keys().map(DistinctId::id);
        let component = index.component(ids, Connection::Attempted)?;
        index.log.each_of(&component, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what
                && !withdrawn.contains(&entry.sequence)
            {
                let outcome = engine.apply(claim)?;
                if let Some(shown) = claims.get_mut(&entry.sequence) {
                    *shown = LogEntry::from(entry);
                    shown.answered_now(outcome, rule_book);
                }
            }
            Ok(())
        })?;
        Ok(claims)
    }
}

/// The IDs with which a claim is told: with the first one that is of the user. In a link the user is the
/// first one, since a cluster begins with it.
fn tellers(claim: Claim<'_>) -> [DistinctId<'_>; 2] {
    let [first, second] = claim.ids();
    match claim {
        Claim::Link { .. } => [second, first],
        _ => [first, second],
    }
}
