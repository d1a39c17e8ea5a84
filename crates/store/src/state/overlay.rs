//! An engine, and beside it engines of those parts of its state that were folded again.
//!
//! Overlay never undo a merge. So where an entry is withdrawn, all that hangs together with it
//! (law 9) is folded again without it, into an engine of its own, and the first engine is not asked
//! about these ids any more. Opening the store, or its next snapshot, makes one engine of all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::{fmt, io};

use idmerge_core::{Claim, Cluster, DistinctId, IdentityResolver, Outcome, SnapshotError};

use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::What;
use crate::log::index::{Index, fingerprint};
use crate::state::owned::{OwnedId, distinct_ids};
use crate::state::seen_claims::SeenClaims;

/// Makes an engine that has weighed nothing yet.
pub(crate) type Fresh<R> = Arc<dyn Fn() -> R + Send + Sync>;

pub(crate) struct Overlay<R> {
    pub(crate) fresh: Fresh<R>,
    /// What is in no part.
    main: R,
    /// By number, so that they are asked in the same order every time.
    parts: BTreeMap<u64, R>,
    /// By a hash of the id: which ids are in a part, and in which.
    part_of: HashMap<u64, Vec<(OwnedId, u64)>>,
}

/// An id, and its canonical one of before.
pub(crate) type Before = (OwnedId, OwnedId);

impl<R: IdentityResolver> Overlay<R> {
    pub(crate) fn new(fresh: Fresh<R>) -> Self {
        Self {
            main: fresh(),
            fresh,
            parts: BTreeMap::new(),
            part_of: HashMap::new(),
        }
    }

    /// Whether all is in one engine, which then can be written down.
    pub(crate) fn whole(&self) -> Option<&R> {
        self.parts.is_empty().then_some(&self.main)
    }

    pub(crate) fn whole_mut(&mut self) -> Option<&mut R> {
        self.parts.is_empty().then_some(&mut self.main)
    }

    /// The one engine that there is where nothing was folded again.
    pub(crate) fn into_whole(self) -> R {
        self.main
    }

    /// The engine, to be asked about what all have in common.
    pub(crate) fn any(&self) -> &R {
        &self.main
    }

    /// Takes the state of a snapshot in place of all that there was. Where it cannot be read all is
    /// as before.
    pub(crate) fn replace(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.main.read_snapshot(source)?;
        self.parts.clear();
        self.part_of.clear();
        Ok(())
    }

    fn part(&self, id: DistinctId<'_>) -> Option<u64> {
        let id = self.own(id);
        let known = self.part_of.get(&fingerprint(id.id()))?;
        let found = known.iter().find(|(other, _)| other.get() == id);
        found.map(|(_, part)| *part)
    }

