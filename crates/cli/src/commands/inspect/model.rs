//! The figures of one model over the input.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault};

use foldhash::quality::RandomState;
use idmerge_core::{Claim, DistinctId};
use idmerge_engines::{Engine, Model, Settings};
use serde::Serialize;

use crate::output::summary::Outcomes;
use crate::output::users::NoHasher;

/// An engine, and the events that it was given. The events are counted by the hash of their own
/// distinct_id, so that no ID is kept that is in no cluster.
pub(super) struct ModelState {
    engine: Engine,
    events_of: HashMap<u64, u64, BuildHasherDefault<NoHasher>>,
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
    #[serde(flatten)]
    pub(super) outcomes: Outcomes,
    /// Events that the rules of the model refuse, by rule.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

/// The events of a block, for one model.
#[derive(Default)]
pub(super) struct ModelBatch {
    own: Vec<u64>,
    without_id: u64,
    refused: Vec<&'static str>,
}

impl ModelBatch {
    pub(super) fn add(&mut self, own: Option<DistinctId<'_>>, hasher: &RandomState) {
        match own {
            Some(own) => self.own.push(hasher.hash_one(own)),
            None => self.without_id += 1,
        }
    }

    pub(super) fn refuse(&mut self, rule: &'static str) {
        self.refused.push(rule);
    }
}

impl ModelState {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            engine: settings.engine(),
            events_of: HashMap::default(),
            figures: Figures {
                model: settings.model(),
                events: 0,
                without_id: 0,
                users_before: 0,
                users: 0,
                joined_events: 0,
                largest_cluster: 0,
                outcomes: Outcomes::default(),
                refused: BTreeMap::new(),
            },
        }
    }

    pub(super) fn apply(&mut self, batch: ModelBatch, claims: &[Claim<'_>]) -> anyhow::Result<()> {
        self.figures.events += batch.own.len() as u64 + batch.without_id;
        self.figures.without_id += batch.without_id;
        for own in batch.own {
            *self.events_of.entry(own).or_default() += 1;
        }
        for rule in batch.refused {
            *self.figures.refused.entry(rule).or_default() += 1;
        }
        let outcomes = &mut self.figures.outcomes;
        let count = &mut |outcome: idmerge_core::Outcome<'_>| outcomes.count(&outcome);
        self.engine.apply_batch(claims, count)?;
        Ok(())
    }

    /// The figures after all events. An ID in no cluster is a user of its own.
    pub(super) fn figures(self, hasher: &RandomState) -> Figures {
        let mut figures = self.figures;
        figures.users_before = self.events_of.len() as u64;
        figures.users = figures.users_before;
        for cluster in self.engine.clusters() {
            figures.largest_cluster = figures.largest_cluster.max(cluster.members.len() as u64);
            let mut ids_with_events = 0_u64;
            for member in &cluster.members {
                let Some(events) = self.events_of.get(&hasher.hash_one(*member)) else {
                    continue;
                };
                ids_with_events += 1;
                if *member != cluster.canonical {
                    figures.joined_events += events;
                }
            }
            figures.users -= ids_with_events.saturating_sub(1);
        }
        figures
    }
}

impl Figures {
    /// Events that belong to a user.
    pub(super) fn attributed(&self) -> u64 {
        self.events - self.without_id
    }
}
