//! The state after retractions: the main engine, and an engine for each part of its state that was
//! folded again.
//!
//! Engines never undo a merge. When an entry is withdrawn, the claims connected with it (law 9) are
//! folded again without it into an engine of their own: a part. From then on the part answers for
//! its IDs and the main engine does not. The next snapshot has the whole state in one engine again, and
//! so has this process once making parts has taken as much work as folding the log.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::{fmt, io};

use idmerge_core::{
    Claim, Cluster, DistinctId, DistinctIdBuf, IdentityResolver, ImageSource, Outcome,
    SnapshotError,
};

use crate::error::StoreError;
use crate::log::Log;
use crate::log::component::Connection;
use crate::log::entry::{What, own};
use crate::log::index::{Index, fingerprint};

/// Makes an empty engine.
pub(crate) type Fresh<R> = Arc<dyn Fn() -> R + Send + Sync>;

pub(crate) struct Overlay<R> {
    pub(crate) fresh: Fresh<R>,
    /// Answers for every ID that is in no part.
    main: R,
    /// By number, so that the order of clusters is the same every time.
    parts: BTreeMap<u64, R>,
    /// The IDs that are in a part and the number of the part, by the fingerprint of the ID.
    part_of: HashMap<u64, Vec<(DistinctIdBuf, u64)>>,
    /// How many of the IDs that are in a part have a cluster in the main engine, which does not count any more.
    /// The main engine takes no claims of these IDs, so the number changes only with `part_of`.
    obsolete_ids: usize,
    /// How many entries were read to make parts.
    refolded: u64,
}

