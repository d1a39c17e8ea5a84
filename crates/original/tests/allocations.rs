//! A claim that changes nothing does not allocate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../state/tests/support/forged.rs"]
mod forged;

use std::hint::black_box;

use idmerge_core::{Claim, DistinctId, Event, Id, IdentityResolver, Outcome, Resolve, RuleBook};
use idmerge_original::{Original, Settings};

use forged::{MOST, forged, is_head_refused_with_little_memory, is_refused_with_little_memory};

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn allocations(run: impl FnMut()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn reading_resolving_and_claims_that_change_nothing_do_not_allocate() {
    let mut engine = Original::new(Settings {
        max_cluster_ids: 3,
        ..Settings::default()
    });
    let anon = id("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e");
    let (user, alias, other) = (id("U1"), id("L"), id("U2"));
    let identify = Claim::Identify {
        identified: user,
        anon,
    };
    let create_alias = Claim::Alias {
        distinct_id: user,
        alias,
    };
    // Check that the counter works.
    let merged = allocations(|| {
        assert_eq!(engine.apply(identify).unwrap(), Outcome::Merged);
        assert_eq!(engine.apply(create_alias).unwrap(), Outcome::Merged);
    });
    assert!(merged > 0);

    let event = Event {
        distinct_id: "U1".into(),
        anon_distinct_id: "$device:5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e".into(),
        ..Event::named(Event::IDENTIFY)
    };
    let read = allocations(|| {
        black_box(engine.read(&event).unwrap());
    });
    assert_eq!(read, 0);

    let resolved = allocations(|| {
        for id in [anon, user, alias, other] {
            black_box(engine.resolve(DistinctId::plain(id)));
            black_box(engine.resolve(DistinctId::device(id)));
            black_box(engine.cluster_len(DistinctId::plain(id)));
        }
    });
    assert_eq!(resolved, 0);

    let unchanged = allocations(|| {
        // O-10, and a mark that the ID already has.
        for claim in [
            identify,
            create_alias,
            Claim::Merge {
                first: anon,
                second: alias,
            },
        ] {
            assert_eq!(engine.apply(claim).unwrap(), Outcome::AlreadyMerged);
        }
        // O-7, O-8, O-9, O-11, O-12
        for claim in [
            Claim::Merge {
                first: user,
                second: user,
            },
            Claim::Identify {
                identified: user,
                anon: other,
            },
            Claim::Alias {
                distinct_id: other,
                alias,
            },
            Claim::Identify {
                identified: other,
                anon,
            },
            Claim::Merge {
                first: user,
                second: other,
            },
        ] {
            let outcome = engine.apply(claim).unwrap();
            assert!(matches!(outcome, Outcome::Rejected(_)), "{claim:?}");
        }
        let foreign = Claim::Link { device: anon, user };
        assert_eq!(engine.apply(foreign).unwrap(), Outcome::Ignored);
    });
    assert_eq!(unchanged, 0);
}

#[test]
fn a_snapshot_takes_memory_for_what_is_in_it_and_not_for_what_it_announces() {
    for bytes in [
        // So many IDs, and a cluster that cannot be so far on.
        forged(RuleBook::Original, &[MOST], &[]),
        forged(
            RuleBook::Original,
            &[MOST, 1, u64::from(b'a'), MOST - 1, 0],
            &["b"],
        ),
    ] {
        is_refused_with_little_memory(Original::default(), &bytes);
    }
}

#[test]
fn an_image_takes_memory_for_what_is_in_it_and_not_for_what_it_announces() {
    // IDs and pieces of texts.
    for head in [[u32::MAX, 0], [0, u32::MAX], [0, 1 << 24]] {
        is_head_refused_with_little_memory(Original::default(), &head);
    }
}
