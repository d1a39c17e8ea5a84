//! Erasure, rules E-1 to E-5 and LE-1: the clusters of the named IDs are erased (E-1) and refused (E-2), their log
//! entries keep their number, kind and answer (E-3), a dry run changes nothing (E-4), and every answer is that of the
//! events that name no erased ID (E-5).
//!
//! The truth is a plain engine that is given those events; it never sees the log. `IDMERGE_ERASURES=20000` in the
//! environment makes at least this many erasures in each test.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;

use idmerge_core::{
    Claim, ClaimKind, Cluster, DistinctId, DistinctIdBuf, Id, IdentityResolver, Resolve, RuleBook,
};
use idmerge_legacy::Legacy;
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{
    Cause, Digest, Durable, ErasedEvents, Erasure, ErasureReceipt, LogEntry, Options, StoreError,
    What, erase,
};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestError, TestRunner};

use crate::support::logs::{ids_of, log_of};
use crate::support::traces::traces;

/// Four IDs that `$identify` accepts as anonymous (O-8), and four that it does not.
const IDS: [&str; 8] = [
    "a1b2c3d4-1111-4aaa-8aaa-0123456789ab",
    "b2c3d4e5-2222-4bbb-9bbb-123456789abc",
    "c3d4e5f6-3333-4ccc-accc-23456789abcd",
    "D4E5F6A7-4444-4DDD-BDDD-3456789ABCDE",
    "Ursula.Utrecht@example.com",
    "viktor-from-valencia",
    "wanda&co/winterthur",
    "xaver_xanten_0042",
];

type Said = (ClaimKind, [usize; 2]);

fn id(place: usize) -> Id<'static> {
    Id::new(IDS[place]).unwrap()
}

fn claim((kind, ids): Said) -> Claim<'static> {
    Claim::new(kind, ids.map(id))
}

fn every_id() -> impl Iterator<Item = DistinctId<'static>> {
    (0..IDS.len()).flat_map(|it| [DistinctId::plain(id(it)), DistinctId::device(id(it))])
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Event(Said),
    Withdraw(usize),
    Detach(usize),
    Undo(usize),
    Erase(usize, bool),
    Snapshot,
    Index,
    Reopen,
}

/// An event, unless an erasure has erased it.
#[derive(Clone, Copy)]
struct Told {
    said: Said,
    is_erased: bool,
}

#[derive(Clone, Copy)]
enum Target {
    Claim(Said),
    Named(usize),
    Withdrawal(usize),
}

struct Withdrawal {
    target: Target,
    events_before: usize,
    sequence: u64,
}

struct Story {
    rule_book: RuleBook,
    events: Vec<Told>,
    withdrawals: Vec<Withdrawal>,
    erased: BTreeSet<DistinctIdBuf>,
}

impl Story {
    fn own<'i>(&self, id: DistinctId<'i>) -> DistinctId<'i> {
        match self.rule_book {
            RuleBook::Simplified => id,
            _ => DistinctId::plain(id.id()),
        }
    }

    fn is_erased(&self, id: DistinctId<'_>) -> bool {
        self.erased.contains(&self.own(id).to_buf())
    }

    /// Whether an event names an erased ID. A claim that the model ignores names devices without their mark.
    fn names_erased(&self, said: Said) -> bool {
        let ids = claim(said).ids();
        let is_ignored = !self.rule_book.weighs(said.0);
        ids.iter().any(|id| {
            self.is_erased(*id) || is_ignored && self.is_erased(DistinctId::device(id.id()))
        })
    }

    fn withdraws(&self, target: Target, said: Said) -> bool {
        match target {
            Target::Claim(claim) => claim == said,
            Target::Named(place) => {
                self.rule_book.weighs(said.0)
                    && (claim(said).ids().iter())
                        .any(|named| self.own(*named) == DistinctId::plain(id(place)))
            }
            Target::Withdrawal(_) => false,
        }
    }

    /// A plain engine that was given the events that count and name no erased ID.
    fn truth<R: IdentityResolver>(&self, mut engine: R) -> R {
        let mut in_force = vec![true; self.withdrawals.len()];
        for at in (0..self.withdrawals.len()).rev() {
            if let Target::Withdrawal(earlier) = self.withdrawals[at].target
                && in_force[at]
            {
                in_force[earlier] = false;
            }
        }
        for (at, told) in self.events.iter().enumerate() {
            let is_withdrawn = self
                .withdrawals
                .iter()
                .zip(&in_force)
                .any(|(it, in_force)| {
                    *in_force && it.events_before > at && self.withdraws(it.target, told.said)
                });
            if !told.is_erased && !is_withdrawn {
                engine.apply(claim(told.said)).unwrap();
            }
        }
        engine
    }
}

