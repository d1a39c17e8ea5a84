//! What SDKs send, through both engines: the vectors of `tests/data/sdk.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::run::{Folder, event};

const VECTORS: &str = include_str!("../data/sdk.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ids: BTreeMap<String, String>,
    vector: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    #[expect(dead_code, reason = "documents the vector")]
    calls: String,
    events: String,
    simplified: Expected,
    original: Expected,
    /// With `--anon-id-format sdk`, if that gives another result.
    original_sdk: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    events: Vec<String>,
    clusters: Vec<String>,
}

fn vectors() -> Vec<Vector> {
    let mut text = VECTORS.to_owned();
    let File { ids, .. } = toml::from_str(VECTORS).unwrap();
    for (name, id) in ids {
        text = text.replace(&format!("<{name}>"), &id);
    }
    toml::from_str::<File>(&text).unwrap().vector
}

/// Checks all vectors for which `expected` returns something, and returns their number.
fn check(settings: &str, expected: impl Fn(&Vector) -> Option<&Expected>) -> usize {
    let vectors = vectors();
    let mut checked = 0;
    for vector in &vectors {
        let Some(Expected { events, clusters }) = expected(vector) else {
            continue;
        };
        checked += 1;
        let id = &vector.id;
        // An input of refused events alone is an error (IN-6).
        let end = event("end");
        let folder = Folder::with(&[("in", &format!("{}\n{end}", vector.events.trim_end()))]);
        let refused = folder.run(&format!(
            "resolve in -q {settings} -o out --refused refused"
        ));
        assert_eq!(refused.code, Some(0), "{id}: {}", refused.stderr);
        let out = folder.read("out");
        let out = out.strip_suffix(&end).unwrap();
        check_events(vector, events, out, &folder.read("refused"));

        let done = folder.run(&format!("clusters in -q {settings}"));
        assert_eq!(done.code, Some(0), "{id}");
        let found: Vec<_> = done.stdout.lines().map(cluster).collect();
        assert_eq!(&found, clusters, "{id}");
    }
    checked
}

/// A cluster in the notation of the vectors.
fn cluster(line: &str) -> String {
    let cluster: Value = serde_json::from_str(line).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let members: Vec<_> = cluster["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    format!("{}: {}", text(&cluster["canonical"]), members.join(" "))
}

fn check_events(vector: &Vector, expected: &[String], out: &str, refused: &str) {
    let id = &vector.id;
    let came: Vec<_> = vector.events.lines().collect();
    assert_eq!(came.len(), expected.len(), "{id}");
    let mut out = out.lines();
    let mut refused = refused.lines();
    for (came, expected) in came.into_iter().zip(expected) {
        let event: Value = serde_json::from_str(came).unwrap();
        if let Some(rule) = expected.strip_prefix("refused ") {
            let record: Value = serde_json::from_str(refused.next().unwrap()).unwrap();
            assert_eq!(record["rule"], rule, "{id}");
            assert_eq!(record["event"], event, "{id}");
            continue;
        }
        let line = out.next().unwrap();
        let mut found: Value = serde_json::from_str(line).unwrap();
        let mut wanted = event.clone();
        let properties = wanted["properties"].as_object_mut().unwrap();

        let (whose, failure) = match expected.split_once(" ! ") {
            Some((whose, failure)) => (whose, failure.split(' ').collect()),
            None => (expected.as_str(), Vec::new()),
        };
        if let [code, about @ ..] = &failure[..] {
            // Among these vectors, only Original rejects claims.
            properties.insert("$failure_reason".to_owned(), json!(code));
            let description = found["properties"]
                .as_object_mut()
                .unwrap()
                .remove("$failure_description")
                .unwrap();
            for about in about {
                assert!(
                    description.as_str().unwrap().contains(about),
                    "{id}: {description}"
                );
            }
        }
        let (whose, filled) = match whose.split_once(" + ") {
            Some((whose, filled)) => (whose, Some(filled)),
            None => (whose, None),
        };
        let (canonical, own) = match whose.split_once(" <- ") {
            Some((canonical, own)) => (canonical, Some(own)),
            None => (whose, None),
        };
        let canonical = if canonical == "nobody" { "" } else { canonical };
        properties.insert("distinct_id".to_owned(), json!(canonical));
        if let Some(property) = filled {
            properties.insert(property.to_owned(), json!(canonical));
        }
        if let Some(own) = own {
            properties.insert("$distinct_id_before_identity".to_owned(), json!(own));
            properties.insert("$is_reshuffled".to_owned(), json!(true));
        }
        assert_eq!(found, wanted, "{id}: {expected}");
        if found == event {
            assert_eq!(line, came, "{id}");
        }
    }
    assert_eq!(out.next(), None, "{id}");
    assert_eq!(refused.next(), None, "{id}");
}

#[test]
fn events_of_sdks_in_simplified() {
    let checked = check("--engine simplified", |vector| Some(&vector.simplified));
    assert_eq!(checked, 56);
}

#[test]
fn events_of_sdks_in_original() {
    let checked = check("--engine original", |vector| Some(&vector.original));
    assert_eq!(checked, 56);
}

#[test]
fn o_8_ids_of_old_browsers_are_a_setting() {
    let settings = "--engine original --anon-id-format sdk";
    let checked = check(settings, |vector| vector.original_sdk.as_ref());
    assert_eq!(checked, 3);
}
