//! Runs the cases of `tests/data`. The answers are made by hand from the rules, from the products'
//! documentation and from what their connectors send.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use idmerge_adapters::{
    Adapted, Adapter, Format, LineKind, Options, Output, SnowplowDevice, Target,
};
use serde_json::{Value, json};

/// A case, from a line of a file.
struct Case(Value);

impl Case {
    fn id(&self) -> &str {
        self.0["id"].as_str().unwrap()
    }

    fn targets(&self) -> Vec<Target> {
        match self.0["target"].as_str() {
            None | Some("simplified") => vec![Target::Simplified],
            Some("original") => vec![Target::Original],
            Some("both") => vec![Target::Simplified, Target::Original],
            Some(other) => panic!("no target {other}"),
        }
    }

    fn adapter(&self, target: Target) -> Adapter {
        let name = self.0["format"].as_str().unwrap();
        let format = Format::ALL.iter().find(|format| format.name() == name);
        let mut options = Options::new(target);
        options.with_profiles = true;
        let group_key = self.0["group_key"].as_str().unwrap_or("company");
        options.group_keys = vec![group_key.to_owned()];
        options.table = self.0["table"].as_str().map(str::to_owned);
        if let Some(kind) = self.0["user_identity"].as_str() {
            options.user_identity = kind.to_owned();
        }
        if self.0["snowplow_device"] == "network" {
            options.snowplow_device = SnowplowDevice::Network;
        }
        if let Some(columns) = self.0["columns"].as_str() {
            options.columns = columns.parse().unwrap();
        }
        if self.0["as"] == "mixpanel" {
            options.output = Output::Mixpanel;
            options.token = Some("TOK".to_owned());
        }
        Adapter::new(*format.unwrap(), options).unwrap()
    }

    fn record(&self) -> String {
        match self.0["record_text"].as_str() {
            Some(text) => text.to_owned(),
            None => self.0["record"].to_string(),
        }
    }

    fn check(&self) {
        for target in self.targets() {
            let mut adapted = Adapted::default();
            self.adapter(target).adapt(1, &self.record(), &mut adapted);
            self.check_answer(&adapted);
        }
    }

    #[track_caller]
    fn check_answer(&self, adapted: &Adapted) {
        let id = self.id();
        let wanted = |key: &str| match &self.0[key] {
            Value::Array(values) => values.clone(),
            _ => Vec::new(),
        };
        assert_eq!(values(adapted.text()), wanted("events"), "{id}");
        if self.0.get("profiles").is_some() {
            assert_eq!(values(adapted.profiles()), wanted("profiles"), "{id}");
        }
        assert_eq!(values(adapted.groups()), wanted("groups"), "{id}");
        let mut rules = Vec::new();
        for line in adapted.lines() {
            if let LineKind::Refused(refusal) = &line.kind {
                let error = refusal.to_string();
                assert!(error.ends_with(&format!("({})", refusal.rule())), "{error}");
                rules.push(refusal.rule());
            }
        }
        assert_eq!(
            rules.join(" "),
            self.0["refused"].as_str().unwrap_or(""),
            "{id}"
        );
        let counts = adapted.counts();
        let blocked = [counts.blocked_user_ids, counts.blocked_device_ids];
        if self.0["blocked"].is_array() {
            assert_eq!(json!(blocked), self.0["blocked"], "{id}");
        }
        if self.0["notices"].is_object() {
            assert_eq!(json!(counts.notices), self.0["notices"], "{id}");
        }
        if self.0["passed_over"].is_object() {
            assert_eq!(json!(counts.passed_over), self.0["passed_over"], "{id}");
        }
    }
}

/// The values of a text with one on each line. The hash in place of an `$insert_id` is shown as such.
fn values(text: &[u8]) -> Vec<Value> {
    let lines = str::from_utf8(text).unwrap().lines();
    let lines = lines.filter(|line| !line.is_empty());
    let value = |line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let id = value.pointer_mut("/properties/$insert_id");
        let is_hash =
            |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(id) = id.filter(|id| id.as_str().is_some_and(is_hash)) {
            *id = json!("<32 hex>");
        }
        value
    };
    lines.map(value).collect()
}

