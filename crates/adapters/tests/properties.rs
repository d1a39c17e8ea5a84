//! What holds for all records: damaged ones too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use idmerge_adapters::{Adapted, Adapter, Format, Options, Target, fuzz};
use idmerge_core::{IdentityResolverExt, Resolve};
use idmerge_events::JsonEvent;
use idmerge_simplified::Simplified;
use proptest::prelude::*;

/// The records of all cases, as a corpus.
const RECORDS: &[&str] = &[
    include_str!("data/connectors.jsonl"),
    include_str!("data/segment.jsonl"),
    include_str!("data/rudderstack.jsonl"),
    include_str!("data/warehouse.jsonl"),
    include_str!("data/mparticle.jsonl"),
    include_str!("data/amplitude.jsonl"),
    include_str!("data/posthog.jsonl"),
    include_str!("data/ga4.jsonl"),
    include_str!("data/snowplow.jsonl"),
    include_str!("data/csv.jsonl"),
];

fn records() -> Vec<String> {
    let cases = RECORDS.iter().flat_map(|text| text.lines());
    let cases = cases.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let record = |case: serde_json::Value| match case["record_text"].as_str() {
        Some(text) => text.to_owned(),
        None => case["record"].to_string(),
    };
    cases.map(record).collect()
}

fn any_format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL)
}

/// A record of some product, perhaps with a byte exchanged, and perhaps cut off.
fn damaged_record() -> impl Strategy<Value = String> {
    let damage = (
        any::<prop::sample::Index>(),
        prop::sample::select(b"\"{}[],:01.a\\ n".to_vec()),
    );
    let record = prop::sample::select(records());
    (
        record,
        prop::option::of(damage),
        any::<prop::sample::Index>(),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(record, damage, cut, is_cut)| {
            let mut bytes = record.into_bytes();
            if let Some((at, byte)) = damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
}

fn adapt<'r>(adapter: &Adapter, records: impl IntoIterator<Item = &'r str>) -> Vec<u8> {
    let mut adapted = Adapted::default();
    for (number, record) in (1..).zip(records) {
        adapter.adapt(number, record, &mut adapted);
    }
    adapted.take_text(Vec::new())
}

#[test]
fn a_1_every_record_of_every_case_is_read_as_every_format() {
    for record in records() {
        for format in Format::ALL {
            fuzz::record(*format, record.as_bytes());
        }
    }
}

proptest! {
    #[test]
    fn a_1_a_record_gives_the_same_events_whatever_comes_before_it(
        format in any_format(),
        records in prop::collection::vec(damaged_record(), 0..5),
    ) {
        let adapter = Adapter::new(format, Options::new(Target::Both)).unwrap();
        let together = adapt(&adapter, records.iter().map(String::as_str));
        let alone = records.iter().flat_map(|record| adapt(&adapter, [&**record]));
        let alone: Vec<u8> = alone.collect();
        prop_assert_eq!(String::from_utf8_lossy(&together), String::from_utf8_lossy(&alone));
    }

    #[test]
    fn a_1_no_record_breaks_an_adapter(format in any_format(), record in damaged_record()) {
        fuzz::record(format, record.as_bytes());
    }

    /// What one gets from the pairs of IDs alone, if the first user of a device keeps it.
    #[test]
    fn a_5_in_simplified_the_users_are_those_of_the_pairs_of_ids(
        calls in prop::collection::vec((0_u8..4, prop::option::of(0_u8..3), 0_usize..4), 0..40),
    ) {
        let mut owners: BTreeMap<u8, u8> = BTreeMap::new();
        let mut text = Vec::new();
        for (device, user, kind) in &calls {
            let kind = ["track", "identify", "page", "group"][*kind];
            let user_id = user.map(|user| format!(r#","userId":"user-{user}""#)).unwrap_or_default();
            text.push(format!(r#"{{"type":"{kind}","event":"E","anonymousId":"d-{device}"{user_id}}}"#));
            if let Some(user) = user {
                owners.entry(*device).or_insert(*user);
            }
        }
        let adapter = Adapter::new(Format::Segment, Options::new(Target::Simplified)).unwrap();
        let events = adapt(&adapter, text.iter().map(String::as_str));
        let mut engine = Simplified::default();
        for line in events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event = JsonEvent::parse(line).unwrap();
            engine.apply_event(&event.event()).unwrap();
        }
        for (device, _, _) in calls {
            let id = format!("$device:d-{device}");
            let owner = owners.get(&device).map(|user| format!("user-{user}"));
            let canonical = engine.resolve(engine.read_id(&id).unwrap()).to_string();
            prop_assert_eq!(canonical, owner.unwrap_or(id.clone()));
        }
    }
}
