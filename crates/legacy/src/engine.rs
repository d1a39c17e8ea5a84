//! Rules L-3 to L-12: how claims change what an ID stands for.

use std::sync::Arc;
use std::{fmt, io};

use idmerge_core::{
    Attribution, Claim, Cluster, ConcurrentReader, DistinctId, EngineError, Event, Id, IdRules,
    IdentityResolver, InvalidEvent, Outcome, Reading, Rejection, Resolve, RuleBook, SnapshotError,
};
use idmerge_state::{Found, Pairs, Probe};

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
    pub(crate) aliases: Aliases,
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
        self.aliases.ids.check_room(found)?;
        // L-8
        let ids = &mut self.aliases.ids;
        let distinct_id = found[0].unwrap_or_else(|| ids.enter(&probes[0], None));
        let alias = found[1].unwrap_or_else(|| ids.enter(&probes[1], Some(distinct_id)));
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
        self.aliases.ids.resolve(id)
    }

    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        self.aliases.ids.resolve_batch(ids);
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.aliases.ids.cluster(id, self.aliases.places())
    }

    fn erased_with<'a>(
        &'a self,
        id: DistinctId<'a>,
    ) -> Box<dyn Iterator<Item = DistinctId<'a>> + 'a> {
        // LE-1: the ID itself and every ID that it stands for, the root last, but not other aliases of these. A
        // chain of aliases can be long.
        let ids = &self.aliases.ids;
        let found = ids.find(&ids.probe(id.id()));
        let mut next = found.map(|found| found.number);
        let above = std::iter::from_fn(move || {
            next = self.aliases.stands_for(next?);
            Some(DistinctId::plain(ids.id(next?)))
        });
        Box::new(std::iter::once(DistinctId::plain(id.id())).chain(above))
    }

    fn clustered_ids(&self) -> usize {
        self.aliases.ids.len() as usize
    }

    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        self.aliases.ids.cluster_len(id)
    }

    fn members_after<'a>(
        &'a self,
        id: DistinctId<'a>,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Option<Vec<DistinctId<'a>>> {
        let places = self.aliases.places();
        self.aliases.ids.members_after(id, after, limit, places)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        // L-12: by oldest alias.
        let oldest = self.aliases.made().map(|made| made.alias);
        Box::new(self.aliases.ids.clusters(oldest, self.aliases.places()))
    }

    fn concurrent_reader(&self) -> Option<&Arc<dyn ConcurrentReader>> {
        Some(self.aliases.ids.concurrent_reader())
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
        let found = probes.map(|probe| self.aliases.ids.find_named(&probe));
        self.weigh(named, &probes, found)
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        for claims in claims.chunks(Pairs::MAX) {
            let mut pairs = Pairs::find(&self.aliases.ids, claims.iter().copied().map(named));
            for (number, &claim) in claims.iter().enumerate() {
                let Some(named) = named(claim) else {
                    outcome(Outcome::Ignored);
                    continue;
                };
                let (probes, found) = pairs.now(number, &self.aliases.ids);
                outcome(self.weigh(named, probes, found)?);
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
