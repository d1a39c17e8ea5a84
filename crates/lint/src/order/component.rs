//! Replays the claims of one component in other orders.

use foldhash::HashMap;
use idmerge_core::{
    Claim, ClaimKind, DistinctId, DistinctIdBuf, EngineError, IdentityResolver as _, Resolve as _,
    RuleBook,
};
use idmerge_engines::Settings;

use super::orders::{Random, each_order, moved};
use crate::report::Evidence;

/// A component of up to this many different claims is replayed in all orders: 5,040 for seven.
pub const ALL_ORDERS_CLAIMS: usize = 7;

/// How many claims are weighed for one component at most, so that its time is bounded.
const WEIGHED_MAX: usize = 2_000_000;

/// How many random orders a component is replayed in at most.
const RANDOM_ORDERS: usize = 500;

/// In a component of more claims only the rejected ones are moved, to find the pairs that decide.
const MOVED_CLAIMS: usize = 48;

/// How many pairs of one component are found.
const PAIRS_MAX: usize = 100;

/// A claim of a component, with the places of its IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Made {
    pub(super) kind: ClaimKind,
    pub(super) ids: [u32; 2],
}

/// Claims that are connected, in arrival order.
#[derive(Debug, Default)]
pub(super) struct Component {
    pub(super) ids: Vec<DistinctIdBuf>,
    /// How many events each ID has.
    pub(super) events: Vec<u64>,
    pub(super) claims: Vec<Made>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) are_accepted: Vec<bool>,
}

/// What replaying a component gave. IDs and claims are places in the component, so components of one shape have
/// equal answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// The canonical ID of each ID in arrival order.
    pub(super) now: Vec<u32>,
    /// The other canonical IDs of each ID.
    pub(super) others: Vec<Vec<u32>>,
    /// How many orders there were, and whether they show all answers.
    pub(super) orders: u64,
    pub(super) are_all: bool,
    /// Whether the same IDs belong together in each order.
    pub(super) only_names: bool,
    pub(super) pairs: Vec<Deciding>,
}

/// Two claims whose order decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deciding {
    pub(super) later: usize,
    pub(super) earlier: usize,
    /// An ID whose answer changes, what it then is, and how many other IDs change.
    pub(super) id: u32,
    pub(super) then: u32,
    pub(super) more: usize,
}

impl Answers {
    pub(super) fn is_dependent(&self) -> bool {
        self.others.iter().any(|others| !others.is_empty())
    }
}

impl Component {
    /// Replays the claims in other orders.
    pub(super) fn answers(&self, settings: &Settings) -> Result<Answers, EngineError> {
        let len = self.claims.len();
        let replay = Replay::new(self, settings);
        let arrival: Vec<usize> = (0..len).collect();
        let mut answers = Answers {
            now: replay.resolved(&arrival)?,
            others: vec![Vec::new(); self.ids.len()],
            only_names: true,
            ..Answers::default()
        };
        if len <= ALL_ORDERS_CLAIMS {
            answers.are_all = true;
            each_order(len, &mut |order| {
                answers.add(&replay.resolved(order)?);
                Ok::<(), EngineError>(())
            })?;
        } else {
            self.sample(settings, &replay, &mut answers)?;
        }
        if answers.is_dependent() {
            self.find_pairs(&replay, &mut answers)?;
        }
        answers.others.iter_mut().for_each(|it| it.sort_unstable());
        Ok(answers)
    }

    /// Replays some orders: each claim first, the reverse, the order of time, and random ones.
    fn sample(
        &self,
        settings: &Settings,
        replay: &Replay<'_>,
        answers: &mut Answers,
    ) -> Result<(), EngineError> {
        let len = self.claims.len();
        let mut orders_left = (WEIGHED_MAX / len).max(8);
        // In Simplified the first claim of a device decides alone (S-5).
        answers.are_all = settings.rule_book() == RuleBook::Simplified && orders_left >= len;
        let mut order: Vec<usize> = (0..len).rev().collect();
        answers.add(&replay.resolved(&order)?);
        if self.evidence.iter().all(|it| it.time_ms.is_some()) {
            order.sort_by_key(|at| (self.evidence[*at].time_ms, *at));
            answers.add(&replay.resolved(&order)?);
        }
        let firsts = len.min(orders_left);
        for at in (0..firsts).map(|at| at * len / firsts) {
            answers.add(&replay.resolved(&moved(len, at, 0))?);
        }
        orders_left -= firsts;
        let mut random = Random(len as u64);
        for _ in 0..orders_left.min(RANDOM_ORDERS) {
            random.shuffle(&mut order);
            answers.add(&replay.resolved(&order)?);
        }
        Ok(())
    }

