//! A claim that changes nothing does not allocate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::hint::black_box;

use idmerge_core::{Claim, DistinctId, Event, Id, IdentityResolver, Outcome, Resolve, RuleBook};
use idmerge_legacy::Legacy;
use idmerge_state::SnapshotWriter;

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
    const MOST: u64 = u32::MAX as u64;
    let forged = |payload: &[u64], texts: &[&str]| {
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::begin(&mut bytes, RuleBook::Legacy, 1).unwrap();
        for &number in payload {
            writer.number(number).unwrap();
        }
        for text in texts {
            writer.id(id(text)).unwrap();
        }
        writer.end().unwrap();
        bytes
    };
    for bytes in [
        // So many aliases, and an ID that cannot have such a number.
        forged(&[MOST, 0], &["a"]),
        forged(&[MOST, MOST - 1], &["a"]),
    ] {
        let measured = allocation_counter::measure(|| {
            let mut engine = Legacy::default();
            assert!(engine.read_snapshot(&mut &*bytes).is_err());
        });
        assert!(
            measured.bytes_max < 512 << 10,
            "{} bytes",
            measured.bytes_max
        );
    }
}
