//! Rules O-7 to O-18: the guardrails, and the effect of a claim that passes them.

use std::sync::Arc;
use std::{fmt, io};

use idmerge_core::{
    Claim, Cluster, ConcurrentReader, DistinctId, EngineError, Event, Id, IdRules,
    IdentityResolver, ImageSink, ImageSource, InvalidEvent, Outcome, Reading, Rejection, Resolve,
    RuleBook, SnapshotError,
};

use idmerge_state::{Found, Pairs, Probe};

use crate::partition::{Partition, by_age};
use crate::{AnonIdFormat, image, reading, snapshot};

/// The settings of Original ID Merge. The defaults are those of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Settings {
    /// Which texts are IDs (rules ID-2 and ID-4).
    pub id_rules: IdRules,
    /// The most IDs that a cluster may have (rules O-12 and O-18). With 0 or 1 no claim ever
    /// merges. The vendor documents 500; a live project of the vendor counted 501, so use 501 to get
    /// the clusters that it has.
    pub max_cluster_ids: u32,
    /// The anonymous IDs that `$identify` accepts (rule O-8).
    pub anon_id_format: AnonIdFormat,
}

impl Settings {
    /// The most IDs that a cluster may have by default: 500.
    pub const DEFAULT_MAX_CLUSTER_IDS: u32 = 500;

    /// Reads which user an event belongs to, and what it claims. Needs no engine.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] as [`IdentityResolver::read`].
    #[inline]
    pub fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        reading::read(&self.id_rules, event)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            id_rules: IdRules::default(),
            max_cluster_ids: Self::DEFAULT_MAX_CLUSTER_IDS,
            anon_id_format: AnonIdFormat::default(),
        }
    }
}

/// The engine of Original ID Merge, in memory. The documentation of the [crate](crate) describes
/// it.
///
/// It fails only when it holds 4,294,967,295 IDs and gets another one.
#[derive(Default)]
pub struct Original {
    settings: Settings,
    pub(crate) partition: Partition,
}

impl Original {
    /// An engine without clusters.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            partition: Partition::default(),
        }
    }

    /// The settings of this engine.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Rules O-7 to O-15: weighs a claim that names these IDs. `found` has the entries of the IDs
    /// that are in a cluster.
    fn weigh<'a>(
        &'a mut self,
        claim: Claim<'a>,
        [first, second]: [Id<'a>; 2],
        probes: &[Probe<'_>; 2],
        found: [Option<Found>; 2],
    ) -> Result<Outcome<'a>, EngineError> {
        let rejected = |rejection| Ok(Outcome::Rejected(rejection));

        // O-7
        if first == second {
            return rejected(Rejection::SameIds { id: first });
        }
        // O-8
        if let Claim::Identify { anon, .. } = claim
            && !self.settings.anon_id_format.accepts_id(anon)
        {
            return rejected(Rejection::AnonDistinctIdNonGuidForm { anon });
        }
        let partition = &self.partition;
        let together = match found {
            [Some(a), Some(b)] if a.owner == b.owner => Some([a, b]),
            _ => None,
        };
        // O-9
        if let Claim::Alias { alias, .. } = claim
            && together.is_none()
            && found[1].is_some_and(|alias| partition.marks(alias.number).alias)
        {
            return rejected(Rejection::AliasAlreadyExists { alias });
        }
        // O-10
        if let Some(together) = together {
            self.mark(claim, together);
            return Ok(Outcome::AlreadyMerged);
        }
        // O-11: if a cluster has an identified ID, its canonical ID is one (O-15).
        if let Claim::Identify { anon, .. } = claim
            && let Some(found) = found[1]
            && let holder = partition.ids.canonical(found)
            && partition.marks(holder).identified
        {
            let holder = self.partition.ids.id(holder);
            return rejected(Rejection::AnonDistinctIdAssignedAlready { anon, holder });
        }
        // O-12, O-18: a cluster may have exactly as many IDs as the limit.
        let ids_of =
            |id: Option<Found>| id.map_or(1, |id| u64::from(partition.ids.cluster_ids(id)));
        let cluster_ids = ids_of(found[0]) + ids_of(found[1]);
        let max_cluster_ids = u64::from(self.settings.max_cluster_ids);
        if cluster_ids > max_cluster_ids {
            return rejected(Rejection::ManyIds {
                cluster_ids,
                max_cluster_ids,
            });
        }
        partition.ids.check_room(found)?;

        // O-14
        let identifies = matches!(claim, Claim::Identify { .. });
        let united = self.partition.unite(probes, found, identifies);
        if let Claim::Alias { .. } = claim {
            self.partition.mark_alias(united[1]);
        }
        Ok(Outcome::Merged)
    }

    /// O-13: an accepted claim marks the IDs that it names. Those of this one are in one cluster already.
    fn mark(&mut self, claim: Claim<'_>, named: [Found; 2]) {
        let [first, second] = named;
        match claim {
            Claim::Identify { .. } => self.partition.mark_identified(first),
            Claim::Alias { .. } => self.partition.mark_alias(second),
            _ => {}
        }
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Original")
            .field("ids", &self.partition.ids.len())
            .finish_non_exhaustive()
    }
}

