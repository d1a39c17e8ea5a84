//! A claim that changes nothing does not allocate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../state/tests/support/forged.rs"]
mod forged;

use std::hint::black_box;

use idmerge_core::{Claim, DistinctId, Event, Id, IdentityResolver, Outcome, Resolve, RuleBook};
use idmerge_simplified::Simplified;

use forged::{MOST, forged, is_head_refused_with_little_memory, is_refused_with_little_memory};

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn allocations(run: impl FnMut()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn reading_resolving_and_claims_that_change_nothing_do_not_allocate() {
    let mut engine = Simplified::default();
    let device = id("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e");
    let claim = |user| Claim::Link { device, user };
    // Check that the counter works.
    let merged =
        allocations(|| assert_eq!(engine.apply(claim(id("U1"))).unwrap(), Outcome::Merged));
    assert!(merged > 0);

    let event = Event {
        user_id: "U1".into(),
        device_id: "$device:D1".into(),
        ..Event::named("A")
    };
    let read = allocations(|| {
        black_box(engine.read(&event).unwrap());
    });
    assert_eq!(read, 0);

    let resolved = allocations(|| {
        for id in [device, id("U1"), id("unknown")] {
            black_box(engine.resolve(DistinctId::device(id)));
            black_box(engine.resolve(DistinctId::plain(id)));
            black_box(engine.cluster_len(DistinctId::plain(id)));
        }
    });
    assert_eq!(resolved, 0);

    let unchanged = allocations(|| {
        // S-6, S-7, S-8
        assert_eq!(
            engine.apply(claim(id("U1"))).unwrap(),
            Outcome::AlreadyMerged
        );
        let stolen = engine.apply(claim(id("U2"))).unwrap();
        assert!(matches!(stolen, Outcome::Rejected(_)));
        let foreign = Claim::Merge {
            first: device,
            second: id("U1"),
        };
        assert_eq!(engine.apply(foreign).unwrap(), Outcome::Ignored);
    });
    assert_eq!(unchanged, 0);
}

#[test]
fn a_snapshot_takes_memory_for_what_is_in_it_and_not_for_what_it_announces() {
    for bytes in [
        // So many users, and a user with so many devices.
        forged(RuleBook::Simplified, &[MOST], &["U"]),
        forged(RuleBook::Simplified, &[1, 1, u64::from(b'U'), MOST], &["D"]),
    ] {
        is_refused_with_little_memory(Simplified::default(), &bytes);
    }
}

#[test]
fn an_image_takes_memory_for_what_is_in_it_and_not_for_what_it_announces() {
    // IDs and pieces of texts, of users and of devices.
    for head in [
        [u32::MAX, 0, u32::MAX, 0],
        [0, u32::MAX, 0, 0],
        [0, 1 << 24, 0, 0],
        [0, 0, 0, 1 << 24],
        [0, 0, u32::MAX, 0],
    ] {
        is_head_refused_with_little_memory(Simplified::default(), &head);
    }
}
