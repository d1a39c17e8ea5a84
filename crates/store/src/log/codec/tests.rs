use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const TEXTS: [&str; 7] = [
    "U1",
    "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E",
    "5C7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "00000000-0000-4000-8000-000000000000",
    "\u{fc}",
    "a text that is so long that its length does not fit the seven bits of one byte, for which \
     it must have at least one hundred and twenty-six bytes",
];

fn id() -> impl Strategy<Value = Id<'static>> {
    select(&TEXTS).prop_map(|text| Id::new(text).unwrap())
}

/// A claim, and any outcome that an engine may answer.
fn weighed() -> impl Strategy<Value = (Claim<'static>, Outcome<'static>)> {
    let outcome = (0..8_u8, id(), any::<u64>(), any::<u64>());
    (select(&KINDS), id(), id(), outcome).prop_map(|(kind, first, second, outcome)| {
        let claim = Claim::new(kind, [first, second]);
        let anon = if kind == ClaimKind::Link {
            first
        } else {
            second
        };
        let (code, holder, cluster_ids, max_cluster_ids) = outcome;
        let outcome = match code {
            MERGED => Outcome::Merged,
            ALREADY_MERGED => Outcome::AlreadyMerged,
            IGNORED => Outcome::Ignored,
            SAME_IDS => Outcome::Rejected(Rejection::SameIds { id: first }),
            NON_GUID_FORM => Outcome::Rejected(Rejection::AnonDistinctIdNonGuidForm { anon }),
            ASSIGNED_ALREADY => {
                Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { anon, holder })
            }
            ALIAS_ALREADY_EXISTS => {
                Outcome::Rejected(Rejection::AliasAlreadyExists { alias: second })
            }
            _ => Outcome::Rejected(Rejection::ManyIds {
                cluster_ids,
                max_cluster_ids,
            }),
        };
        (claim, outcome)
    })
}

fn cause() -> impl Strategy<Value = Cause<'static>> {
    let text = || prop_oneof![Just(None), Just(Some("")), select(&TEXTS).prop_map(Some)];
    let time_ms = prop_oneof![
        Just(None),
        any::<i64>().prop_map(Some),
        (0..9_i64).prop_map(Some)
    ];
    (text(), time_ms, text()).prop_map(|(insert_id, time_ms, source)| Cause {
        insert_id,
        time_ms,
        source,
    })
}

proptest! {
    #[test]
    fn entries_come_back(
        entries in prop::collection::vec((prop::option::weighted(0.9, weighed()), cause()), 0..20),
        stop in any::<prop::sample::Index>(),
    ) {
        let mut encoder = Encoder::default();
        let stop = stop.index(entries.len() + 1);
        for (number, (weighed, cause)) in entries.iter().enumerate() {
            if number == stop {
                // As when the store is opened again in between.
                encoder = Encoder::after(&encoder.bytes).unwrap();
            }
            match weighed {
                Some((claim, outcome)) => encoder.claim(*claim, *outcome, *cause).unwrap(),
                None => encoder.replaced(*cause),
            }
        }
        let mut decoder = Decoder::new(&encoder.bytes, 7);
        for ((weighed, cause), sequence) in entries.into_iter().zip(7..) {
            let what = match weighed {
                Some((claim, outcome)) => What::Claim { claim, outcome },
                None => What::Replaced,
            };
            prop_assert_eq!(decoder.next(), Ok(Some(Entry { sequence, what, cause })));
        }
        prop_assert_eq!(decoder.next(), Ok(None));
    }

    #[test]
    fn wrong_bytes_are_an_error_and_no_panic(
        bytes in prop::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..60),
    ) {
        let mut decoder = Decoder::new(&bytes, 1);
        while let Ok(Some(_)) = decoder.next() {}
    }
}
