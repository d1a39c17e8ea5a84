//! Rules LG-1 and LG-2: after a withdrawal the state is that of the same events without those that
//! made the withdrawn claims, also if other events said the same in another way.
//!
//! The truth is a plain engine that is given every event except those; it never sees the log.
//! `IDMERGE_WITHDRAWALS=200000` in the environment makes at least this many withdrawals in each test.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Debug;

use idmerge_core::{Claim, ClaimKind, DistinctId, Id, IdentityResolver, Resolve, RuleBook};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Digest, Durable, Options, Retraction, StoreError, What};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestError, TestRunner};

use crate::support::disk::Disk;

/// Three IDs that `$identify` accepts as anonymous (O-8), and two that it does not.
const IDS: [&str; 5] = [
    "aaaaaaaa-0000-4000-8000-000000000000",
    "bbbbbbbb-0000-4000-8000-000000000000",
    "cccccccc-0000-4000-8000-000000000000",
    "U",
    "V",
];

/// A kind of claim, and the places of its IDs in [`IDS`].
type Said = (ClaimKind, [usize; 2]);

fn claim((kind, [first, second]): Said) -> Claim<'static> {
    Claim::new(
        kind,
        [IDS[first], IDS[second]].map(|text| Id::new(text).unwrap()),
    )
}

/// All IDs, with and without the prefix of a device.
fn every_id() -> impl Iterator<Item = DistinctId<'static>> {
    let ids = IDS.into_iter().map(|text| Id::new(text).unwrap());
    ids.flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Event(Said),
    /// Withdraws the claim of an earlier event.
    Withdraw(usize),
    /// Withdraws every claim that names the ID in this place of [`IDS`], as a device or not.
    Detach(usize, bool),
    /// Withdraws an earlier withdrawal.
    Undo(usize),
    Commit,
    Snapshot,
    Index,
    Reopen,
}

/// What a withdrawal withdraws.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Claim(Said),
    /// Every claim that names the ID.
    Named(DistinctId<'static>),
    Withdrawal(usize),
}

impl Target {
    /// Whether it is this claim. Those of the other rule book cannot be withdrawn.
    fn is(self, said: Said, rule_book: RuleBook) -> bool {
        let own = |id: DistinctId<'static>| match rule_book {
            RuleBook::Original => DistinctId::plain(id.id()),
            _ => id,
        };
        match self {
            Self::Claim(claim) => claim == said,
            Self::Named(id) => {
                let names = claim(said).ids().map(own).contains(&own(id));
                names && rule_book.weighs(said.0)
            }
            Self::Withdrawal(_) => false,
        }
    }
}

#[derive(Debug)]
struct Withdrawal {
    target: Target,
    /// How many events came before it.
    events_before: usize,
    /// The number of its entry.
    sequence: u64,
}

/// The events and withdrawals so far, from which the truth follows.
#[derive(Debug)]
struct Story {
    rule_book: RuleBook,
    events: Vec<Said>,
    withdrawals: Vec<Withdrawal>,
}

impl Story {
    /// Whether each withdrawal counts: no later one that counts withdraws it.
    fn in_force(&self) -> Vec<bool> {
        let mut in_force = vec![true; self.withdrawals.len()];
        for at in (0..self.withdrawals.len()).rev() {
            if let Target::Withdrawal(earlier) = self.withdrawals[at].target
                && in_force[at]
            {
                in_force[earlier] = false;
            }
        }
        in_force
    }

    /// The events that count, in order.
    fn counting(&self) -> impl Iterator<Item = Said> {
        let in_force = self.in_force();
        let events = self.events.iter().enumerate();
        let counting = events.filter(move |(at, said)| {
            let mut all = self.withdrawals.iter().zip(&in_force);
            !all.any(|(withdrawal, in_force)| {
                *in_force
                    && withdrawal.events_before > *at
                    && withdrawal.target.is(**said, self.rule_book)
            })
        });
        counting.map(|(_, said)| *said)
    }

