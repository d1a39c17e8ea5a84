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

/// The numbers 3, and 3, 4, 133.
const RETRACTED_NUMBERS: [&[u8]; 2] = [&[3], &[3, 1, 0x81, 1]];

/// Any content of an entry.
fn what() -> impl Strategy<Value = What<'static>> {
    let detached = (id(), any::<bool>()).prop_map(|(id, is_device)| match is_device {
        true => DistinctId::device(id),
        false => DistinctId::plain(id),
    });
    let retracted = select(&RETRACTED_NUMBERS);
    let retracted = (
        retracted,
        prop::option::of(detached),
        select(&TEXTS),
        select(&TEXTS),
    );
    prop_oneof![
        8 => weighed().prop_map(|(claim, outcome)| What::Claim { claim, outcome }),
        1 => Just(What::Replaced),
        2 => retracted.prop_map(|(retracted, detached, who, why)| What::Retracted {
            retracted: Sequences::decode(retracted).unwrap(),
            detached,
            who,
            why,
        }),
    ]
}

#[test]
fn the_numbers_of_withdrawn_entries_are_in_order() {
    let bytes = Sequences::encode([3, 4, 133]);
    assert_eq!(bytes, [3, 1, 0x81, 1]);
    let sequences = Sequences::decode(&bytes).unwrap();
    assert_eq!(sequences.iter().collect::<Vec<_>>(), [3, 4, 133]);
    assert_eq!(
        (sequences.first(), format!("{sequences:?}")),
        (3, "[3, 4, 133]".to_owned())
    );
    for wrong in [&[0][..], &[3, 0], &[3, 0x80]] {
        assert_eq!(Sequences::decode(wrong), None);
    }
    let most = Sequences::encode([u64::MAX]);
    assert!(Sequences::decode(&most).is_some());
    assert_eq!(Sequences::decode(&[most, vec![1]].concat()), None);
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
        entries in prop::collection::vec((what(), cause()), 0..20),
        stop in any::<prop::sample::Index>(),
    ) {
        let mut encoder = Encoder::default();
        let stop = stop.index(entries.len() + 1);
        for (number, (what, cause)) in entries.iter().enumerate() {
            if number == stop {
                // As when the store is opened again in between.
                encoder = Encoder::after(&encoder.bytes).unwrap();
            }
            let entry = Entry { sequence: 7, what: *what, cause: *cause };
            encoder.entry(entry).unwrap();
        }
        let mut decoder = Decoder::new(&encoder.bytes, 7);
        for ((what, cause), sequence) in entries.into_iter().zip(7..) {
            prop_assert_eq!(decoder.next(), Ok(Some(Entry { sequence, what, cause })));
        }
        prop_assert_eq!(decoder.next(), Ok(None));
    }

    #[test]
    fn an_entry_that_ends_early_is_an_error(what in what(), cause in cause()) {
        let mut encoder = Encoder::default();
        encoder.entry(Entry { sequence: 1, what, cause }).unwrap();
        for end in 1..encoder.bytes.len() {
            let mut decoder = Decoder::new(&encoder.bytes[..end], 1);
            prop_assert!(decoder.next().is_err(), "{end} bytes of {:?}", encoder.bytes);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        bytes in prop::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..60),
    ) {
        let mut decoder = Decoder::new(&bytes, 1);
        while let Ok(Some(_)) = decoder.next() {}
    }
}
