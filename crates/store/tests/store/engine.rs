//! A store and a reader are engines: they answer as the engine in them does, also after a withdrawal.
//! And what a log says about itself: the claims that count, its digest, and where two logs differ.

use idmerge_core::{Claim, DistinctId, Event, Id, IdentityResolver, Outcome, Resolve, Value};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{
    Cause, Difference, Digest, Durable, Entry, LogEntry, Options, Reader, What, exists,
    first_difference,
};

use crate::support::disk::Disk;
use crate::support::workload::{OwnedClaim, claims};
use crate::support::{Engine, snapshot_of};

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn link<'a>(device: &'a str, user: &'a str) -> Claim<'a> {
    Claim::Link {
        device: id(device),
        user: id(user),
    }
}

fn merge<'a>(first: &'a str, second: &'a str) -> Claim<'a> {
    Claim::Merge {
        first: id(first),
        second: id(second),
    }
}

fn new_store<E: Engine>() -> Durable<E> {
    Durable::open_backend(Disk::default(), E::empty, Options::default()).unwrap()
}

/// Everything that can be asked, as text. The clusters of parts have another order.
fn answers(resolver: &dyn Resolve, claims: &[OwnedClaim]) -> Vec<String> {
    let ids: Vec<_> = claims
        .iter()
        .flat_map(|claim| claim.ids().map(id))
        .flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
        .collect();
    let mut resolved = ids.clone();
    resolver.resolve_batch(&mut resolved);
    let mut answers = vec![format!(
        "{:?} {:?}",
        resolver.rule_book(),
        resolver.attribution()
    )];
    for (id, canonical) in ids.into_iter().zip(resolved) {
        assert_eq!(resolver.resolve(id), canonical);
        if let Some(reader) = resolver.concurrent_reader() {
            reader.resolve(&id, &mut |found| assert_eq!(*found, canonical));
        }
        let cluster = resolver.cluster(id);
        answers.push(format!("{id:?} {canonical:?} {cluster:?}"));
    }
    let mut clusters: Vec<_> = resolver.clusters().map(|it| format!("{it:?}")).collect();
    clusters.sort_unstable();
    answers.extend(clusters);
    answers
}

fn reading(engine: &impl IdentityResolver) -> String {
    let event = Event {
        name: "$identify",
        distinct_id: Value::Text("U1"),
        identified_id: Value::Text("U1"),
        anon_id: Value::Text("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e"),
        user_id: Value::Text("U1"),
        device_id: Value::Text("D1"),
        ..Event::default()
    };
    format!("{:?}", engine.read(&event).unwrap())
}

fn answers_as_the_engine<E: Engine>() {
    for seed in 0..4 {
        let claims = claims::<E>(seed, 80, 20);
        let folder = tempfile::tempdir().unwrap();
        assert!(!exists(folder.path()).unwrap());
        let mut store = Durable::open(folder.path(), E::empty, Options::default()).unwrap();
        assert!(exists(folder.path()).unwrap());
        let mut engine = E::empty();
        let all: Vec<_> = claims.iter().map(OwnedClaim::as_claim).collect();
        let mut outcomes = [Vec::new(), Vec::new()];
        let [ours, theirs] = &mut outcomes;
        let mut keep = |outcome: Outcome<'_>| ours.push(format!("{outcome:?}"));
        store.apply_batch(&all, &mut keep).unwrap();
        for claim in &all {
            theirs.push(format!("{:?}", engine.apply(*claim).unwrap()));
        }
        assert_eq!(outcomes[0], outcomes[1], "seed {seed}");
        store.commit().unwrap();
        let options = Options::default();
        let mut reader = Reader::open(folder.path(), E::empty, &options).unwrap();
        let wanted = answers(&engine, &claims);
        assert_eq!(answers(&store, &claims), wanted);
        assert_eq!(answers(&reader, &claims), wanted);
        assert!(store.concurrent_reader().is_some());
        assert_eq!(reading(&store), reading(&engine));
        let digest = Digest::of(&engine).unwrap();
        assert_eq!(reader.digest().unwrap(), digest);
        assert_eq!(
            digest.bytes(),
            *blake3::hash(&snapshot_of(&engine)).as_bytes()
        );

        // Withdraw the first claim: a part of the state is in an engine of its own.
        store.retract(1, "ada", "a test", Cause::default()).unwrap();
        let mut engine = E::empty();
        for claim in all.iter().filter(|claim| **claim != all[0]) {
            engine.apply(*claim).unwrap();
        }
        reader.refresh().unwrap();
        let wanted = answers(&engine, &claims);
        assert_eq!(answers(&store, &claims), wanted, "seed {seed}");
        assert_eq!(answers(&reader, &claims), wanted, "seed {seed}");
    }
}