    /// A plain engine that was given the events that count.
    fn truth<R: IdentityResolver>(&self, mut engine: R) -> R {
        for said in self.counting() {
            engine.apply(claim(said)).unwrap();
        }
        engine
    }

    /// How many claims that count this would withdraw; for a withdrawal, whether it counts.
    fn counts(&self, target: Target) -> usize {
        if let Target::Withdrawal(earlier) = target {
            return usize::from(self.in_force()[earlier]);
        }
        let counting = self
            .counting()
            .filter(|said| target.is(*said, self.rule_book));
        counting.collect::<HashSet<_>>().len()
    }
}

/// A test, and what it did so far.
struct Test<R, O> {
    fresh: fn(u32) -> R,
    /// An engine of the other rule book.
    other: fn(u32) -> O,
    withdrawals: Cell<u64>,
    entries: Cell<u64>,
    events: Cell<u64>,
}

fn answer(outcome: &dyn Debug) -> String {
    format!("{outcome:?}")
}

fn is_same(store: &dyn Resolve, truth: &dyn Resolve) -> TestCaseResult {
    for id in every_id() {
        prop_assert_eq!(store.resolve(id), truth.resolve(id));
        prop_assert_eq!(store.cluster(id), truth.cluster(id));
    }
    let clusters = |engine: &dyn Resolve| -> BTreeSet<String> {
        engine.clusters().map(|cluster| answer(&cluster)).collect()
    };
    prop_assert_eq!(clusters(store), clusters(truth));
    prop_assert_eq!(store.clustered_ids(), truth.clustered_ids());
    Ok(())
}

