//! What depends on the order of arrival.

use foldhash::HashMap;
use idmerge_core::EngineError;
use idmerge_engines::Settings;

use super::component::{ALL_ORDERS_CLAIMS, Answers, Component, Made};
use crate::report::Evidence;

/// More other canonical IDs of one ID are not listed.
const OTHERS_MAX: usize = 8;

/// Which answers depend on the order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderReport {
    /// How many events there are. Of a log: how many claims.
    pub events: u64,
    /// How many IDs there are.
    pub ids: u64,
    /// How many different claims there are that are not rejected whatever comes before.
    pub claims: u64,
    /// How many components of more than one claim there are.
    pub components: u64,
    /// How many of them have answers that depend on the order.
    pub dependent: u64,
    /// Of these, those in which the same IDs belong together in each order, and only their canonical ID differs.
    pub only_names: u64,
    /// How many components have so many claims that only some orders were tried.
    pub sampled: u64,
    /// How many IDs have a canonical ID that depends on the order, how many users these IDs have now, and how many
    /// events.
    pub dependent_ids: u64,
    /// See `dependent_ids`.
    pub dependent_users: u64,
    /// See `dependent_ids`.
    pub dependent_events: u64,
    /// The components with answers that depend on the order, those with the most events first.
    pub examples: Vec<Dependent>,
}

/// A component with answers that depend on the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// How many different claims it has.
    pub claims: u64,
    /// In how many orders they were weighed.
    pub orders: u64,
    /// Whether these show all answers that there can be.
    pub are_all: bool,
    /// Whether the same IDs belong together in each order.
    pub only_names: bool,
    /// How many events its dependent IDs have.
    pub events: u64,
    /// The IDs whose canonical ID depends on the order.
    pub ids: Vec<DependentId>,
    /// The pairs of claims that decide: if the later claim came before the earlier one, an answer would change. If
    /// there is no pair, more than one claim must move.
    pub pairs: Vec<Pair>,
}

/// An ID whose canonical ID depends on the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependentId {
    /// The ID, with the prefix `$device:` if it has one.
    pub id: String,
    /// Its canonical ID.
    pub now: String,
    /// Its canonical IDs in other orders, at most eight.
    pub others: Vec<String>,
    /// How many events it has.
    pub events: u64,
}

/// Two claims whose order decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The claim that would have to come before the other one.
    pub later: Evidence,
    /// That other one.
    pub earlier: Evidence,
    /// An ID that would then have another canonical ID.
    pub id: String,
    /// Its canonical ID now.
    pub now: String,
    /// Its canonical ID then.
    pub then: String,
    /// How many other IDs would have another canonical ID, too.
    pub more: u64,
}

/// Adds up the answers of components. Those of one shape are replayed once: an engine does not look at the text of
/// IDs, except for their form (O-8), and claims that it rejects for that are left out.
pub(super) struct Reporting {
    examples_max: usize,
    report: OrderReport,
    of_shapes: HashMap<Vec<Made>, Answers>,
}

/// More shapes are replayed again.
const SHAPES_MAX: usize = 10_000;

impl Reporting {
    pub(super) fn new(examples_max: usize) -> Self {
        Self {
            examples_max,
            report: OrderReport::default(),
            of_shapes: HashMap::default(),
        }
    }

    pub(super) fn add(
        &mut self,
        settings: &Settings,
        component: &Component,
    ) -> Result<(), EngineError> {
        if component.claims.len() > ALL_ORDERS_CLAIMS || self.of_shapes.len() >= SHAPES_MAX {
            let answers = component.answers(settings)?;
            self.count(component, &answers);
            return Ok(());
        }
        let answers = match self.of_shapes.remove(&component.claims) {
            Some(answers) => answers,
            None => component.answers(settings)?,
        };
        self.count(component, &answers);
        self.of_shapes.insert(component.claims.clone(), answers);
        Ok(())
    }

    fn count(&mut self, component: &Component, answers: &Answers) {
        let report = &mut self.report;
        report.components += 1;
        report.sampled += u64::from(!answers.are_all);
        if !answers.is_dependent() {
            return;
        }
        report.dependent += 1;
        report.only_names += u64::from(answers.only_names);
        let dependent = answers.others.iter().enumerate();
        let dependent = dependent.filter(|(_, others)| !others.is_empty());
        let places: Vec<usize> = dependent.map(|(place, _)| place).collect();
        let events = places.iter().map(|place| component.events[*place]).sum();
        let mut users: Vec<u32> = places.iter().map(|place| answers.now[*place]).collect();
        users.sort_unstable();
        users.dedup();
        report.dependent_ids += places.len() as u64;
        report.dependent_users += users.len() as u64;
        report.dependent_events += events;
        let is_example = report.examples.len() < self.examples_max
            || report
                .examples
                .last()
                .is_some_and(|last| last.events < events);
        if is_example && self.examples_max > 0 {
            let example = example(component, answers, &places, events);
            let after = |it: &Dependent| it.events >= events;
            let at = report.examples.partition_point(after);
            report.examples.insert(at, example);
            report.examples.truncate(self.examples_max);
        }
    }

    pub(super) fn finish(mut self, events: u64, ids: u64, claims: u64) -> OrderReport {
        self.report.events = events;
        self.report.ids = ids;
        self.report.claims = claims;
        self.report
    }
}

fn example(component: &Component, answers: &Answers, places: &[usize], events: u64) -> Dependent {
    let text = |place: u32| match component.ids.get(place as usize) {
        Some(id) => id.as_id().text().into_owned(),
        None => String::new(),
    };
    let ids = places.iter().map(|&place| DependentId {
        id: text(u32::try_from(place).unwrap_or(u32::MAX)),
        now: text(answers.now[place]),
        others: answers.others[place]
            .iter()
            .take(OTHERS_MAX)
            .map(|other| text(*other))
            .collect(),
        events: component.events[place],
    });
    let pairs = answers.pairs.iter().map(|pair| Pair {
        later: component.evidence[pair.later],
        earlier: component.evidence[pair.earlier],
        id: text(pair.id),
        now: text(answers.now[pair.id as usize]),
        then: text(pair.then),
        more: pair.more as u64,
    });
    Dependent {
        claims: component.claims.len() as u64,
        orders: answers.orders,
        are_all: answers.are_all,
        only_names: answers.only_names,
        events,
        ids: ids.collect(),
        pairs: pairs.collect(),
    }
}
