//! The work for claims that join what a withdrawal set apart: a claim that joins a part with something
//! else may not cost a fold each time, however many there are (LG-1).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_core::{
    Claim, ClaimKind, Cluster, DistinctId, EngineError, Event, Id, IdentityResolver, InvalidEvent,
    Outcome, Reading, Resolve, RuleBook, SnapshotError,
};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Digest, Durable, Options};

use support::disk::Disk;

/// How many pairs of IDs there are, and how many claims join one of them with what was set apart.
const JOINS: u64 = 300;

/// An engine that counts the claims that it and its siblings were given.
#[derive(Debug)]
struct Counted<R> {
    engine: R,
    applied: Arc<AtomicU64>,
}

impl<R: Resolve> Resolve for Counted<R> {
    fn rule_book(&self) -> RuleBook {
        self.engine.rule_book()
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.engine.resolve(id)
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.engine.cluster(id)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.engine.clusters()
    }
}

impl<R: IdentityResolver> IdentityResolver for Counted<R> {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.engine.read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        self.applied.fetch_add(1, Ordering::Relaxed);
        self.engine.apply(claim)
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        self.engine.write_snapshot(sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.engine.read_snapshot(source)
    }
}

fn open<R: IdentityResolver + Default + 'static>(
    disk: &Disk,
    applied: &Arc<AtomicU64>,
) -> Durable<Counted<R>> {
    let applied = applied.clone();
    let fresh = move || Counted {
        engine: R::default(),
        applied: applied.clone(),
    };
    Durable::open_backend(disk.clone(), fresh, Options::default()).unwrap()
}

/// The claims by their IDs: pairs before the withdrawal of the first one, and joins after it.
fn pairs_and_joins() -> (Vec<[String; 2]>, Vec<[String; 2]>) {
    let pair = |user: String, number: u64| [format!("D{number}"), user];
    let others = (1..=JOINS).map(|number| pair(format!("U{number}"), number));
    let pairs = [pair("U".into(), 0)].into_iter().chain(others).collect();
    let joins = (1..=JOINS).map(|number| pair("U".into(), number)).collect();
    (pairs, joins)
}

fn claim(kind: ClaimKind, [first, second]: &[String; 2]) -> Claim<'_> {
    Claim::new(kind, [first, second].map(|text| Id::new(text).unwrap()))
}

fn clusters(engine: &dyn Resolve) -> Vec<String> {
    let clusters = engine.clusters();
    clusters.map(|cluster| format!("{cluster:?}")).collect()
}

fn joins_take_a_constant_number_of_folds<R>(kind: ClaimKind)
where
    R: IdentityResolver + Default + 'static,
{
    let (pairs, joins) = pairs_and_joins();
    let disk = Disk::default();
    let applied = Arc::new(AtomicU64::new(0));
    let mut store = open::<R>(&disk, &applied);
    for ids in &pairs {
        store.apply(claim(kind, ids)).unwrap();
    }
    store.retract(1, "ada", "a test", Cause::default()).unwrap();
    let mut truth = R::default();
    for ids in &pairs[1..] {
        truth.apply(claim(kind, ids)).unwrap();
    }
    for ids in &joins {
        let expected = format!("{:?}", truth.apply(claim(kind, ids)).unwrap());
        let answer = format!("{:?}", store.apply(claim(kind, ids)).unwrap());
        assert_eq!(answer, expected, "{ids:?}");
    }
    // Each claim once, and at most two folds of the whole log.
    let entries = store.commit().unwrap();
    let most = 3 * entries;
    let folded = applied.swap(0, Ordering::Relaxed);
    assert!(folded <= most, "{folded} claims for {entries} entries");
    // There is one engine again, so the order is right too (S-10, O-17).
    assert_eq!(clusters(&store), clusters(&truth));
    store.close().unwrap();

    let store = open::<R>(&disk, &applied);
    let folded = applied.load(Ordering::Relaxed);
    assert!(folded <= most, "opening: {folded} for {entries} entries");
    assert_eq!(clusters(&store), clusters(&truth));
    assert_eq!(Digest::of(&store).unwrap(), Digest::of(&truth).unwrap());
}

#[test]
fn lg_1_claims_that_join_a_part_take_work_in_proportion_in_simplified() {
    joins_take_a_constant_number_of_folds::<Simplified>(ClaimKind::Link);
}

#[test]
fn lg_1_claims_that_join_a_part_take_work_in_proportion_in_original() {
    joins_take_a_constant_number_of_folds::<Original>(ClaimKind::Merge);
}
