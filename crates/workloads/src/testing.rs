//! Helpers of the tests, and the tests for every workload.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{Person, Stream, Workload};

/// A whole stream.
pub(crate) struct Played {
    pub(crate) lines: Vec<String>,
    pub(crate) events: Vec<Value>,
    pub(crate) people: Vec<Person>,
}

impl Played {
    /// The person of each ID in the truth. Panics if an ID is listed twice.
    pub(crate) fn person_of_each_id(&self) -> BTreeMap<&str, &str> {
        let mut person_of = BTreeMap::new();
        for person in &self.people {
            for id in &person.ids {
                let other = person_of.insert(id.as_str(), person.name.as_str());
                assert_eq!(other, None, "{id} is in the truth twice");
            }
        }
        person_of
    }
}

pub(crate) fn play(workload: Workload, events: u64, seed: u64) -> Played {
    let mut stream = Stream::new(workload, events, seed);
    let mut played = Played {
        lines: Vec::new(),
        events: Vec::new(),
        people: Vec::new(),
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let more = stream.next_event(&mut line);
        played.people.extend_from_slice(stream.finished());
        if !more {
            assert_eq!(line, b"", "an event after the last");
            return played;
        }
        let text = str::from_utf8(&line).unwrap();
        let text = text.strip_suffix('\n').unwrap();
        assert!(!text.contains('\n'), "{text}");
        played.events.push(serde_json::from_str(text).unwrap());
        played.lines.push(text.to_owned());
    }
}

/// The truth of a stream, without reading its events.
pub(crate) fn people(workload: Workload, events: u64, seed: u64) -> Vec<Person> {
    let mut stream = Stream::new(workload, events, seed);
    let (mut people, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let more = stream.next_event(&mut line);
        people.extend_from_slice(stream.finished());
        if !more {
            return people;
        }
    }
}

/// The text of a property, or `None` if it is missing.
pub(crate) fn text<'v>(event: &'v Value, key: &str) -> Option<&'v str> {
    event["properties"]
        .get(key)
        .map(|value| value.as_str().unwrap())
}

/// Every distinct_id that an event names: its own, and those of its claim.
fn distinct_ids(event: &Value) -> impl Iterator<Item = &str> {
    let keys = [
        "distinct_id",
        "$identified_id",
        "$anon_id",
        "$anon_distinct_id",
        "alias",
    ];
    let pair = event["properties"]
        .get("$distinct_ids")
        .and_then(Value::as_array);
    let pair = pair.into_iter().flatten().map(|id| id.as_str().unwrap());
    keys.into_iter()
        .filter_map(|key| text(event, key))
        .chain(pair)
}

#[test]
fn a_stream_has_exactly_the_requested_number_of_lines() {
    for workload in Workload::ALL {
        for events in [0, 1, 7, 1_000] {
            let mut stream = Stream::new(workload, events, 1);
            let mut bytes = Vec::new();
            for given in 0..events {
                assert_eq!(stream.events_left(), events - given);
                let start = bytes.len();
                assert!(stream.next_event(&mut bytes));
                let line = &bytes[start..];
                assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
                assert_eq!(line.last(), Some(&b'\n'));
            }
            let length = bytes.len();
            assert!(!stream.next_event(&mut bytes));
            assert_eq!(
                stream.finished().is_empty(),
                events == 0,
                "{workload} {events}"
            );
            assert!(!stream.next_event(&mut bytes));
            assert!(stream.finished().is_empty(), "who left twice?");
            assert_eq!(bytes.len(), length);
        }
    }
}

#[test]
fn each_line_is_an_event() {
    for workload in Workload::ALL {
        for event in play(workload, 3_000, 1).events {
            let keys: Vec<_> = event.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["event", "properties"]);
            assert!(!event["event"].as_str().unwrap().is_empty());
            assert!(event["properties"].as_object().unwrap().len() >= 7);
        }
    }
}

