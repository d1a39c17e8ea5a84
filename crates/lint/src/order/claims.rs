//! [`Order`]: gathers the different claims.

use disjoint_sets::UnionFind;
use foldhash::HashMap;
use idmerge_core::{
    Claim, ClaimKind, DistinctId, DistinctIdBuf, EngineError, Event, InvalidEvent, Outcome,
    RuleBook,
};
use idmerge_engines::{Engine, Settings};
use idmerge_state::IdTable;

use super::component::{Component, Made};
use super::report::{OrderReport, Reporting};
use crate::fold::{Facts, Fold};
use crate::report::Evidence;

/// A claim by the numbers of its IDs.
type Key = (ClaimKind, [u32; 2]);

/// A claim that was made.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: Key,
    evidence: Evidence,
    /// The number of the event, in arrival order, with which the claim was first accepted; of a claim that never
    /// was, the first one.
    order: u64,
    is_accepted: bool,
}

/// Gathers claims in arrival order, to find out which answers depend on it.
///
/// One claim counts once, however often it was made: a repeat changes something only if the claim was rejected
/// before, and a rejected claim leaves no trace (law 7), so it is as if it was first made where it was first
/// accepted. A claim that is rejected whatever came before, such as one that names one ID twice (O-7), is left out.
///
/// Memory grows with the number of IDs and of different claims.
pub struct Order {
    settings: Settings,
    engine: Engine,
    /// The IDs without the prefix `$device:`, and those with it, with the number of their events.
    ids: [IdTable<u64>; 2],
    claims: Vec<Known>,
    known: HashMap<Key, u32>,
    events: u64,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order")
            .field("claims", &self.claims.len())
            .finish_non_exhaustive()
    }
}

impl Order {
    /// Nothing was added yet.
    pub fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            engine: settings.engine(),
            ids: [IdTable::new(), IdTable::new()],
            claims: Vec::new(),
            known: HashMap::default(),
            events: 0,
        }
    }

    /// How many different claims there are.
    pub fn claims(&self) -> u64 {
        self.claims.len() as u64
    }

    /// The number of an ID: even without the prefix of a device, odd with it.
    fn number(&mut self, id: DistinctId<'_>) -> u32 {
        let kind = u32::from(id.is_device());
        let ids = &mut self.ids[kind as usize];
        let probe = ids.probe(id.id());
        let number = match ids.find(&probe) {
            Some(found) => found.number,
            None if ids.len() > u32::MAX / 2 - 2 => 0,
            None => ids.insert(&probe, 0, 0),
        };
        number * 2 + kind
    }

    fn id(&self, number: u32) -> DistinctId<'_> {
        let ids = &self.ids[number as usize % 2];
        match number % 2 {
            0 => DistinctId::plain(ids.id(number / 2)),
            _ => DistinctId::device(ids.id(number / 2)),
        }
    }

    fn events_of(&self, number: u32) -> u64 {
        *self.ids[number as usize % 2].row(number / 2)
    }

    fn weigh(&mut self, claim: Claim<'_>, evidence: Evidence) -> Result<(), EngineError> {
        let is_accepted = match self.engine.apply(claim)? {
            Outcome::Merged | Outcome::AlreadyMerged => true,
            Outcome::Rejected(_) => false,
            _ => return Ok(()),
        };
        let key = (claim.kind(), claim.ids().map(|id| self.number(id)));
        let known = Known {
            key,
            evidence,
            order: self.events,
            is_accepted,
        };
        if let Some(at) = self.known.get(&key) {
            let first = &mut self.claims[*at as usize];
            if is_accepted && !first.is_accepted {
                *first = known;
            }
            return Ok(());
        }
        let is_always_rejected =
            !is_accepted && matches!(self.settings.engine().apply(claim)?, Outcome::Rejected(_));
        if let Ok(at) = u32::try_from(self.claims.len())
            && !is_always_rejected
        {
            self.known.insert(key, at);
            self.claims.push(known);
        }
        Ok(())
    }

    /// Replays the components, and calls `progress` after each one with how many claims are done. The report has
    /// the `examples_max` components with the most events.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub fn finish(
        mut self,
        examples_max: usize,
        progress: &mut dyn FnMut(u64),
    ) -> Result<OrderReport, EngineError> {
        self.known = HashMap::default();
        self.claims.sort_by_key(|claim| claim.order);
        let roots = self.roots();
        let mut by_root: Vec<u32> = (0..).take(self.claims.len()).collect();
        // Stable, so that the claims of a component stay in arrival order.
        by_root.sort_by_key(|at| roots[*at as usize]);
        let mut reporting = Reporting::new(examples_max);
        for group in by_root.chunk_by(|a, b| roots[*a as usize] == roots[*b as usize]) {
            if group.len() > 1 {
                let component = self.component(group);
                reporting.add(&self.settings, &component)?;
            }
            progress(group.len() as u64);
        }
        let ids = self.ids.iter().map(|ids| u64::from(ids.len())).sum();
        Ok(reporting.finish(self.events, ids, self.claims.len() as u64))
    }

    /// For each claim a number that is the same for the claims of one component.
    fn roots(&self) -> Vec<u32> {
        if self.settings.rule_book() == RuleBook::Simplified {
            // The user of a device depends on the claims that name the device alone (S-5 to S-7).
            return self.claims.iter().map(|claim| claim.key.1[0]).collect();
        }
        let numbers = self.claims.iter().flat_map(|claim| claim.key.1);
        let max = numbers.max().unwrap_or(0);
        let mut sets: UnionFind<u32> = UnionFind::new(max as usize + 1);
        for claim in &self.claims {
            let [first, second] = claim.key.1;
            sets.union(first, second);
        }
        let root = |claim: &Known| sets.find(claim.key.1[0]);
        self.claims.iter().map(root).collect()
    }

    fn component(&self, group: &[u32]) -> Component {
        let mut local: HashMap<u32, u32> = HashMap::default();
        let mut component = Component::default();
        for at in group {
            let known = &self.claims[*at as usize];
            let (kind, ids) = known.key;
            let ids = ids.map(|number| {
                let next = u32::try_from(local.len()).unwrap_or(u32::MAX);
                *local.entry(number).or_insert_with(|| {
                    component.ids.push(DistinctIdBuf::from(self.id(number)));
                    component.events.push(self.events_of(number));
                    next
                })
            });
            component.claims.push(Made { kind, ids });
            component.evidence.push(known.evidence);
            component.are_accepted.push(known.is_accepted);
        }
        component
    }
}

impl Fold for Order {
    fn add(
        &mut self,
        facts: &Facts<'_>,
        _name: &str,
        weighs: bool,
        found: Evidence,
    ) -> Result<(), EngineError> {
        self.events += 1;
        if let Some(own) = facts.own {
            let number = self.number(own);
            *self.ids[number as usize % 2].row_mut(number / 2) += 1;
        }
        match facts.claim {
            Some(claim) if weighs => self.weigh(claim, found),
            _ => Ok(()),
        }
    }

    fn add_refused(&mut self, _: &Event<'_>, _: &InvalidEvent, _: Evidence) {}
}
