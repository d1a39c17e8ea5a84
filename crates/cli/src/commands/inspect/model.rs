//! The figures of one model over the input.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use idmerge_core::{Attribution, Claim, DistinctId};
use idmerge_engines::{Engine, Model, Settings};
use serde::Serialize;

use crate::commands::inspect::ids::{ByHash, Kinds, Moves, hash_of};
use crate::output::summary::Outcomes;

/// An engine, and the events that it was given, by the hash of their own distinct_id.
pub(super) struct ModelState {
    engine: Engine,
    own: ByHash<Seen>,
    /// In a model that attributes events at their arrival: the events by the ID that they were attributed
    /// to, once that may be another ID.
    arrived: Option<ByHash<Seen>>,
    figures: Figures,
}

/// The figures of a model.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    #[serde(skip)]
    pub(super) model: Model,
    /// Events that the rules of the model can use, and those of them that have no ID.
    pub(super) events: u64,
    pub(super) without_id: u64,
    pub(super) users_before: u64,
    pub(super) users: u64,
    /// Events that belong to another distinct_id than their own.
    pub(super) joined_events: u64,
    pub(super) largest_cluster: u64,
    pub(super) funnel: Funnel,
    /// The IDs that an export has moved, and that the model puts into the cluster of the same person.
    pub(super) explained_moves: u64,
    #[serde(flatten)]
    pub(super) outcomes: Outcomes,
    /// Events that the rules of the model refuse, by rule.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

/// The users who convert in a funnel of two steps: an anonymous event, then the first event as a user.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Funnel {
    /// If each distinct_id is a user.
    pub(super) converted_before: u64,
    pub(super) converted: u64,
    pub(super) gain: i64,
}

impl Funnel {
    fn new(converted_before: u64, converted: u64) -> Self {
        Self {
            converted_before,
            converted,
            gain: converted.cast_signed() - converted_before.cast_signed(),
        }
    }
}

/// The events of an ID. Events are numbered in arrival order.
#[derive(Clone, Copy, Debug)]
struct Seen {
    events: u64,
    /// The number of the first event that says that a user did it, and of the first one that does not.
    first_as_user: u64,
    first_other: u64,
}

/// No event has this number.
const NEVER: u64 = u64::MAX;

/// The first anonymous event of a user, and the first one as a user.
#[derive(Clone, Copy)]
struct Steps {
    anonymous: u64,
    as_user: u64,
}

impl Seen {
    const NONE: Self = Self {
        events: 0,
        first_as_user: NEVER,
        first_other: NEVER,
    };

    fn add_event(&mut self, number: u64, is_as_user: bool) {
        self.events += 1;
        let first = match is_as_user {
            true => &mut self.first_as_user,
            false => &mut self.first_other,
        };
        *first = number.min(*first);
    }

    /// Adds the events of a block, whose first event has the number `base`.
    fn add_block(&mut self, block: &Self, base: u64) {
        self.events += block.events;
        let number = |in_block: u64| in_block.saturating_add(base);
        self.first_as_user = self.first_as_user.min(number(block.first_as_user));
        self.first_other = self.first_other.min(number(block.first_other));
    }

    /// The steps of these events. Those that do not say that a user did them are anonymous if their ID is.
    fn steps(&self, is_anonymous: bool) -> Steps {
        match is_anonymous {
            true => Steps {
                anonymous: self.first_other,
                as_user: self.first_as_user,
            },
            false => Steps {
                anonymous: NEVER,
                as_user: self.first_as_user.min(self.first_other),
            },
        }
    }
}

impl Steps {
    const NONE: Self = Self {
        anonymous: NEVER,
        as_user: NEVER,
    };

    fn or_earlier(self, other: Self) -> Self {
        Self {
            anonymous: self.anonymous.min(other.anonymous),
            as_user: self.as_user.min(other.as_user),
        }
    }

    fn convert(self) -> bool {
        self.as_user != NEVER && self.anonymous < self.as_user
    }
}

/// The events of a block, for one model.
#[derive(Default)]
pub(super) struct ModelBatch {
    own: ByHash<Seen>,
    without_id: u64,
    refused: Vec<&'static str>,
}