impl<R: IdentityResolver + 'static, O: IdentityResolver> Test<R, O> {
    fn open(&self, disk: &Disk, cap: u32) -> Durable<R> {
        let fresh = self.fresh;
        let options = Options {
            // A small number, so that runs are written and merged during the test.
            unindexed_max: 3,
            ..Options::default()
        };
        Durable::open_backend(disk.clone(), move || fresh(cap), options).unwrap()
    }

    fn holds(&self, cap: u32, steps: &[Step]) -> TestCaseResult {
        let disk = Disk::default();
        let mut store = self.open(&disk, cap);
        let mut story = Story {
            rule_book: store.rule_book(),
            events: Vec::new(),
            withdrawals: Vec::new(),
        };
        let mut truth = (self.fresh)(cap);
        for &step in steps {
            match step {
                Step::Event(said) => {
                    let expected = answer(&truth.apply(claim(said)).unwrap());
                    prop_assert_eq!(answer(&store.apply(claim(said)).unwrap()), expected);
                    story.events.push(said);
                }
                Step::Withdraw(place) if !story.events.is_empty() => {
                    let said = story.events[place % story.events.len()];
                    self.withdraw(&mut store, &mut story, Target::Claim(said), place)?;
                    truth = story.truth((self.fresh)(cap));
                    is_same(&store, &truth)?;
                }
                Step::Detach(place, is_device) => {
                    let id = Id::new(IDS[place]).unwrap();
                    let id = if is_device {
                        DistinctId::device(id)
                    } else {
                        DistinctId::plain(id)
                    };
                    self.withdraw(&mut store, &mut story, Target::Named(id), 0)?;
                    truth = story.truth((self.fresh)(cap));
                    is_same(&store, &truth)?;
                }
                Step::Undo(place) if !story.withdrawals.is_empty() => {
                    let target = Target::Withdrawal(place % story.withdrawals.len());
                    self.withdraw(&mut store, &mut story, target, place)?;
                    truth = story.truth((self.fresh)(cap));
                    is_same(&store, &truth)?;
                }
                Step::Withdraw(_) | Step::Undo(_) => {}
                Step::Commit => drop(store.commit().unwrap()),
                Step::Snapshot => {
                    store.commit().unwrap();
                    store.snapshot().unwrap();
                }
                Step::Index => store.index().unwrap(),
                Step::Reopen => {
                    store.commit().unwrap();
                    store.close().unwrap();
                    store = self.open(&disk, cap);
                }
            }
        }
        self.ends_right(cap, &story, store, truth)
    }

    /// Withdraws the claim through one of its entries, or an earlier withdrawal.
    fn withdraw(
        &self,
        store: &mut Durable<R>,
        story: &mut Story,
        target: Target,
        place: usize,
    ) -> TestCaseResult {
        store.commit().unwrap();
        let retracted = match target {
            Target::Withdrawal(earlier) => retract(store, story.withdrawals[earlier].sequence),
            Target::Claim(said) => {
                let entries = entries_of(store, said);
                prop_assert!(!entries.is_empty(), "{:?} has no entry", said);
                retract(store, entries[place % entries.len()])
            }
            Target::Named(id) => store.detach(id, "ada", "a test", Cause::default()),
        };
        match (retracted, target) {
            (Err(StoreError::NotRetractable { .. }), Target::Claim((kind, _))) => {
                prop_assert!(!story.rule_book.weighs(kind));
            }
            (Err(StoreError::NotNamed { .. }), Target::Named(_)) => {
                let mut events = story.events.iter();
                prop_assert!(!events.any(|said| target.is(*said, story.rule_book)));
            }
            (Ok(retraction), _) => {
                let counts = story.counts(target);
                prop_assert_eq!(retraction.is_new, counts > 0);
                if !matches!(target, Target::Withdrawal(_)) {
                    prop_assert_eq!(retraction.claims, counts as u64);
                }
                if retraction.is_new {
                    self.withdrawals.set(self.withdrawals.get() + 1);
                    prop_assert_eq!(retraction.sequence, store.committed());
                    story.withdrawals.push(Withdrawal {
                        target,
                        events_before: story.events.len(),
                        sequence: retraction.sequence,
                    });
                }
            }
            (Err(error), _) => prop_assert!(false, "{error}"),
        }
        Ok(())
    }

    /// Checks everything that can be asked at the end.
    fn ends_right(
        &self,
        cap: u32,
        story: &Story,
        mut store: Durable<R>,
        mut truth: R,
    ) -> TestCaseResult {
        is_same(&store, &truth)?;
        store.commit().unwrap();
        // The snapshots have the marks (O-13) and the ages (O-14) too.
        let digest = Digest::of(&truth).unwrap();
        prop_assert_eq!(Digest::of(&store).unwrap(), digest);
        let history = store.history().unwrap();
        prop_assert_eq!(history.digest(history.last()).unwrap(), digest);
        let simulated = history.simulate(history.last(), (self.other)(cap)).unwrap();
        let simulated = Digest::of(&simulated).unwrap();
        let other = Digest::of(&story.truth((self.other)(cap))).unwrap();
        prop_assert_eq!(simulated, other, "simulated");
        self.entries.set(self.entries.get() + history.last());
        self.events
            .set(self.events.get() + story.events.len() as u64);
        drop(history);
        // Further claims show the marks of the state in memory.
        for first in 0..IDS.len() {
            for second in 0..IDS.len() {
                for kind in ClaimKind::ALL {
                    let probe = claim((kind, [first, second]));
                    let expected = answer(&truth.apply(probe).unwrap());
                    prop_assert_eq!(answer(&store.apply(probe).unwrap()), expected);
                }
            }
        }
        is_same(&store, &truth)
    }

    /// Runs random cases, more of them if the environment asks for it.
    fn run(&self, said: impl Fn() -> BoxedStrategy<Said>) {
        let wanted = wanted_withdrawals();
        loop {
            // A runner counts its cases over all of its runs.
            let mut runner = TestRunner::new(ProptestConfig {
                cases: 150,
                failure_persistence: None,
                max_shrink_iters: 4_000,
                ..ProptestConfig::default()
            });
            let cap = prop_oneof![Just(2), Just(3), Just(4), Just(500)];
            let steps = prop::collection::vec(step(said()), 1..60);
            let result = runner.run(&(cap, steps), |(cap, steps)| self.holds(cap, &steps));
            if let Err(TestError::Fail(reason, (cap, steps))) = &result {
                let steps: Vec<_> = steps.iter().map(|step| format!("{step:?}")).collect();
                println!("cap {cap}, {reason}:\n{}", steps.join("\n"));
            }
            assert!(result.is_ok(), "{result:?}");
            if self.withdrawals.get() >= wanted {
                break;
            }
        }
        println!(
            "{} withdrawals, {} events, {} entries",
            self.withdrawals.get(),
            self.events.get(),
            self.entries.get(),
        );
    }
}