#[test]
fn a_store_and_a_reader_answer_as_an_engine_of_original() {
    answers_as_the_engine::<Original>();
}

#[test]
fn a_store_and_a_reader_answer_as_an_engine_of_simplified() {
    answers_as_the_engine::<Simplified>();
}

#[test]
fn everything_has_a_text_for_debugging() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Durable::open(folder.path(), Simplified::empty, Options::default()).unwrap();
    store.apply(link("D1", "U1")).unwrap();
    store.commit().unwrap();
    let reader = Reader::open(folder.path(), Simplified::empty, &Options::default()).unwrap();
    for (text, names) in [
        (format!("{store:?}"), ["Durable", "Overlay"]),
        (format!("{reader:?}"), ["Reader", "Overlay"]),
        (format!("{:?}", reader.history().unwrap()), ["History", ""]),
        (format!("{:?}", store.merger()), ["Merger", ""]),
    ] {
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
    }
    let digest = reader.digest().unwrap();
    let hex: String = (digest.bytes().iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (digest.to_string(), format!("{digest:?}")),
        (hex.clone(), hex)
    );
}

#[test]
fn the_first_difference_of_two_logs_is_found() {
    let store_of = |claims: &[Claim<'_>], source: Option<&str>| {
        let mut store = new_store::<Original>();
        for claim in claims {
            let cause = Cause {
                source,
                ..Cause::default()
            };
            store.apply_caused(*claim, cause).unwrap();
        }
        store.commit().unwrap();
        store
    };
    let all = [merge("A", "B"), merge("B", "C"), merge("C", "D")];
    let other = [merge("A", "B"), merge("B", "X"), merge("C", "D")];
    let whole = store_of(&all, None);
    for (claims, wanted) in [
        (&all[..], None),
        (&other[..], Some(2)),
        (&all[..2], Some(3)),
        (&all[..0], Some(1)),
    ] {
        // The causes do not matter.
        let second = store_of(claims, Some("web"));
        let [first, second] = [&whole, &second].map(|store| store.history().unwrap());
        assert_eq!(first_difference(&first, &second).unwrap(), wanted);
        assert_eq!(first_difference(&second, &first).unwrap(), wanted);
    }
    let [first, second] = [None, Some("web")].map(|source| store_of(&[], source));
    let [first, second] = [&first, &second].map(|store| store.history().unwrap());
    assert_eq!(first_difference(&first, &second).unwrap(), None);
}

/// The claims that count, with the answers that they have now.
fn counting(store: &Durable<Simplified>) -> Vec<String> {
    let mut counting = Vec::new();
    let mut each = |claim: Claim<'_>, outcome: Outcome<'_>| {
        let ids = claim.ids().map(|id| id.id().to_string());
        let is_merged = outcome == Outcome::Merged;
        counting.push(format!("{} {is_merged}", ids.join(" ")));
    };
    store.history().unwrap().counting_claims(&mut each).unwrap();
    counting
}

#[test]
fn the_claims_that_count_have_the_answers_of_now() {
    let mut store = new_store::<Simplified>();
    store.apply(link("D1", "U1")).unwrap();
    store.apply(link("D1", "U2")).unwrap();
    store.commit().unwrap();
    assert_eq!(counting(&store), ["D1 U1 true", "D1 U2 false"]);
    store.retract(1, "ada", "a test", Cause::default()).unwrap();
    assert_eq!(counting(&store), ["D1 U2 true"]);

    // A loaded state replaces the one of the claims before it.
    let mut loaded = Simplified::empty();
    loaded.apply(link("D3", "U3")).unwrap();
    let bytes = snapshot_of(&loaded);
    store.read_snapshot(&mut &*bytes).unwrap();
    store.apply(link("D3", "U4")).unwrap();
    store.commit().unwrap();
    assert_eq!(counting(&store), ["D1 U2 true", "D3 U4 false"]);
}

#[test]
fn a_commit_or_a_snapshot_of_nothing_new_does_not_write() {
    let disk = Disk::default();
    let mut store = Durable::open_backend(disk.clone(), Simplified::empty, Options::default());
    let store = store.as_mut().unwrap();
    let writes = |store: &Durable<Simplified>| {
        let before = disk.syncs();
        store.commit().unwrap();
        store.snapshot().unwrap();
        disk.syncs() - before
    };
    assert_eq!(writes(store), 0);
    store.apply(link("D1", "U1")).unwrap();
    assert!(writes(store) > 0);
    assert_eq!(writes(store), 0);
    assert_eq!((store.committed(), store.since_snapshot().unwrap()), (1, 0));
    store.apply(link("D2", "U1")).unwrap();
    store.commit().unwrap();
    assert_eq!(store.since_snapshot().unwrap(), 1);
}