    /// Moves claims before earlier ones, to find the pairs that decide.
    fn find_pairs(&self, replay: &Replay<'_>, answers: &mut Answers) -> Result<(), EngineError> {
        let len = self.claims.len();
        let mut weighed_left = WEIGHED_MAX;
        for later in 1..len {
            if answers.pairs.len() >= PAIRS_MAX {
                return Ok(());
            }
            if len > MOVED_CLAIMS {
                if self.are_accepted[later] || weighed_left < 64 * len {
                    continue;
                }
                weighed_left -= 64 * len;
                if let Some(earlier) = self.last_that_decides(replay, &answers.now, later)? {
                    let then = replay.resolved(&moved(len, later, earlier))?;
                    answers.decides(later, earlier, &then);
                }
                continue;
            }
            let mut without = answers.now.clone();
            for earlier in (0..later).rev() {
                let then = replay.resolved(&moved(len, later, earlier))?;
                if then != without && then != answers.now {
                    answers.decides(later, earlier, &then);
                }
                without = then;
            }
        }
        Ok(())
    }

    /// The last claim that a later one must come before to change an answer, by bisection.
    fn last_that_decides(
        &self,
        replay: &Replay<'_>,
        now: &[u32],
        later: usize,
    ) -> Result<Option<usize>, EngineError> {
        let len = self.claims.len();
        let changes = |to| Ok::<_, EngineError>(replay.resolved(&moved(len, later, to))? != now);
        if !changes(0)? {
            return Ok(None);
        }
        let (mut low, mut high) = (0, later);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if changes(middle)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Some(low))
    }
}

impl Answers {
    fn add(&mut self, resolved: &[u32]) {
        self.orders += 1;
        for ((now, found), others) in self.now.iter().zip(resolved).zip(&mut self.others) {
            if found != now && !others.contains(found) {
                others.push(*found);
            }
        }
        self.only_names = self.only_names && same_partition(&self.now, resolved);
    }

    fn decides(&mut self, later: usize, earlier: usize, then: &[u32]) {
        let changed = (0..).zip(self.now.iter().zip(then));
        let changed: Vec<(u32, u32)> = changed
            .filter(|(_, (now, then))| now != then)
            .map(|(id, (_, then))| (id, *then))
            .collect();
        if let Some((id, then)) = changed.first() {
            self.pairs.push(Deciding {
                later,
                earlier,
                id: *id,
                then: *then,
                more: changed.len() - 1,
            });
        }
    }
}

/// Whether the same IDs have equal canonical IDs.
fn same_partition(one: &[u32], other: &[u32]) -> bool {
    let mut names: HashMap<u32, u32> = HashMap::default();
    let mut back: HashMap<u32, u32> = HashMap::default();
    one.iter()
        .zip(other)
        .all(|(a, b)| *names.entry(*a).or_insert(*b) == *b && *back.entry(*b).or_insert(*a) == *a)
}

/// Replays the claims of a component.
struct Replay<'c> {
    settings: &'c Settings,
    ids: Vec<DistinctId<'c>>,
    places: HashMap<DistinctId<'c>, u32>,
    claims: Vec<Claim<'c>>,
}

impl<'c> Replay<'c> {
    fn new(component: &'c Component, settings: &'c Settings) -> Self {
        let ids: Vec<_> = component.ids.iter().map(DistinctIdBuf::as_id).collect();
        let claim = |made: &Made| {
            let [first, second] = made.ids.map(|place| ids[place as usize].id());
            Claim::new(made.kind, [first, second])
        };
        Self {
            settings,
            places: ids.iter().copied().zip(0..).collect(),
            claims: component.claims.iter().map(claim).collect(),
            ids,
        }
    }

    /// The place of the canonical ID of each ID, after the claims in this order.
    fn resolved(&self, order: &[usize]) -> Result<Vec<u32>, EngineError> {
        let mut engine = self.settings.engine();
        for at in order {
            engine.apply(self.claims[*at])?;
        }
        let place = |id: &DistinctId<'_>| self.places.get(&engine.resolve(*id)).copied();
        Ok(self
            .ids
            .iter()
            .map(|id| place(id).unwrap_or(u32::MAX))
            .collect())
    }
}