fn retract<R: IdentityResolver>(
    store: &mut Durable<R>,
    sequence: u64,
) -> Result<Retraction, StoreError> {
    store.retract(sequence, "ada", "a test", Cause::default())
}

/// The numbers of the entries of a claim.
fn entries_of<R: IdentityResolver>(store: &Durable<R>, said: Said) -> Vec<u64> {
    let mut entries = Vec::new();
    let each = &mut |entry: idmerge_store::Entry<'_>| {
        if matches!(entry.what, What::Claim { claim: of, .. } if of == claim(said)) {
            entries.push(entry.sequence);
        }
        Ok(true)
    };
    store.history().unwrap().entries(1, each).unwrap();
    entries
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test program has no other way to take an option"
)]
fn wanted_withdrawals() -> u64 {
    let wanted = std::env::var("IDMERGE_WITHDRAWALS");
    wanted.map_or(0, |number| number.parse().unwrap())
}

fn step(said: BoxedStrategy<Said>) -> impl Strategy<Value = Step> {
    let place = || 0..1_000_usize;
    prop_oneof![
        30 => said.prop_map(Step::Event),
        5 => place().prop_map(Step::Withdraw),
        1 => (0..IDS.len(), any::<bool>()).prop_map(|(place, is_device)| Step::Detach(place, is_device)),
        2 => place().prop_map(Step::Undo),
        2 => Just(Step::Commit),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Index),
        1 => Just(Step::Reopen),
    ]
}

/// Claims of few IDs: most are repeats, chains and rejections.
fn said(kinds: [(u32, ClaimKind); 4]) -> BoxedStrategy<Said> {
    let kinds = kinds.map(|(weight, kind)| (weight, Just(kind)));
    let kind = proptest::strategy::Union::new_weighted(kinds.to_vec());
    (kind, [0..IDS.len(), 0..IDS.len()]).boxed()
}

fn original(max_cluster_ids: u32) -> Original {
    Original::new(idmerge_original::Settings {
        max_cluster_ids,
        ..idmerge_original::Settings::default()
    })
}

fn simplified(_: u32) -> Simplified {
    Simplified::default()
}

fn test<R, O>(fresh: fn(u32) -> R, other: fn(u32) -> O) -> Test<R, O> {
    Test {
        fresh,
        other,
        withdrawals: Cell::new(0),
        entries: Cell::new(0),
        events: Cell::new(0),
    }
}

#[test]
fn lg_1_withdrawals_in_original_are_exact() {
    test(original, simplified).run(|| {
        said([
            (6, ClaimKind::Identify),
            (2, ClaimKind::Alias),
            (3, ClaimKind::Merge),
            (1, ClaimKind::Link),
        ])
    });
}

#[test]
fn lg_1_withdrawals_in_simplified_are_exact() {
    test(simplified, original).run(|| {
        said([
            (4, ClaimKind::Identify),
            (1, ClaimKind::Alias),
            (1, ClaimKind::Merge),
            (6, ClaimKind::Link),
        ])
    });
}

#[test]
fn lg_1_ids_that_are_joined_in_two_ways_stay_joined() {
    let mut store = test(original, simplified).open(&Disk::default(), 500);
    let merge = |first, second| claim((ClaimKind::Merge, [first, second]));
    for (first, second) in [(0, 1), (1, 2), (0, 2)] {
        store.apply(merge(first, second)).unwrap();
    }
    assert_eq!(store.rule_book(), RuleBook::Original);
    retract(&mut store, 1).unwrap();
    let [a, b, c] = [0, 1, 2].map(|at| DistinctId::try_from(IDS[at]).unwrap());
    assert_eq!(store.resolve(a), store.resolve(c));
    assert_eq!(store.resolve(b), store.resolve(c));
}