#[test]
fn time_never_goes_back_and_no_insert_id_comes_twice() {
    for workload in Workload::ALL {
        let played = play(workload, 3_000, 1);
        let mut insert_ids = BTreeSet::new();
        let mut last_ms = 0.0;
        let mut last_line = "";
        for (line, event) in played.lines.iter().zip(&played.events) {
            // Only a resend repeats an `$insert_id`, and it repeats the whole event.
            if !insert_ids.insert(text(event, "$insert_id").unwrap()) {
                assert_eq!(workload, Workload::Identify);
                assert!(
                    event["event"].as_str().unwrap().starts_with('$'),
                    "{last_line} {line}"
                );
                continue;
            }
            let time = event["properties"]["time"].as_f64().unwrap();
            let ms = if time < 1e12 { time * 1e3 } else { time };
            assert!(ms > last_ms - 0.5, "{last_line} {line}");
            (last_ms, last_line) = (ms, line);
        }
        assert!(last_ms > 1_780_000_001_000.0);
    }
}

#[test]
fn the_seed_decides_everything() {
    for workload in Workload::ALL {
        let [a, b, c] = [1, 1, 2].map(|seed| play(workload, 2_000, seed));
        assert_eq!(a.lines, b.lines);
        assert_eq!(a.people, b.people);
        assert_ne!(a.lines, c.lines);
        assert_ne!(a.people, c.people);
    }
}

#[test]
fn a_shorter_stream_is_the_beginning_of_a_longer_one_except_for_its_last_line() {
    for workload in Workload::ALL {
        let long = play(workload, 2_000, 1);
        for events in [2, 100, 1_001, 1_002, 1_003] {
            let short = play(workload, events, 1);
            let same = usize::try_from(events).unwrap() - 1;
            assert_eq!(
                short.lines[..same],
                long.lines[..same],
                "{workload} {events}"
            );
        }
    }
}

#[test]
fn the_truth_has_each_distinct_id_of_the_stream_once_and_no_others() {
    for workload in Workload::ALL {
        for events in [1, 50, 5_000] {
            let played = play(workload, events, 1);
            let named: BTreeSet<_> = played.events.iter().flat_map(distinct_ids).collect();
            let known: BTreeSet<_> = played.person_of_each_id().into_keys().collect();
            assert_eq!(named, known, "{workload} {events}");
        }
    }
}

#[test]
fn a_person_has_ids_and_a_unique_name() {
    for workload in Workload::ALL {
        let people = people(workload, 20_000, 1);
        let names: BTreeSet<_> = people.iter().map(|person| &person.name).collect();
        assert_eq!(names.len(), people.len());
        for Person { name, ids } in &people {
            assert!(!ids.is_empty(), "{name}");
            assert_ne!(
                name.starts_with("anonymous-"),
                ids.contains(name),
                "{name} {ids:?}"
            );
        }
    }
}

#[test]
fn people_finish_while_the_stream_goes_on() {
    for workload in Workload::ALL {
        let mut stream = Stream::new(workload, 50_000, 1);
        let (mut line, mut finished) = (Vec::new(), 0);
        while stream.events_left() > 0 {
            line.clear();
            stream.next_event(&mut line);
            // At most one household: five people, and a device without an owner.
            assert!(stream.finished().len() <= 6);
            finished += stream.finished().len();
        }
        stream.next_event(&mut line);
        let active = stream.finished().len();
        assert!(active <= 6 * workload.active_households(), "{active}");
        assert!(
            finished > active / 2,
            "{workload}: {finished} finished, {active} did not"
        );
    }
}

/// Fails if the bytes of a stream change. A benchmark and its baseline then use different streams, so
/// change the checksums only on purpose.
#[test]
fn the_bytes_are_pinned() {
    let checksums = Workload::ALL.map(|workload| {
        let mut stream = Stream::new(workload, 10_000, 1);
        let mut bytes = Vec::new();
        while stream.next_event(&mut bytes) {}
        // FNV-1a.
        let checksum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        format!("{workload} {checksum:016x}")
    });
    let expected = [
        "web-login 767195128cbce2e4",
        "identify e7c8c0ea5fc40f9d",
        "shared-device e62f0bb840fd82b6",
        "cap 3cbaf2aaf925ffe7",
    ];
    assert_eq!(checksums, expected);
}
