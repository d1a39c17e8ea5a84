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
    RECORDS.iter().flat_map(|text| records_of(text)).collect()
}

fn records_of(text: &str) -> Vec<String> {
    let cases = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let record = |case: serde_json::Value| match case["record_text"].as_str() {
        Some(text) => text.to_owned(),
        None => case["record"].to_string(),
    };
    cases.map(record).collect()
}

/// The products, each with its file of records.
const OWN_RECORDS: [(Format, usize); 8] = [
    (Format::Segment, 1),
    (Format::RudderStack, 2),
    (Format::Segment, 3),
    (Format::MParticle, 4),
    (Format::Amplitude, 5),
    (Format::PostHog, 6),
    (Format::Ga4, 7),
    (Format::Snowplow, 8),
];

/// A product, and mostly a record of it.
fn format_and_record() -> impl Strategy<Value = (Format, String)> {
    let own = prop::sample::select(&OWN_RECORDS[..]).prop_flat_map(|(format, file)| {
        (
            Just(format),
            prop::sample::select(records_of(RECORDS[file])),
        )
    });
    prop_oneof![
        6 => own,
        1 => (any_format(), prop::sample::select(records())),
    ]
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

#[test]
fn a_1_adapters_of_all_products_can_use_one_adapted() {
    let adapters: Vec<_> = Format::ALL
        .iter()
        .map(|format| Adapter::new(*format, Options::new(Target::Both)).unwrap())
        .collect();
    let mut adapted = Adapted::default();
    for record in records() {
        // Twice, so that each reads the record by a shape that another one has met first.
        for adapter in adapters.iter().chain(&adapters) {
            adapted.clear();
            adapter.adapt(1, &record, &mut adapted);
            assert!(adapted.text() == adapt(adapter, [&*record]), "{record}");
        }
    }
}

/// Scalars of records, and such as no record should have.
const SCALARS: [&str; 16] = [
    "null",
    "\"\"",
    "true",
    "0",
    "-1.5e3",
    "1717200000000",
    "\"u-1\"",
    "\"track\"",
    "\"identify\"",
    "\"null\"",
    "\"\\u00e9\\\"\"",
    "\"2026-06-01T12:00:00+00:00\"",
    "\"2026-06-01 12:00:00.250\"",
    "\"{\\\"a\\\":1}\"",
    "\"😀, é\"",
    "\"a text that is longer than what is compared at once, and then some\"",
];

/// The record with some of [`SCALARS`] in place of its own. `steps` has a number for each scalar.
fn with_scalars(record: &mut serde_json::Value, steps: &mut impl Iterator<Item = usize>) {
    match record {
        serde_json::Value::Object(members) => {
            members
                .values_mut()
                .for_each(|value| with_scalars(value, steps));
        }
        serde_json::Value::Array(elements) => {
            elements
                .iter_mut()
                .for_each(|value| with_scalars(value, steps));
        }
        scalar => {
            if let Some(json) = steps.next().and_then(|step| SCALARS.get(step)) {
                *scalar = serde_json::from_str(json).unwrap();
            }
        }
    }
}

/// Adds these members to each object of a record.
fn add_members(record: &mut serde_json::Value, added: &[(&str, serde_json::Value)]) {
    match record {
        serde_json::Value::Object(members) => {
            members
                .values_mut()
                .for_each(|value| add_members(value, added));
            for (name, value) in added {
                members.entry(*name).or_insert_with(|| value.clone());
            }
        }
        serde_json::Value::Array(elements) => {
            elements
                .iter_mut()
                .for_each(|value| add_members(value, added));
        }
        _ => {}
    }
}

/// How a record is written.
#[derive(Clone, Copy, Debug)]
enum Style {
    Plain,
    Spaced,
    /// With members in front that come again, so that the later ones count.
    Doubled,
}

impl Style {
    fn write(self, record: &serde_json::Value) -> String {
        let text = record.to_string();
        match (self, text.strip_prefix('{')) {
            (Self::Spaced, _) => text.replace("\":", "\" : "),
            (Self::Doubled, Some(members)) if members != "}" => {
                let twice = r#""userId":"v","user_id":"v","distinct_id":"v","event":"V","event_name":"V","type":"page","#;
                format!("{{{twice}{members}")
            }
            _ => text,
        }
    }
}

proptest! {
    #[test]
    fn a_1_records_of_one_shape_give_what_each_gives_alone(
        (format, record) in format_and_record(),
        added in prop::sample::subsequence(
            vec!["token", "$ignore", "$is_reshuffled", "distinct_id", "time", "price", "more"], 0..5,
        ),
        is_of_outermost in any::<bool>(),
        style in prop::sample::select(vec![Style::Plain, Style::Spaced, Style::Doubled]),
        steps in prop::collection::vec(prop::collection::vec(0..4 * SCALARS.len(), 30), 1..6),
    ) {
        let Ok(mut record) = serde_json::from_str(&record) else {
            return Ok(());
        };
        let value = |name| match name {
            "more" => serde_json::json!({"than": ["one"]}),
            _ => serde_json::json!(1),
        };
        let added: Vec<_> = added.into_iter().map(|name| (name, value(name))).collect();
        match (&mut record, is_of_outermost) {
            (serde_json::Value::Object(members), true) => {
                members.extend(added.into_iter().map(|(name, value)| (name.to_owned(), value)));
            }
            (record, _) => add_members(record, &added),
        }
        let mut lines = style.write(&record);
        for steps in steps {
            let mut record = record.clone();
            with_scalars(&mut record, &mut steps.into_iter());
            lines += &format!("\n{}", style.write(&record));
        }
        fuzz::record(format, lines.as_bytes());
    }

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
