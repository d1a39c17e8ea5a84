//! A claim that changes nothing does not allocate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../state/tests/support/forged.rs"]
mod forged;

use std::hint::black_box;

use idmerge_core::{Claim, DistinctId, Event, Id, IdentityResolver, Outcome, Resolve, RuleBook};
use idmerge_legacy::Legacy;

use forged::{MOST, forged, is_refused_with_little_memory};

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn allocations(run: impl FnMut()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn reading_resolving_and_claims_that_change_nothing_do_not_allocate() {
    let mut engine = Legacy::default();
    let [device, user, other] = ["5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e", "U1", "U2"].map(id);
    let alias = |alias, distinct_id| Claim::Alias { distinct_id, alias };
    // Check that the counter works.
    let merged =
        allocations(|| assert_eq!(engine.apply(alias(user, device)).unwrap(), Outcome::Merged));
    assert!(merged > 0);

    let event = Event {
        distinct_id: "$device:D1".into(),
        alias: "U1".into(),
        ..Event::named(Event::CREATE_ALIAS)
    };
    let read = allocations(|| {
        black_box(engine.read(&event).unwrap());
    });
    assert_eq!(read, 0);

    let resolved = allocations(|| {
        for id in [device, user, other] {
            black_box(engine.resolve(DistinctId::plain(id)));
            black_box(engine.resolve(DistinctId::device(id)));
            black_box(engine.cluster_len(DistinctId::plain(id)));
        }
    });
    assert_eq!(resolved, 0);

    let unchanged = allocations(|| {
        // L-6, L-7
        for claim in [alias(user, device), alias(device, user)] {
            assert_eq!(engine.apply(claim).unwrap(), Outcome::AlreadyMerged);
        }
        // L-5, L-6
        for claim in [alias(other, other), alias(user, other)] {
            assert!(matches!(engine.apply(claim).unwrap(), Outcome::Rejected(_)));
        }
        // L-11
        let foreign = Claim::Merge {
            first: device,
            second: other,
        };
        assert_eq!(engine.apply(foreign).unwrap(), Outcome::Ignored);
    });
    assert_eq!(unchanged, 0);
}

#[test]
fn a_snapshot_takes_memory_for_what_is_in_it_and_not_for_what_it_announces() {
    for bytes in [
        // So many aliases, and an ID that cannot have such a number.
        forged(RuleBook::Legacy, &[MOST, 0], &["a"]),
        forged(RuleBook::Legacy, &[MOST, MOST - 1], &["a"]),
    ] {
        is_refused_with_little_memory(Legacy::default(), &bytes);
    }
}
