//! Rules L-3 to L-12: how claims change what an ID stands for.

use std::{fmt, io};

use idmerge_core::{
    Attribution, Claim, Cluster, DistinctId, EngineError, Event, Id, IdRules, IdentityResolver,
    InvalidEvent, Outcome, Reading, Rejection, Resolve, RuleBook, SnapshotError,
};
use idmerge_state::{BATCH_IDS, Found, Probe};

use crate::aliases::Aliases;
use crate::{reading, snapshot};

/// The settings of Legacy. The defaults are those of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Settings {
    /// Which texts are IDs (rules ID-2 and ID-4).
    pub id_rules: IdRules,
}

impl Settings {
    /// Reads which ID an event carries, and what it claims. Needs no engine.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] as [`IdentityResolver::read`].
    #[inline]
    pub fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        reading::read(&self.id_rules, event)
    }
}

/// The engine of Legacy, in memory. The documentation of the [crate](crate) describes it.
///
/// It fails only when it holds 4,294,967,295 IDs and gets another one.
#[derive(Default)]
pub struct Legacy {
    settings: Settings,
    aliases: Aliases,
}

impl Legacy {
    /// An engine without aliases.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            aliases: Aliases::default(),
        }
    }

    /// The settings of this engine.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Rules L-5 to L-10: weighs an alias. `found` has the entries of `distinct_id` and `alias`, if
    /// they are in a cluster.
    fn weigh<'a>(
        &'a mut self,
        [distinct_id, alias]: [Id<'a>; 2],
        probes: &[Probe<'_>; 2],
        found: [Option<Found>; 2],
    ) -> Result<Outcome<'a>, EngineError> {
        // L-5
        if distinct_id == alias {
            return Ok(Outcome::Rejected(Rejection::SameIds { id: alias }));
        }
        if let [Some(x), Some(a)] = found
            && x.owner == a.owner
        {
            // L-6 if the alias is one already. Otherwise it is the root of the cluster: L-7.
            return Ok(Outcome::AlreadyMerged);
        }
        // L-6
        if found[1].is_some_and(|alias| self.aliases.is_alias(alias)) {
            return Ok(Outcome::Rejected(Rejection::AliasAlreadyExists { alias }));
        }
        let new_ids = found.iter().filter(|id| id.is_none()).count();
        if (self.aliases.ids.room() as usize) < new_ids {
            let ids = u64::from(self.aliases.ids.len());
            return Err(EngineError::Full { ids });
        }
        // L-8
        let distinct_id = found[0].unwrap_or_else(|| self.aliases.enter(&probes[0], None));
        let alias = found[1].unwrap_or_else(|| self.aliases.enter(&probes[1], Some(distinct_id)));
        self.aliases.make(alias, distinct_id);
        Ok(Outcome::Merged)
    }
}

impl fmt::Debug for Legacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Legacy")
            .field("aliases", &self.aliases.len())
            .finish_non_exhaustive()
    }
}

/// `distinct_id` and `alias`, or `None` for a claim of another rule book (L-11).
fn named<'a>(claim: Claim<'a>) -> Option<[Id<'a>; 2]> {
    match claim {
        Claim::Alias { distinct_id, alias } => Some([distinct_id, alias]),
        _ => None,
    }
}

impl Resolve for Legacy {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Legacy
    }

    fn attribution(&self) -> Attribution {
        // L-3
        Attribution::AtArrival
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        // L-12: the prefix of a device does not count (L-1). An ID in no cluster stands for itself.
        DistinctId::plain(self.aliases.root(id.id()))
    }

    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        let table = &self.aliases.ids;
        for ids in ids.chunks_mut(BATCH_IDS) {
            let (_, found) = table.find_all(ids.iter().map(|id| Some(id.id())));
            let roots = found.map(|found| found.map(|id| table.canonical(id)));
            for &root in roots.iter().flatten() {
                table.prefetch(root);
            }
            for (id, root) in ids.iter_mut().zip(roots) {
                let root = root.map(|number| table.id(number));
                *id = DistinctId::plain(root.unwrap_or(id.id()));
            }
        }
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        let found = self.aliases.find(id.id())?;
        Some(self.aliases.cluster(found))
    }

    fn clustered_ids(&self) -> usize {
        self.aliases.ids.len() as usize
    }

    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        let ids = |found| self.aliases.ids.cluster_ids(found) as usize;
        self.aliases.find(id.id()).map_or(0, ids)
    }

    fn members_after<'a>(
        &'a self,
        id: DistinctId<'a>,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Option<Vec<DistinctId<'a>>> {
        let id = self.aliases.find(id.id())?;
        let after = match after.map(|after| self.aliases.find(after.id())) {
            None => None,
            Some(Some(after)) if after.owner == id.owner => Some(after),
            Some(_) => return Some(Vec::new()),
        };
        Some(self.aliases.members_after(id, after, limit))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new(self.aliases.clusters())
    }
}

impl IdentityResolver for Legacy {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.settings.read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        let Some(named) = named(claim) else {
            return Ok(Outcome::Ignored);
        };
        let probes = named.map(|id| self.aliases.ids.probe(id));
        let found = probes.map(|probe| self.aliases.ids.find(&probe));
        self.weigh(named, &probes, found)
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        for claims in claims.chunks(BATCH_IDS / 2) {
            let ids = claims.iter().flat_map(|&claim| match named(claim) {
                Some(named) => named.map(Some),
                None => [None; 2],
            });
            let (probes, found) = self.aliases.ids.find_all(ids);
            let (probes, found) = (probes.as_chunks::<2>().0, found.as_chunks::<2>().0);
            let mut has_merged = false;
            for ((&claim, probes), found) in claims.iter().zip(probes).zip(found) {
                let Some(named) = named(claim) else {
                    outcome(Outcome::Ignored);
                    continue;
                };
                // An earlier claim of this batch may have entered the ID or merged its cluster.
                let found = if has_merged {
                    probes.map(|probe| self.aliases.ids.find(&probe))
                } else {
                    *found
                };
                let answer = self.weigh(named, probes, found)?;
                has_merged |= answer == Outcome::Merged;
                outcome(answer);
            }
        }
        Ok(())
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        snapshot::write(&self.aliases, sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.aliases = snapshot::read(source)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use idmerge_state::Partition;

    use super::*;

    fn alias<'a>(alias: &'a str, distinct_id: &'a str) -> Claim<'a> {
        Claim::Alias {
            distinct_id: Id::new(distinct_id).unwrap(),
            alias: Id::new(alias).unwrap(),
        }
    }

    #[test]
    fn a_full_engine_returns_an_error_and_keeps_its_state() {
        let mut engine = Legacy::default();
        engine.aliases.ids = Partition::with_max_ids(3);
        engine.apply(alias("a", "b")).unwrap();
        let error = engine.apply(alias("c", "d")).unwrap_err();
        assert!(matches!(error, EngineError::Full { ids: 2 }));
        assert_eq!(engine.clusters().count(), 1);
        // There is room for one more ID.
        assert_eq!(engine.apply(alias("c", "a")).unwrap(), Outcome::Merged);
        assert_eq!(engine.clusters().next().unwrap().members.len(), 3);
    }

    #[test]
    fn debug_output_shows_the_size_of_an_engine() {
        let mut engine = Legacy::default();
        engine.apply(alias("a", "b")).unwrap();
        assert_eq!(format!("{engine:?}"), "Legacy { aliases: 1, .. }");
    }
}