    /// The id as the engine keeps it: in Original the mark is no part of it (rule O-1).
    fn own<'a>(&self, id: DistinctId<'a>) -> DistinctId<'a> {
        if self.main.rule_book().has_device_namespace() {
            id
        } else {
            DistinctId::plain(id.id())
        }
    }

    /// The engine that knows an id, if one does.
    fn of(&self, id: DistinctId<'_>) -> &R {
        if self.parts.is_empty() {
            return &self.main;
        }
        let part = self.part(id).and_then(|part| self.parts.get(&part));
        part.unwrap_or(&self.main)
    }

    #[inline]
    pub(crate) fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.of(id).resolve(id)
    }

    #[inline]
    pub(crate) fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        if self.parts.is_empty() {
            return self.main.resolve_batch(ids);
        }
        for id in ids {
            *id = self.resolve(*id);
        }
    }

    pub(crate) fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.of(id).cluster(id)
    }

    /// Those that were folded again come last.
    pub(crate) fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        if self.parts.is_empty() {
            return self.main.clusters();
        }
        let main = self.main.clusters();
        let parts = self.parts.values().flat_map(R::clusters);
        Box::new(
            main.filter(|cluster| self.part(cluster.canonical).is_none())
                .chain(parts),
        )
    }

    /// Weighs a claim. The log goes up to the entry before it; it is read only where the claim
    /// joins a part and something else.
    pub(crate) fn apply<'a>(
        &'a mut self,
        claim: Claim<'a>,
        seen_claims: &mut SeenClaims,
        log: Log<'_>,
    ) -> Result<Outcome<'a>, StoreError> {
        let part = self.part_for(claim, seen_claims, log)?;
        let part = part.and_then(|part| self.parts.get_mut(&part));
        Ok(part.unwrap_or(&mut self.main).apply(claim)?)
    }

    /// The part that a claim is about, after what the claim joins with it was put there.
    fn part_for(
        &mut self,
        claim: Claim<'_>,
        seen_claims: &mut SeenClaims,
        log: Log<'_>,
    ) -> Result<Option<u64>, StoreError> {
        if self.parts.is_empty() || !self.main.rule_book().weighs(claim.kind()) {
            return Ok(None);
        }
        let ids = claim.ids();
        let (part, other) = match ids.map(|id| self.part(id)) {
            [None, None] => return Ok(None),
            [Some(part), None] => (part, ids[1]),
            [None, Some(part)] => (part, ids[0]),
            [Some(first), Some(second)] if first == second => return Ok(Some(first)),
            [Some(_), Some(_)] => {
                let (part, _) = self.fold_again(ids, seen_claims, log)?;
                return Ok(Some(part));
            }
        };
        // Without a cluster nothing is known of an id, so there is nothing to take along.
        if self.main.cluster(other).is_none() {
            self.put(OwnedId::new(self.own(other)), part);
            return Ok(Some(part));
        }
        let (part, _) = self.fold_again(ids, seen_claims, log)?;
        Ok(Some(part))
    }

    /// Folds again all that hangs together with these ids, without what is withdrawn. Answers with
    /// the number of the part, and with the ids in it as they were before.
    pub(crate) fn fold_again(
        &mut self,
        ids: [DistinctId<'_>; 2],
        seen_claims: &mut SeenClaims,
        log: Log<'_>,
    ) -> Result<(u64, Vec<Before>), StoreError> {
        let index = Index::new(log)?;
        let withdrawn = index.withdrawn()?;
        let entries = index.component(ids.iter().map(DistinctId::id))?;

        let mut members: HashSet<OwnedId> = ids.map(|id| OwnedId::new(self.own(id))).into();
        log.each_of(&entries, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what {
                seen_claims.forget(claim);
                for id in distinct_ids(claim).into_iter().flatten() {
                    seen_claims.forget_marks(id.id());
                    members.insert(OwnedId::new(self.own(id)));
                }
            }
            Ok(())
        })?;
        let mut engine = (self.fresh)();
        log.each_of(&entries, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what
                && !withdrawn.contains(&entry.sequence)
            {
                let outcome = engine.apply(claim)?;
                seen_claims.is_news(claim, outcome);
            }
            Ok(())
        })?;

        let mut before: Vec<Before> = members
            .into_iter()
            .map(|id| {
                let canonical = OwnedId::new(self.resolve(id.get()));
                (id, canonical)
            })
            .collect();
        before.sort_unstable();
        // Parts that these ids were in are in this one as a whole.
        let emptied: HashSet<u64> = before
            .iter()
            .filter_map(|(id, _)| self.part(id.get()))
            .collect();
        self.parts.retain(|number, _| !emptied.contains(number));
        for known in self.part_of.values_mut() {
            known.retain(|(_, number)| !emptied.contains(number));
        }
        self.part_of.retain(|_, known| !known.is_empty());
        let part = self.parts.last_key_value().map_or(0, |(last, _)| last + 1);
        self.parts.insert(part, engine);
        for (id, _) in &before {
            self.put(id.clone(), part);
        }
        Ok((part, before))
    }

    fn put(&mut self, id: OwnedId, part: u64) {
        let known = self.part_of.entry(fingerprint(id.get().id())).or_default();
        known.push((id, part));
    }
}

impl<R: fmt::Debug> fmt::Debug for Overlay<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("main", &self.main)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}