#[test]
fn closing_reports_a_disk_that_fails() {
    let fill = |disk: &Disk| {
        let mut store =
            Durable::open_backend(disk.clone(), Simplified::empty, Options::default()).unwrap();
        store.apply(link("D1", "U1")).unwrap();
        store.commit().unwrap();
        store
    };
    let disk = Disk::default();
    let store = fill(&disk);
    let before = disk.syncs();
    store.close().unwrap();
    assert!(disk.syncs() > before);
    let dying = fill(&Disk::that_dies_at(before));
    assert!(dying.close().is_err());
}

#[test]
fn lg_2_what_is_withdrawn_again_names_the_retraction_that_withdrew_it() {
    let mut store = new_store::<Simplified>();
    store.apply(link("D1", "U1")).unwrap();
    store.apply(link("D2", "U2")).unwrap();
    let mut retract = |sequence: u64| {
        let retraction = store.retract(sequence, "ada", "a test", Cause::default());
        let retraction = retraction.unwrap();
        (retraction.sequence, retraction.is_new)
    };
    assert_eq!(retract(1), (3, true));
    assert_eq!(retract(2), (4, true));
    assert_eq!(retract(1), (3, false));
    assert_eq!(retract(2), (4, false));
    // Withdraw a retraction and then the claim again.
    assert_eq!(retract(3), (5, true));
    assert_eq!(retract(1), (6, true));
    assert_eq!(retract(1), (6, false));
}

#[test]
fn a_simulation_leaves_out_what_is_withdrawn_and_what_is_not_accepted() {
    let mut store = new_store::<Simplified>();
    for claim in [link("D1", "U1"), link("D2", "U2"), link("D3", "U3")] {
        store.apply(claim).unwrap();
    }
    store.retract(1, "ada", "a test", Cause::default()).unwrap();
    let refused = link("D2", "U2");
    let history = store.history().unwrap();
    let simulate = |sequence: u64| {
        let accepts = |claim: Claim<'_>| claim != refused;
        let engine = Simplified::empty();
        let engine = history.simulate_accepted(sequence, engine, accepts);
        let engine = engine.unwrap();
        ["D1", "D2", "D3"].map(|text| engine.resolve(DistinctId::device(id(text))).to_string())
    };
    assert_eq!(simulate(3), ["U1", "$device:D2", "U3"]);
    assert_eq!(simulate(4), ["$device:D1", "$device:D2", "U3"]);
}

#[test]
fn an_entry_shows_the_answer_of_a_claim_that_joined_nothing_new() {
    let entry = Entry {
        sequence: 1,
        what: What::Claim {
            claim: merge("A", "B"),
            outcome: Outcome::AlreadyMerged,
        },
        cause: Cause::default(),
    };
    assert_eq!(LogEntry::from(entry).answer, Some("already merged"));
}

#[test]
fn a_difference_counts_the_users_that_only_one_engine_has() {
    let of = |links: &[(&str, &str)]| {
        let mut engine = Simplified::empty();
        for (device, user) in links {
            engine.apply(link(device, user)).unwrap();
        }
        engine
    };
    let joined = of(&[("D1", "U1"), ("D2", "U1"), ("D3", "U2")]);
    let split = of(&[("D1", "U1"), ("D3", "U2"), ("D4", "U4")]);
    let fewer = of(&[("D1", "U1")]);
    assert!(Difference::between(&joined, &joined, 9).is_none());
    let difference = Difference::between(&joined, &split, 9);
    assert!(!difference.is_none());
    // D2 belongs to U1, and the user U4 has a device.
    assert_eq!((difference.split, difference.joined), (1, 1));
    assert_eq!(difference.split_examples, ["U1"]);
    assert_eq!(difference.joined_examples, ["U4"]);
    assert_eq!((difference.clusters, difference.other_clusters), (2, 3));
    // The other engine does not know D2 and D3.
    let difference = Difference::between(&joined, &fewer, 1);
    assert_eq!((difference.split, difference.joined), (2, 0));
    assert!(!difference.is_none());
    assert_eq!(difference.split_examples.len(), 1);
    let difference = Difference::between(&fewer, &joined, 1);
    assert_eq!((difference.split, difference.joined), (0, 2));
    assert!(!difference.is_none());
}