/// An event of a block, for a model that attributes events at their arrival.
pub(super) struct Arrival<'e> {
    /// The number of the event in its block.
    pub(super) number: usize,
    pub(super) own: DistinctId<'e>,
    pub(super) has_user_id: bool,
}

/// The claims of a block, and the numbers of the events that make them.
pub(super) type Claims<'e> = (Vec<usize>, Vec<Claim<'e>>);

impl ModelBatch {
    /// Adds an event with its number in the block.
    pub(super) fn add(
        &mut self,
        number: usize,
        own: Option<DistinctId<'_>>,
        has_user_id: bool,
        hasher: &RandomState,
    ) {
        let Some(own) = own else {
            self.without_id += 1;
            return;
        };
        let seen = self.own.entry(hasher.hash_one(own)).or_insert(Seen::NONE);
        seen.add_event(number as u64, has_user_id);
    }

    pub(super) fn refuse(&mut self, rule: &'static str) {
        self.refused.push(rule);
    }
}

impl ModelState {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            engine: settings.engine(),
            own: ByHash::default(),
            arrived: None,
            figures: Figures {
                model: settings.model(),
                events: 0,
                without_id: 0,
                users_before: 0,
                users: 0,
                joined_events: 0,
                largest_cluster: 0,
                funnel: Funnel::default(),
                explained_moves: 0,
                outcomes: Outcomes::default(),
                refused: BTreeMap::new(),
            },
        }
    }

    /// Applies the events of a block, whose first event has the number `base`. `arrivals` are those with an
    /// ID, in order, for a model that attributes them at their arrival.
    pub(super) fn apply(
        &mut self,
        batch: &ModelBatch,
        claims: &Claims<'_>,
        arrivals: &[Arrival<'_>],
        base: u64,
        hasher: &RandomState,
    ) -> anyhow::Result<()> {
        let own_events: u64 = batch.own.values().map(|seen| seen.events).sum();
        self.figures.events += own_events + batch.without_id;
        self.figures.without_id += batch.without_id;
        for rule in &batch.refused {
            *self.figures.refused.entry(rule).or_default() += 1;
        }
        let is_at_arrival = self.engine.attribution() == Attribution::AtArrival;
        if is_at_arrival && self.arrived.is_none() && !claims.1.is_empty() {
            // Up to here each event was attributed to its own ID.
            self.arrived = Some(self.own.clone());
        }
        for (own, seen) in &batch.own {
            let events = self.own.entry(*own).or_insert(Seen::NONE);
            events.add_block(seen, base);
        }
        if is_at_arrival {
            return self.arrive(claims, arrivals, base, hasher);
        }
        let outcomes = &mut self.figures.outcomes;
        self.engine.apply_batch(&claims.1, &mut |outcome| {
            outcomes.count(&outcome);
        })?;
        Ok(())
    }

    /// Attributes events to what their IDs stand for now, and applies each claim when its event comes.
    fn arrive(
        &mut self,
        (claimants, claims): &Claims<'_>,
        arrivals: &[Arrival<'_>],
        base: u64,
        hasher: &RandomState,
    ) -> anyhow::Result<()> {
        let Some(arrived) = &mut self.arrived else {
            return Ok(());
        };
        let mut claims = claimants.iter().zip(claims).peekable();
        for arrival in arrivals {
            // An event's own claim does not change its root (L-3), so it may be applied first.
            if let Some((_, claim)) = claims.next_if(|(number, _)| **number == arrival.number) {
                let outcome = self.engine.apply(*claim)?;
                self.figures.outcomes.count(&outcome);
            }
            let root = self.engine.resolve(arrival.own);
            let is_alias = root != arrival.own;
            self.figures.joined_events += u64::from(is_alias);
            let events = arrived.entry(hasher.hash_one(root)).or_insert(Seen::NONE);
            // What arrives under an alias comes from a user: an alias is made at the sign-up.
            events.add_event(
                base + arrival.number as u64,
                arrival.has_user_id || is_alias,
            );
        }
        Ok(())
    }

    /// The figures after all events.
    pub(super) fn figures(mut self, kinds: &Kinds, moves: &Moves, hasher: &RandomState) -> Figures {
        let mut figures = self.figures.clone();
        figures.explained_moves = moves.explained_by(&*self.engine, hasher);
        figures.users_before = self.own.len() as u64;
        let converted_before = converted(&self.own, kinds);
        let converted = match self.arrived.take() {
            Some(arrived) => {
                figures.users = arrived.len() as u64;
                let lengths = self.engine.clusters().map(|it| it.members.len() as u64);
                figures.largest_cluster = lengths.max().unwrap_or(0);
                converted(&arrived, kinds)
            }
            None => self.join(kinds, hasher, &mut figures),
        };
        figures.funnel = Funnel::new(converted_before, converted);
        figures
    }

    /// Joins the events of each cluster, and returns how many users convert. An ID in no cluster is a user
    /// of its own.
    fn join(&mut self, kinds: &Kinds, hasher: &RandomState, figures: &mut Figures) -> u64 {
        figures.users = figures.users_before;
        let mut of_clusters = 0;
        for cluster in self.engine.clusters() {
            figures.largest_cluster = figures.largest_cluster.max(cluster.members.len() as u64);
            let (mut ids_with_events, mut steps) = (0_u64, Steps::NONE);
            for member in &cluster.members {
                let Some(seen) = self.own.remove(&hasher.hash_one(*member)) else {
                    continue;
                };
                ids_with_events += 1;
                if *member != cluster.canonical {
                    figures.joined_events += seen.events;
                }
                let is_anonymous =
                    member.is_device() || kinds.is_anonymous(hash_of(member.id(), hasher));
                steps = steps.or_earlier(seen.steps(is_anonymous));
            }
            figures.users -= ids_with_events.saturating_sub(1);
            of_clusters += u64::from(steps.convert());
        }
        of_clusters + converted(&self.own, kinds)
    }
}

/// How many of these IDs convert, if each is a user.
fn converted(ids: &ByHash<Seen>, kinds: &Kinds) -> u64 {
    let convert = |(id, seen): (&u64, &Seen)| {
        // Most IDs have events of one kind, and need no lookup.
        let has_both = seen.first_other != NEVER && seen.first_as_user != NEVER;
        has_both && seen.steps(kinds.is_anonymous(*id)).convert()
    };
    ids.iter().filter(|id| convert(*id)).count() as u64
}

impl Figures {
    /// Events that belong to a user.
    pub(super) fn attributed(&self) -> u64 {
        self.events - self.without_id
    }
}

/// Original without its limit of IDs for each cluster.
pub(super) struct Unlimited {
    engine: Engine,
    figures: UnlimitedFigures,
}

/// The clusters that Original would have without its limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct UnlimitedFigures {
    pub(super) limit: u32,
    pub(super) clusters_over_limit: u64,
    pub(super) largest_cluster: u64,
}

impl Unlimited {
    /// The other settings are those of Original.
    pub(super) fn new(original: &Settings) -> Self {
        let mut unlimited = original.clone();
        if let Settings::Original(settings) = &mut unlimited {
            settings.max_cluster_ids = u32::MAX;
        }
        let limit = original.max_cluster_ids().unwrap_or(u32::MAX);
        Self {
            engine: unlimited.engine(),
            figures: UnlimitedFigures {
                limit,
                clusters_over_limit: 0,
                largest_cluster: 0,
            },
        }
    }

    pub(super) fn apply(&mut self, claims: &[Claim<'_>]) -> anyhow::Result<()> {
        self.engine.apply_batch(claims, &mut |_| ())?;
        Ok(())
    }

    pub(super) fn figures(self) -> UnlimitedFigures {
        let mut figures = self.figures;
        for cluster in self.engine.clusters() {
            let ids = cluster.members.len() as u64;
            figures.largest_cluster = figures.largest_cluster.max(ids);
            figures.clusters_over_limit += u64::from(ids > u64::from(figures.limit));
        }
        figures
    }
}