struct Test<R> {
    fresh: fn(u32) -> R,
    erasures: Cell<u64>,
    rewritten: Cell<u64>,
}

fn options() -> Options {
    Options {
        // A small number, so that runs are written and merged during the test.
        unindexed_max: 3,
        ..Options::default()
    }
}

fn erasure(ids: Vec<DistinctIdBuf>) -> Erasure {
    Erasure {
        ids,
        until_ms: None,
        events: ErasedEvents::Erased,
        key: [7; 32],
        dry_run: false,
    }
}

/// The answers about an ID.
type Answers = (String, Option<String>, usize);

fn answers(engine: &dyn Resolve, id: DistinctId<'_>) -> Answers {
    let cluster = engine
        .cluster(id)
        .map(|cluster: Cluster<'_>| format!("{cluster:?}"));
    (
        engine.resolve(id).to_string(),
        cluster,
        engine.cluster_len(id),
    )
}

fn is_same<R: IdentityResolver>(store: &Durable<R>, truth: &R, story: &Story) -> TestCaseResult {
    for id in every_id() {
        prop_assert_eq!(answers(store, id), answers(truth, id));
        if story.is_erased(id) {
            prop_assert!(store.erased().refuses(id, i64::MAX - 1));
            prop_assert!(store.cluster(id).is_none());
        } else {
            prop_assert!(!store.erased().refuses(id, 0));
        }
    }
    prop_assert_eq!(store.clustered_ids(), truth.clustered_ids());
    let history = store.history().unwrap();
    prop_assert_eq!(
        history.digest(history.last()).unwrap(),
        Digest::of(truth).unwrap()
    );
    Ok(())
}

impl<R: IdentityResolver + 'static> Test<R> {
    fn open(&self, folder: &Path, cap: u32) -> Durable<R> {
        let fresh = self.fresh;
        Durable::open(folder, move || fresh(cap), options()).unwrap()
    }

    fn erase(
        &self,
        folder: &Path,
        cap: u32,
        erasure: &Erasure,
    ) -> Result<ErasureReceipt, StoreError> {
        let fresh = self.fresh;
        erase(
            folder,
            move || fresh(cap),
            &options(),
            erasure,
            None,
            &|_| true,
        )
    }

    fn holds(&self, cap: u32, steps: &[Step]) -> TestCaseResult {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut store = self.open(folder, cap);
        let mut story = Story {
            rule_book: store.rule_book(),
            events: Vec::new(),
            withdrawals: Vec::new(),
            erased: BTreeSet::new(),
        };
        for &step in steps {
            match step {
                Step::Event(said) => {
                    let is_refused = store.erased().refuses_claim(claim(said), 0);
                    prop_assert_eq!(is_refused, story.names_erased(said));
                    if !is_refused {
                        store.apply(claim(said)).unwrap();
                        story.events.push(Told {
                            said,
                            is_erased: false,
                        });
                    }
                }
                Step::Withdraw(place) if !story.events.is_empty() => {
                    let said = story.events[place % story.events.len()].said;
                    store.commit().unwrap();
                    let entries = entries_of(&store, said);
                    if let Some(entry) = entries.get(place % entries.len().max(1)) {
                        let retracted = store.retract(*entry, "ada", "a test", Cause::default());
                        note(&mut story, Target::Claim(said), retracted);
                    }
                }
                Step::Detach(place) => {
                    let named = DistinctId::plain(id(place));
                    let why = format!("it was {}", IDS[place].to_uppercase());
                    let retracted = store.detach(named, "ada", &why, Cause::default());
                    note(&mut story, Target::Named(place), retracted);
                }
                Step::Undo(place) if !story.withdrawals.is_empty() => {
                    let place = place % story.withdrawals.len();
                    let sequence = story.withdrawals[place].sequence;
                    let retracted = store.retract(sequence, "ada", "a test", Cause::default());
                    note(&mut story, Target::Withdrawal(place), retracted);
                }
                Step::Withdraw(_) | Step::Undo(_) => {}
                Step::Erase(place, is_device) => {
                    store = self.erase_one(folder, cap, store, &mut story, (place, is_device))?;
                }
                Step::Snapshot => {
                    store.commit().unwrap();
                    store.snapshot().unwrap();
                }
                Step::Index => store.index().unwrap(),
                Step::Reopen => {
                    store.commit().unwrap();
                    store.close().unwrap();
                    store = self.open(folder, cap);
                }
            }
        }
        store.commit().unwrap();
        is_same(&store, &story.truth((self.fresh)(cap)), &story)?;
        feed_leads_to(&store)?;
        store.close().unwrap();
        is_same(
            &self.open(folder, cap),
            &story.truth((self.fresh)(cap)),
            &story,
        )
    }

    fn erase_one(
        &self,
        folder: &Path,
        cap: u32,
        store: Durable<R>,
        story: &mut Story,
        (place, is_device): (usize, bool),
    ) -> Result<Durable<R>, TestCaseError> {
        store.commit().unwrap();
        let before = story.truth((self.fresh)(cap));
        is_same(&store, &before, story)?;
        let log_before = log_of(&store);
        store.close().unwrap();
        let named = match is_device {
            true => DistinctId::device(id(place)),
            false => DistinctId::plain(id(place)),
        };
        let erased: Vec<_> = (before.erased_with(story.own(named)))
            .map(DistinctIdBuf::from)
            .collect();
        let wanted = erasure(vec![named.to_buf()]);
        let dry = Erasure {
            dry_run: true,
            ..wanted.clone()
        };
        let dry = self.erase(folder, cap, &dry).unwrap();
        let store = self.open(folder, cap);
        is_same(&store, &before, story)?;
        store.close().unwrap();
        let receipt = self.erase(folder, cap, &wanted).unwrap();
        prop_assert_eq!(
            &dry,
            &ErasureReceipt {
                dry_run: true,
                ..receipt.clone()
            }
        );

        prop_assert_eq!(receipt.ids_erased, erased.len() as u64);
        prop_assert_eq!(
            &receipt.digest_before,
            &Digest::of(&before).unwrap().to_string()
        );
        story.erased.extend(erased);
        for at in 0..story.events.len() {
            story.events[at].is_erased |= story.names_erased(story.events[at].said);
        }
        let after = story.truth((self.fresh)(cap));
        let store = self.open(folder, cap);
        is_same(&store, &after, story)?;
        prop_assert_eq!(
            &receipt.digest_after,
            &Digest::of(&after).unwrap().to_string()
        );
        self.others_are_as_before(&before, &after, story)?;
        let rewritten = log_is_left(&log_before, &log_of(&store), story)?;
        prop_assert_eq!(receipt.entries_rewritten, rewritten);
        let gone = (0..IDS.len()).filter(|it| {
            // A user and a device of Simplified can have one text.
            [DistinctId::plain(id(*it)), DistinctId::device(id(*it))]
                .iter()
                .all(|id| story.is_erased(*id))
        });
        let gone: Vec<&str> = gone.map(|it| IDS[it]).collect();
        prop_assert_eq!(traces(folder, &gone), Vec::<String>::new());
        self.erasures.set(self.erasures.get() + 1);
        self.rewritten.set(self.rewritten.get() + rewritten);
        Ok(store)
    }

    /// E-5. In Legacy another alias of an erased ID, which stays, stands for nothing from now on, or for what a claim
    /// says that was rejected before (LE-1).
    fn others_are_as_before(&self, before: &R, after: &R, story: &Story) -> TestCaseResult {
        let others: Vec<_> = every_id().filter(|id| !story.is_erased(*id)).collect();
        let is_alias = |id: &DistinctId<'_>| before.erased_with(*id).any(|id| story.is_erased(id));
        if story.rule_book == RuleBook::Legacy && others.iter().any(is_alias) {
            return Ok(());
        }
        for id in others {
            prop_assert_eq!(answers(before, id), answers(after, id));
        }
        Ok(())
    }
}

