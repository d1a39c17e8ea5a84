//! Sends the SDK vectors of the command line over HTTP, and checks the clusters. The expected
//! clusters were derived from `docs/rules.md` by hand.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Answer, Running, SECRET, basic, project};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use idmerge_engines::Model;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

const VECTORS: &str = include_str!("../../../cli/tests/data/sdk.toml");

#[derive(Deserialize)]
struct File {
    ids: BTreeMap<String, String>,
    vector: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    events: String,
    simplified: Expected,
    original: Expected,
}

#[derive(Deserialize)]
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

/// The events of a vector, each with the token of its project.
fn events(vector: &Vector, token: &str) -> Vec<Value> {
    let event = |line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event["properties"]["token"] = token.into();
        event
    };
    vector.events.lines().map(event).collect()
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Sends JSON to `/track` in one of five encodings that SDKs use.
fn track(server: &Running, encoding: usize, json: &str) -> Answer {
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let coded = STANDARD.encode(json);
    match encoding % 5 {
        0 => server.post(
            "/track/?ip=1&_=1",
            FORM,
            &format!("data={}", escaped(&coded)),
        ),
        1 => server.post("/track?ip=0&verbose=0", FORM, &format!("data={coded}")),
        2 => server.get(
            &format!("/track?ip=0&verbose=0&data={}", escaped(&coded)),
            &[],
        ),
        3 => server.post(
            "/track/",
            "text/plain;charset=UTF-8",
            &format!("data={}", escaped(json)),
        ),
        _ => server.post("/track/?ip=1", "application/json", json),
    }
}

/// Sends an event as SDKs do: `$merge` with a credential, all others without one. Returns whether
/// it was accepted.
fn send(server: &Running, encoding: usize, token: &str, model: Model, event: &Value) -> bool {
    let json = event.to_string();
    if event["event"] != "$merge" || model == Model::Simplified {
        let answer = track(server, encoding, &json);
        assert_eq!(answer.status, 200, "{answer:?}");
        return answer.body == "1";
    }
    let authorization = basic(&format!("{SECRET} of {token}"));
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", FORM),
    ];
    let body = format!("data={}", utf8_percent_encode(&json, NON_ALPHANUMERIC));
    let answer = server.send("POST", "/import", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body == "1"
}

fn check_clusters(server: &Running, id: &str, token: &str, expected: &Expected) {
    for cluster in &expected.clusters {
        let (canonical, members) = cluster.split_once(": ").unwrap();
        let members: Vec<_> = members.split(' ').map(str::to_owned).collect();
        for member in &members {
            let found = server.identity(token, member);
            assert_eq!(
                found,
                (canonical.to_owned(), members.clone()),
                "{id}: {member}"
            );
        }
    }
    // The canonical ID of each event in the end, and that there are no other clusters.
    let known: BTreeSet<&str> = expected
        .clusters
        .iter()
        .flat_map(|cluster| cluster.split_once(": ").unwrap().1.split(' '))
        .collect();
    for event in &expected.events {
        let outcome = event.split(" ! ").next().unwrap();
        let outcome = outcome.split(" + ").next().unwrap();
        if outcome == "nobody" || outcome.starts_with("refused ") {
            continue;
        }
        let (canonical, own) = outcome.split_once(" <- ").unwrap_or((outcome, outcome));
        let (found, members) = server.identity(token, own);
        assert_eq!(found, canonical, "{id}: {own}");
        assert_eq!(members.len() > 1, known.contains(own), "{id}: {own}");
    }
}

fn check_all(model: Model, expected: impl Fn(&Vector) -> &Expected) {
    let vectors = vectors();
    assert_eq!(vectors.len(), 56);
    let tokens: Vec<_> = vectors.iter().map(|vector| vector.id.clone()).collect();
    let projects = tokens.iter().map(|token| project(token, model)).collect();
    let server = Running::with(projects, |_| {});
    for (encoding, (vector, token)) in vectors.iter().zip(&tokens).enumerate() {
        let expected = expected(vector);
        for (event, outcome) in events(vector, token).iter().zip(&expected.events) {
            let is_accepted = send(&server, encoding, token, model, event);
            assert_eq!(
                is_accepted,
                !outcome.starts_with("refused "),
                "{token}: {event}"
            );
        }
        check_clusters(&server, &vector.id, token, expected);
    }
}

#[test]
fn vectors_one_by_one_in_simplified() {
    check_all(Model::Simplified, |vector| &vector.simplified);
}

#[test]
fn vectors_one_by_one_in_original() {
    check_all(Model::Original, |vector| &vector.original);
}

/// One request has the events of all vectors without `$merge`, each for its own project.
#[test]
fn all_vectors_in_one_batch() {
    for model in [Model::Simplified, Model::Original] {
        let vectors = vectors();
        let without_merge = |vector: &&Vector| !vector.events.contains("\"$merge\"");
        let vectors: Vec<_> = vectors.iter().filter(without_merge).collect();
        let projects = vectors.iter().map(|vector| project(&vector.id, model));
        let server = Running::with(projects.collect(), |_| {});
        let all: Vec<_> = vectors
            .iter()
            .flat_map(|vector| events(vector, &vector.id))
            .collect();
        let answer = track(&server, 4, &Value::from(all).to_string());
        assert_eq!((answer.status, &*answer.body), (200, "1"));
        for vector in vectors {
            let expected = if model == Model::Simplified {
                &vector.simplified
            } else {
                &vector.original
            };
            check_clusters(&server, &vector.id, &vector.id, expected);
        }
    }
}
