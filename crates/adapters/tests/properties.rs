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

/// The events of a record, without their `$insert_id`: that of GA4 is a hash of the JSON.
fn events_of(adapter: &Adapter, record: &str) -> Vec<serde_json::Value> {
    let events = adapt(adapter, [record]);
    let events = events
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let event = |line| {
        let mut event: serde_json::Value = serde_json::from_slice(line).unwrap();
        event["properties"]["$insert_id"].take();
        event
    };
    events.map(event).collect()
}

/// Members that follow each other are copied at once, and those with white space between them one by one.
#[test]
fn a_2_white_space_between_members_changes_no_event() {
    let mut events = 0;
    for record in records() {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&record) else {
            continue;
        };
        let (dense, spread) = (json.to_string(), format!("{json:#}").replace('\n', " "));
        for format in Format::ALL {
            let adapter = Adapter::new(*format, Options::new(Target::Both)).unwrap();
            let wanted = events_of(&adapter, &spread);
            events += wanted.len();
            assert_eq!(events_of(&adapter, &dense), wanted, "{record}");
        }
    }
    assert!(events > 300, "{events}");
}

#[test]
fn a_2_a_large_batch_of_mparticle_gives_the_events_of_small_ones() {
    let adapter = Adapter::new(Format::MParticle, Options::new(Target::Both)).unwrap();
    let batch = |events: &[String]| {
        let events = events.join(",");
        format!(
            r#"{{"events":[1,2],"mpid":"1","ip":"::1","events":[{events}],"mp_deviceid":"D","user_identities":{{"customer_id":"U"}}}}"#
        )
    };
    let event = |number: u32| match number % 7 {
        6 => "[]".to_owned(),
        _ => format!(
            r#"{{"event_type":"custom_event","data":{{"event_id":"{number}","event_name":"E","custom_attributes":{{"n":{number}}}}}}}"#
        ),
    };
    for count in [0, 1, 31, 32, 33, 100] {
        let events: Vec<_> = (0..count).map(event).collect();
        let alone = events.iter().flat_map(|event| {
            let record = batch(std::slice::from_ref(event));
            adapt(&adapter, [&*record])
        });
        let alone: Vec<u8> = alone.collect();
        let together = adapt(&adapter, [&*batch(&events)]);
        assert_eq!(
            String::from_utf8_lossy(&together),
            String::from_utf8_lossy(&alone)
        );
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