fn note(
    story: &mut Story,
    target: Target,
    retracted: Result<idmerge_store::Retraction, StoreError>,
) {
    match retracted {
        Ok(retraction) if retraction.is_new => story.withdrawals.push(Withdrawal {
            target,
            events_before: story.events.len(),
            sequence: retraction.sequence,
        }),
        Ok(_) | Err(StoreError::NotRetractable { .. } | StoreError::NotNamed { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

/// The entries with this claim.
fn entries_of<R: IdentityResolver>(store: &Durable<R>, said: Said) -> Vec<u64> {
    let mut entries = Vec::new();
    let mut visit = |entry: idmerge_store::Entry<'_>| {
        if matches!(entry.what, What::Claim { claim: of, .. } if of == claim(said)) {
            entries.push(entry.sequence);
        }
        Ok(true)
    };
    store.history().unwrap().entries(1, &mut visit).unwrap();
    entries
}

/// E-3: every entry has its number; those that named an erased ID have their kind and answer, and nothing else.
/// Returns how many were rewritten.
fn log_is_left(
    before: &[LogEntry],
    after: &[LogEntry],
    story: &Story,
) -> Result<u64, TestCaseError> {
    prop_assert_eq!(before.len(), after.len());
    let mut rewritten = 0;
    for (before, after) in before.iter().zip(after) {
        prop_assert_eq!(before.sequence, after.sequence);
        prop_assert_eq!(before.claim, after.claim);
        prop_assert_eq!(before.retracted, after.retracted);
        prop_assert_eq!(&before.also_retracted, &after.also_retracted);
        if after.erased {
            let mut left = after.clone();
            (left.sequence, left.erased, left.claim, left.answer) = (0, false, None, None);
            prop_assert_eq!(left, LogEntry::default());
            prop_assert_eq!(before.answer, after.answer);
            rewritten += u64::from(!before.erased);
        } else {
            prop_assert_eq!(ids_of(before), ids_of(after));
        }
        let is_link = before.claim == Some("link") && story.rule_book == RuleBook::Simplified;
        let names = ids_of(before).iter().any(|text| {
            let it = Id::new(text).unwrap();
            let [plain, device] = [DistinctId::plain(it), DistinctId::device(it)];
            match is_link {
                true if before.device.as_deref() == Some(*text)
                    && before.user.as_deref() != Some(*text) =>
                {
                    story.is_erased(device)
                }
                true if before.device.as_deref() != Some(*text) => story.is_erased(plain),
                _ => story.is_erased(plain) || story.is_erased(device),
            }
        });
        prop_assert_eq!(after.erased, before.erased || names);
    }
    Ok(rewritten)
}

/// The changes lead from nothing to the state, and no position of the feed fails.
fn feed_leads_to<R: IdentityResolver>(store: &Durable<R>) -> TestCaseResult {
    let history = store.history().unwrap();
    let mut canonical = std::collections::BTreeMap::new();
    let mut visit = |change: idmerge_store::Change| {
        let before = canonical.insert(change.id.clone(), change.to.clone());
        assert_eq!(before.unwrap_or(change.id), change.from);
        Ok(true)
    };
    history.changes_since(0, &mut visit).unwrap();
    for id in every_id() {
        let id = match store.rule_book() {
            RuleBook::Simplified => id,
            _ => DistinctId::plain(id.id()),
        };
        let now = canonical.get(&id.to_buf()).cloned().unwrap_or(id.to_buf());
        prop_assert_eq!(now.as_id(), store.resolve(id));
    }
    for from in (0..=history.last()).step_by(5) {
        history.changes_since(from, &mut |_| Ok(true)).unwrap();
        history.digest(from).unwrap();
    }
    Ok(())
}

fn any_step(kinds: &'static [ClaimKind]) -> impl Strategy<Value = Step> {
    let said = (prop::sample::select(kinds), [0..IDS.len(), 0..IDS.len()]);
    prop_oneof![
        20 => said.prop_map(Step::Event),
        2 => any::<usize>().prop_map(Step::Withdraw),
        1 => (0..IDS.len()).prop_map(Step::Detach),
        1 => any::<usize>().prop_map(Step::Undo),
        1 => (0..IDS.len(), any::<bool>()).prop_map(|(place, is_device)| Step::Erase(place, is_device)),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Index),
        1 => Just(Step::Reopen),
    ]
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test program has no other way to take an option"
)]
fn wanted_erasures() -> u64 {
    let wanted = std::env::var("IDMERGE_ERASURES");
    wanted.map_or(30, |wanted| wanted.parse().unwrap())
}

fn erasures_hold<R: IdentityResolver + 'static>(fresh: fn(u32) -> R, kinds: &'static [ClaimKind]) {
    let test = Test {
        fresh,
        erasures: Cell::new(0),
        rewritten: Cell::new(0),
    };
    let steps = (
        prop::sample::select(&[2, 3, 4, 500][..]),
        prop::collection::vec(any_step(kinds), 10..50),
    );
    while test.erasures.get() < wanted_erasures() {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 10,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        match runner.run(&steps, |(cap, steps)| test.holds(cap, &steps)) {
            Ok(()) => {}
            Err(TestError::Fail(why, (cap, steps))) => {
                panic!(
                    "{why}\nlimit {cap}\n{}",
                    steps
                        .iter()
                        .map(|it| format!("{it:?}\n"))
                        .collect::<String>()
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
    let rewritten = test.rewritten.get();
    println!(
        "{} erasures, {rewritten} entries rewritten",
        test.erasures.get()
    );
    assert!(rewritten > test.erasures.get());
}

#[test]
fn e_5_an_erasure_in_simplified_leaves_what_the_other_events_give() {
    const KINDS: &[ClaimKind] = &[
        ClaimKind::Link,
        ClaimKind::Link,
        ClaimKind::Link,
        ClaimKind::Merge,
    ];
    erasures_hold(|_| Simplified::default(), KINDS);
}

#[test]
fn e_5_an_erasure_in_original_leaves_what_the_other_events_give() {
    const KINDS: &[ClaimKind] = &[
        ClaimKind::Link,
        ClaimKind::Identify,
        ClaimKind::Identify,
        ClaimKind::Alias,
        ClaimKind::Merge,
    ];
    let fresh = |max_cluster_ids| {
        Original::new(idmerge_original::Settings {
            max_cluster_ids,
            ..idmerge_original::Settings::default()
        })
    };
    erasures_hold(fresh, KINDS);
}

#[test]
fn le_1_an_erasure_in_legacy_leaves_what_the_other_events_give() {
    const KINDS: &[ClaimKind] = &[ClaimKind::Alias, ClaimKind::Alias, ClaimKind::Merge];
    erasures_hold(|_| Legacy::default(), KINDS);
}