fn cases(text: &str) -> Vec<Case> {
    let lines = text.lines();
    let case =
        |line| Case(serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    lines.map(case).collect()
}

/// Checks the cases of a file.
#[track_caller]
fn check(text: &str, at_least: usize) {
    let cases = cases(text);
    assert!(cases.len() >= at_least, "{}", cases.len());
    let mut seen = BTreeMap::new();
    for case in &cases {
        assert!(
            seen.insert(case.id(), ()).is_none(),
            "{} is there twice",
            case.id()
        );
        case.check();
    }
}

#[test]
fn a_4_the_connectors_of_segment_and_rudderstack_send_these_payloads() {
    check(include_str!("data/connectors.jsonl"), 15);
}

#[test]
fn a_4_the_connectors_derive_properties_from_the_context() {
    check(include_str!("data/context.jsonl"), 6);
}

#[test]
fn a_5_segment_says_what_its_calls_say() {
    check(include_str!("data/segment.jsonl"), 20);
}

#[test]
fn a_5_rudderstack_says_what_its_calls_say() {
    check(include_str!("data/rudderstack.jsonl"), 3);
}

#[test]
fn a_5_every_product_says_what_its_records_say() {
    check(include_str!("data/warehouse.jsonl"), 10);
    check(include_str!("data/mparticle.jsonl"), 20);
    check(include_str!("data/amplitude.jsonl"), 20);
    check(include_str!("data/posthog.jsonl"), 27);
    check(include_str!("data/ga4.jsonl"), 20);
    check(include_str!("data/snowplow.jsonl"), 20);
    check(include_str!("data/csv.jsonl"), 20);
}

#[test]
fn a_2_events_of_ga4_with_different_parameters_are_different() {
    let adapter = Adapter::new(Format::Ga4, Options::new(Target::Simplified)).unwrap();
    let mut adapted = Adapted::default();
    for value in [1, 2, 1] {
        let record = format!(
            r#"{{"event_name":"E","user_pseudo_id":"1.2","event_timestamp":"5","event_params":[{{"key":"a","value":{{"int_value":{value}}}}}]}}"#
        );
        adapter.adapt(1, &record, &mut adapted);
    }
    let fingerprints: Vec<_> = adapted.lines().iter().map(|line| &line.kind).collect();
    assert_eq!(fingerprints[0], fingerprints[2]);
    assert_ne!(fingerprints[0], fingerprints[1]);
}

#[test]
fn a_2_columns_that_cannot_be_read_say_why() {
    let columns = |text: &str| text.parse::<idmerge_adapters::Columns>();
    assert!(columns("user=a,device=b,event='E',time=t,id=i,receipt=r").is_ok());
    for (text, error) in [
        ("user", "is not a part and its column"),
        ("user=", "is not a part and its column"),
        ("person=a", "there is no part"),
        ("event=a", "of the user, of the device"),
        ("", "is not a part"),
    ] {
        let said = columns(text).unwrap_err();
        assert!(said.contains(error), "{said}");
    }
}

/// A record of Segment's storage, in the form that its documentation of Amazon S3 shows.
const SEGMENT_STORED: &str = r#"{"_metadata":{"bundled":["Segment.io"]},"anonymousId":"3f2b8c1e-7d4a-4b5c-9e8f-0a1b2c3d4e5f","channel":"client","context":{},"integrations":{},"messageId":"ajs-1","originalTimestamp":"2019-06-21T16:33:26.060Z","projectId":"P0","receivedAt":"2019-06-21T16:33:26.155Z","sentAt":"2019-06-21T16:33:26.060Z","timestamp":"2019-06-21T16:33:26.155Z","traits":{},"type":"identify","userId":"alice","version":2}"#;

#[test]
fn a_8_the_format_is_found_by_the_names_of_fields() {
    use idmerge_adapters::{Detected, detect};
    let segment = r#"{"type":"track","messageId":"1","userId":"U"}"#;
    let rudderstack = r#"{"type":"track","messageId":"1","request_ip":"::1"}"#;
    let event = r#"{"event":"A","properties":{}}"#;
    for (records, detected) in [
        (vec![segment], Detected::Format(Format::Segment)),
        (vec![event, "x", segment], Detected::Format(Format::Segment)),
        (vec![rudderstack], Detected::Format(Format::RudderStack)),
        (
            vec![r#"{"type":"track","messageId":"1","channel":"web","originalTimestamp":"x"}"#],
            Detected::Format(Format::RudderStack),
        ),
        (
            vec![r#"{"type":"track","messageId":"1","originalTimestamp":"x"}"#],
            Detected::Format(Format::Segment),
        ),
        // What Segment stores, with all fields that it adds, and with some of them alone.
        (vec![SEGMENT_STORED], Detected::Format(Format::Segment)),
        (
            vec![r#"{"type":"track","messageId":"1","channel":"client","originalTimestamp":"x"}"#],
            Detected::Format(Format::Segment),
        ),
        (
            vec![
                r#"{"type":"track","messageId":"1","channel":"server","originalTimestamp":"x","version":2}"#,
            ],
            Detected::Format(Format::Segment),
        ),
        (
            vec![
                r#"{"type":"track","messageId":"1","channel":"server","originalTimestamp":"x","projectId":"P"}"#,
            ],
            Detected::Format(Format::Segment),
        ),
        (
            vec![
                r#"{"type":"track","messageId":"1","channel":"server","originalTimestamp":"x","_metadata":{"unbundled":[]}}"#,
            ],
            Detected::Format(Format::Segment),
        ),
        // What SDKs of RudderStack send, and what its server adds.
        (
            vec![
                r#"{"type":"track","messageId":"1","channel":"server","originalTimestamp":"x","version":"3.0.13"}"#,
                r#"{"type":"track","messageId":"1","channel":"client","rudderId":"r"}"#,
                r#"{"type":"track","messageId":"1","channel":"server","originalTimestamp":"x","_metadata":{"nodeVersion":"20.20.2"}}"#,
            ],
            Detected::Format(Format::RudderStack),
        ),
        (
            vec![r#"{"events":[],"mpid":1}"#],
            Detected::Format(Format::MParticle),
        ),
        (
            vec![r#"{"events":[],"user_identities":{}}"#],
            Detected::Format(Format::MParticle),
        ),
        (
            vec![r#"{"amplitude_id":1,"event_type":"E"}"#],
            Detected::Format(Format::Amplitude),
        ),
        (
            vec![r#"{"event":"E","distinct_id":"U","person_id":"P","properties":{}}"#],
            Detected::Format(Format::PostHog),
        ),
        (
            vec![r#"{"user_pseudo_id":"1.2"}"#],
            Detected::Format(Format::Ga4),
        ),
        (
            vec![r#"{"collector_tstamp":"x"}"#],
            Detected::Format(Format::Snowplow),
        ),
        (
            vec![r#"{"domain_userid":"x"}"#],
            Detected::Format(Format::Snowplow),
        ),
        (
            vec![r#"{"id":"m","anonymous_id":"a","received_at":"x"}"#],
            Detected::Format(Format::RudderStack),
        ),
        (
            vec![r#"{"amplitude_id":1,"user_pseudo_id":"1.2"}"#],
            Detected::Several(vec![Format::Amplitude, Format::Ga4]),
        ),
        (vec![event], Detected::Mixpanel),
        (vec!["{}", "", "5"], Detected::Mixpanel),
        (vec![], Detected::Mixpanel),
        (
            vec![segment, rudderstack],
            Detected::Several(vec![Format::Segment, Format::RudderStack]),
        ),
    ] {
        assert_eq!(detect(records.iter().copied()), detected, "{records:?}");
    }
}