/// The two IDs that a claim names, in the order of O-14, or `None` for a claim of another rule
/// book.
fn named<'a>(claim: Claim<'a>) -> Option<[Id<'a>; 2]> {
    match claim {
        Claim::Identify { identified, anon } => Some([identified, anon]),
        Claim::Alias { distinct_id, alias } => Some([distinct_id, alias]),
        Claim::Merge { first, second } => Some([first, second]),
        _ => None,
    }
}

impl Resolve for Original {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Original
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        // O-16: the prefix of a device does not count (O-1). An ID in no cluster resolves to
        // itself.
        self.partition.ids.resolve(id)
    }

    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        self.partition.ids.resolve_batch(ids);
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.partition.ids.cluster(id, by_age)
    }

    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        self.partition.ids.cluster_len(id)
    }

    fn clustered_ids(&self) -> usize {
        self.partition.ids.len() as usize
    }

    fn members_after<'a>(
        &'a self,
        id: DistinctId<'a>,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Option<Vec<DistinctId<'a>>> {
        self.partition.ids.members_after(id, after, limit, by_age)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        let ids = &self.partition.ids;
        Box::new(ids.clusters(0..ids.len(), by_age))
    }

    fn concurrent_reader(&self) -> Option<&Arc<dyn ConcurrentReader>> {
        Some(self.partition.ids.concurrent_reader())
    }
}

impl IdentityResolver for Original {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.settings.read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        let Some(named) = named(claim) else {
            return Ok(Outcome::Ignored);
        };
        let ids = &self.partition.ids;
        let probes = named.map(|id| ids.probe(id));
        let found = probes.map(|probe| ids.find_named(&probe));
        self.weigh(claim, named, &probes, found)
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        for claims in claims.chunks(Pairs::MAX) {
            let mut pairs = Pairs::find(&self.partition.ids, claims.iter().copied().map(named));
            for (number, &claim) in claims.iter().enumerate() {
                let Some(named) = named(claim) else {
                    outcome(Outcome::Ignored);
                    continue;
                };
                let (probes, found) = pairs.now(number, &self.partition.ids);
                outcome(self.weigh(claim, named, probes, found)?);
            }
        }
        Ok(())
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        snapshot::write(&self.partition, sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.partition = snapshot::read(source, self.settings.max_cluster_ids)?;
        Ok(())
    }

    fn write_image(
        &self,
        snapshot: &mut dyn io::Read,
        sink: &mut dyn ImageSink,
    ) -> Result<bool, SnapshotError> {
        image::write(snapshot, sink)?;
        Ok(true)
    }

    fn read_image(&mut self, image: &dyn ImageSource) -> Result<(), SnapshotError> {
        self.partition = image::read(image, self.settings.max_cluster_ids)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use idmerge_state::Partition;

    use super::*;

    #[test]
    fn a_full_engine_returns_an_error_and_keeps_its_state() {
        let merge = |a, b| Claim::Merge {
            first: Id::new(a).unwrap(),
            second: Id::new(b).unwrap(),
        };
        let mut engine = Original::default();
        engine.partition.ids = Partition::with_max_ids(3);
        engine.apply(merge("a", "b")).unwrap();
        let error = engine.apply(merge("c", "d")).unwrap_err();
        assert!(matches!(error, EngineError::Full { ids: 2 }));
        assert_eq!(engine.clusters().count(), 1);
        // There is room for one more ID.
        assert_eq!(engine.apply(merge("c", "a")).unwrap(), Outcome::Merged);
        assert_eq!(engine.clusters().next().unwrap().members.len(), 3);
    }

    #[test]
    fn debug_output_shows_the_size_of_an_engine() {
        assert_eq!(
            format!("{:?}", Original::default()),
            "Original { ids: 0, .. }"
        );
    }
}