/// Which engine must apply a claim.
enum Place<'a> {
    Main,
    Part(u64),
    /// The part, once it has this ID too, which has no state.
    PartWith(u64, DistinctId<'a>),
    /// A new part of everything that is connected with these IDs.
    NewPart([DistinctId<'a>; 2]),
}

/// An ID, and its canonical ID before a change.
pub(crate) type Before = (DistinctIdBuf, DistinctIdBuf);

impl<R: IdentityResolver> Overlay<R> {
    pub(crate) fn new(fresh: Fresh<R>) -> Self {
        let main = fresh();
        Self::with(fresh, main)
    }

    /// The state of an engine.
    pub(crate) fn with(fresh: Fresh<R>, main: R) -> Self {
        Self {
            main,
            fresh,
            parts: BTreeMap::new(),
            part_of: HashMap::new(),
            obsolete_ids: 0,
            refolded: 0,
        }
    }

    /// The engine with the whole state; `None` if there are parts.
    pub(crate) fn whole(&self) -> Option<&R> {
        self.parts.is_empty().then_some(&self.main)
    }

    pub(crate) fn whole_mut(&mut self) -> Option<&mut R> {
        self.parts.is_empty().then_some(&mut self.main)
    }

    /// The main engine. The caller knows that there are no parts.
    pub(crate) fn into_whole(self) -> R {
        self.main
    }

    /// Any of the engines, for questions about rules and settings.
    pub(crate) fn any(&self) -> &R {
        &self.main
    }

    /// Replaces the whole state by that of a snapshot. After an error the state is as before.
    pub(crate) fn replace(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.main.read_snapshot(source)?;
        self.is_replaced();
        Ok(())
    }

    /// As [`replace`](Self::replace), by that of the snapshot that the image is of.
    pub(crate) fn replace_by_image(
        &mut self,
        image: &dyn ImageSource,
    ) -> Result<(), SnapshotError> {
        self.main.read_image(image)?;
        self.is_replaced();
        Ok(())
    }

    fn is_replaced(&mut self) {
        self.parts.clear();
        self.part_of.clear();
        self.obsolete_ids = 0;
        self.refolded = 0;
    }

    fn part(&self, id: DistinctId<'_>) -> Option<u64> {
        let id = own(id, self.main.rule_book());
        let known = self.part_of.get(&fingerprint(id.id()))?;
        let found = known.iter().find(|(other, _)| other.as_id() == id);
        found.map(|(_, part)| *part)
    }

    /// The engine that answers for an ID.
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

    pub(crate) fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        self.of(id).cluster_len(id)
    }

    pub(crate) fn is_clustered(&self, id: DistinctId<'_>) -> bool {
        self.of(id).is_clustered(id)
    }

    pub(crate) fn erased_with<'a>(
        &'a self,
        id: DistinctId<'a>,
    ) -> Box<dyn Iterator<Item = DistinctId<'a>> + 'a> {
        self.of(id).erased_with(id)
    }

    /// How many IDs are in clusters.
    pub(crate) fn clustered_ids(&self) -> usize {
        let of_parts: usize = self.parts.values().map(R::clustered_ids).sum();
        self.main.clustered_ids() + of_parts - self.obsolete_ids
    }

    pub(crate) fn members_after<'a>(
        &'a self,
        id: DistinctId<'a>,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Option<Vec<DistinctId<'a>>> {
        self.of(id).members_after(id, after, limit)
    }

    /// All clusters. Those of parts come last.
    pub(crate) fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.cluster_parts(usize::MAX)
    }

    /// All clusters, each in parts with at most this many members. Those of parts of the state come last.
    pub(crate) fn cluster_parts(
        &self,
        members_max: usize,
    ) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        let main = self.main.cluster_parts(members_max);
        if self.parts.is_empty() {
            return main;
        }
        let parts = self.parts.values();
        let parts = parts.flat_map(move |part| part.cluster_parts(members_max));
        Box::new(
            main.filter(|cluster| self.part(cluster.canonical).is_none())
                .chain(parts),
        )
    }

    /// Applies a claim. `log` must end before the entry of the claim. It is read only if the claim joins
    /// a part with something else.
    pub(crate) fn apply<'a>(
        &'a mut self,
        claim: Claim<'a>,
        log: Log<'_>,
    ) -> Result<Outcome<'a>, StoreError> {
        let part = self.part_for(claim, log)?;
        let part = part.and_then(|part| self.parts.get_mut(&part));
        Ok(part.unwrap_or(&mut self.main).apply(claim)?)
    }

    /// How many entries were read to make parts since the state was in one engine.
    pub(crate) fn refolded(&self) -> u64 {
        self.refolded
    }

    /// Whether a claim can be applied only after entries were folded again.
    pub(crate) fn must_fold(&self, claim: Claim<'_>) -> bool {
        matches!(self.place(claim), Place::NewPart(_))
    }

    fn place<'a>(&self, claim: Claim<'a>) -> Place<'a> {
        if self.parts.is_empty() || !self.main.rule_book().weighs(claim.kind()) {
            return Place::Main;
        }
        let ids = claim.ids();
        let (part, other) = match ids.map(|id| self.part(id)) {
            [None, None] => return Place::Main,
            [Some(part), None] => (part, ids[1]),
            [None, Some(part)] => (part, ids[0]),
            [Some(first), Some(second)] if first == second => return Place::Part(first),
            [Some(_), Some(_)] => return Place::NewPart(ids),
        };
        // An ID without a cluster has no state in the main engine that would have to move.
        if self.main.is_clustered(other) {
            Place::NewPart(ids)
        } else {
            Place::PartWith(part, other)
        }
    }

    /// The part that must apply a claim. Before, it moves everything that the claim joins into the part.
    fn part_for(&mut self, claim: Claim<'_>, log: Log<'_>) -> Result<Option<u64>, StoreError> {
        Ok(match self.place(claim) {
            Place::Main => None,
            Place::Part(part) => Some(part),
            Place::PartWith(part, other) => {
                let other = own(other, self.main.rule_book()).to_buf();
                self.put(other, part);
                Some(part)
            }
            Place::NewPart(ids) => Some(self.fold_again(ids, log)?.0),
        })
    }

    /// Folds the claims connected with these IDs again, without the withdrawn ones, into a new part.
    /// Returns the number of the part, and its IDs with their canonical IDs of before.
    pub(crate) fn fold_again(
        &mut self,
        ids: [DistinctId<'_>; 2],
        log: Log<'_>,
    ) -> Result<(u64, Vec<Before>), StoreError> {
        let index = Index::new(log)?;
        let withdrawn = index.withdrawn()?;
        let entries = index.component(ids.iter().map(DistinctId::id), Connection::Attempted)?;

        let rule_book = self.main.rule_book();
        let own = |id: DistinctId<'_>| own(id, rule_book).to_buf();
        let mut members: HashSet<DistinctIdBuf> = ids.map(own).into();
        log.each_of(&entries, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what {
                members.extend(claim.ids().map(own));
            }
            Ok(())
        })?;
        self.refolded += index.scanned();
        let mut engine = (self.fresh)();
        log.each_of(&entries, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what
                && !withdrawn.contains(&entry.sequence)
            {
                engine.apply(claim)?;
            }
            Ok(())
        })?;

        let mut before: Vec<Before> = members
            .into_iter()
            .map(|id| {
                let canonical = self.resolve(id.as_id()).to_buf();
                (id, canonical)
            })
            .collect();
        before.sort_unstable();
        // The new part has every ID of the parts that these IDs were in: those parts are obsolete.
        let emptied: HashSet<u64> = before
            .iter()
            .filter_map(|(id, _)| self.part(id.as_id()))
            .collect();
        for number in &emptied {
            self.parts.remove(number);
        }
        for (id, _) in &before {
            self.take_out(id);
        }
        let part = self.parts.last_key_value().map_or(0, |(last, _)| last + 1);
        self.parts.insert(part, engine);
        for (id, _) in &before {
            self.put(id.clone(), part);
        }
        Ok((part, before))
    }

    /// Removes an ID from the part that it is in.
    fn take_out(&mut self, id: &DistinctIdBuf) {
        if let Entry::Occupied(mut known) = self.part_of.entry(fingerprint(id.as_id().id())) {
            let known_ids = known.get().len();
            known.get_mut().retain(|(other, _)| other != id);
            if known.get().len() < known_ids && self.main.is_clustered(id.as_id()) {
                self.obsolete_ids -= 1;
            }
            if known.get().is_empty() {
                known.remove();
            }
        }
    }

    /// Puts an ID that is in no part into one.
    fn put(&mut self, id: DistinctIdBuf, part: u64) {
        if self.main.is_clustered(id.as_id()) {
            self.obsolete_ids += 1;
        }
        let known = self
            .part_of
            .entry(fingerprint(id.as_id().id()))
            .or_default();
        known.push((id, part));
    }
}

/// The members of the cluster of an ID, or the ID alone if it has no cluster.
pub(crate) fn members<'a>(cluster: Option<Cluster<'a>>, id: DistinctId<'a>) -> Vec<DistinctId<'a>> {
    cluster.map_or_else(|| vec![id], |cluster| cluster.members)
}

impl<R: fmt::Debug> fmt::Debug for Overlay<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("main", &self.main)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}
