//! `POST /v1/retract` and the questions of `idmerge store` over HTTP (LG-1 to LG-3). The truth comes from the
//! store at rest, and from a server that never got the events that made the withdrawn claim.

use std::fs;

use crate::support::{Answer, Running, SECRET, project};
use idmerge_engines::{Engine, Model, Settings};
use idmerge_store::{About, Cause, Durable, Options, restore};
use serde_json::{Value, json};
use tempfile::TempDir;

const IDS: [&str; 5] = ["U0", "U1", "U2", "U3", "U4"];

fn secret() -> String {
    format!("Bearer {SECRET} of TOK")
}

fn get(server: &Running, path: &str) -> Value {
    let answer = server.get(path, &[("authorization", &secret())]);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn text(server: &Running, path: &str) -> String {
    server.get(path, &[("authorization", &secret())]).body
}

fn retract(server: &Running, body: &Value) -> Answer {
    let secret = secret();
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    server.send("POST", "/v1/retract", &headers, body.to_string().as_bytes())
}

/// Pseudorandom numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

/// An event that makes a claim about two IDs.
fn claim(model: Model, [first, second]: [&str; 2], number: usize) -> Value {
    match model {
        Model::Original => json!({ "event": "$merge", "properties": {
            "token": "TOK", "$distinct_ids": [first, second] } }),
        _ => json!({ "event": "View", "properties": {
            "token": "TOK", "time": 1_700_000_000, "$insert_id": number.to_string(),
            "$device_id": first, "$user_id": second, "distinct_id": second } }),
    }
}

fn import(server: &Running, events: &[Value]) {
    for event in events {
        let secret = secret();
        let headers = [
            ("authorization", &*secret),
            ("content-type", "application/json"),
        ];
        let body = json!([event]).to_string();
        let answer = server.send("POST", "/import?strict=0", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

fn set_profiles(server: &Running) {
    let updates: Vec<_> = IDS
        .iter()
        .map(|id| json!({ "$token": "TOK", "$distinct_id": id, "$set": { "of": id } }))
        .collect();
    server.post("/engage", "application/json", &json!(updates).to_string());
}

/// A server on a backup of another one, after `change` has changed the store at rest.
fn restored(server: &Running, model: Model, change: impl FnOnce(&mut Durable<Engine>)) -> Running {
    let folder = TempDir::new().unwrap();
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    let head = format!(
        "GET /v1/backup HTTP/1.0\r\nhost: x\r\nauthorization: {}\r\n\r\n",
        secret()
    );
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let (saved, at) = (folder.path().join("saved"), folder.path().join("TOK"));
    fs::write(&saved, &answer[end..]).unwrap();
    restore(&saved, &at).unwrap();
    let about = About::of_folder(&at).unwrap();
    let settings = Settings::of_store(about.rule_book, &about.settings).unwrap();
    let options = Options {
        settings: about.settings,
        ..Options::default()
    };
    let mut store = Durable::open(&at, move || settings.engine(), options).unwrap();
    change(&mut store);
    store.close().unwrap();
    Running::in_folder(folder, vec![project("TOK", model)], |_| {})
}

/// The mappings, sorted: after a withdrawal the order of clusters is only right after the next start.
fn mappings(server: &Running) -> Vec<String> {
    let text = text(server, "/v1/mappings");
    let mut rows: Vec<_> = text.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// What a server answers about identities and profiles.
fn answers(server: &Running) -> (Vec<String>, Vec<String>, Value) {
    let profiles = IDS.map(|id| text(server, &format!("/v1/users/{id}/profile")));
    (mappings(server), profiles.into(), get(server, "/v1/digest"))
}

#[test]
fn lg_1_lg_3_a_retraction_while_serving_equals_one_at_rest_and_events_that_never_came() {
    for model in [Model::Original, Model::Simplified] {
        for seed in 0..6 {
            let mut numbers = Numbers(seed);
            let pairs: Vec<_> = (0..6)
                .map(|_| {
                    let first = numbers.below(IDS.len());
                    let second = (first + 1 + numbers.below(IDS.len() - 1)) % IDS.len();
                    [IDS[first], IDS[second]]
                })
                .collect();
            let events: Vec<_> = pairs
                .iter()
                .enumerate()
                .map(|(number, pair)| claim(model, *pair, number))
                .collect();
            let server = Running::of(model);
            set_profiles(&server);
            import(&server, &events);
            let log = get(&server, "/v1/log");
            let entries = log["entries"].as_array().unwrap();
            let chosen = numbers.below(entries.len());
            let sequence = entries[chosen]["sequence"].as_u64().unwrap();

            let body =
                json!({ "sequence": sequence, "who": "ada", "why": "a tablet", "dry_run": true });
            let before = answers(&server);
            let preview = retract(&server, &body);
            assert_eq!(preview.status, 200, "{preview:?}");
            assert_eq!(answers(&server), before, "a preview changes nothing");
            let mut at_rest = None;
            let other = restored(&server, model, |store| {
                let cause = Cause::default();
                at_rest = Some(store.retract(sequence, "ada", "a tablet", cause).unwrap());
            });
            let body = json!({ "sequence": sequence, "who": "ada", "why": "a tablet" });
            let live = retract(&server, &body).json();
            let hint = format!("{model} seed {seed} entry {sequence}");
            assert_eq!(live, serde_json::to_value(at_rest).unwrap(), "{hint}");
            assert_eq!(live, preview.json(), "{hint}");
            assert_eq!(answers(&server), answers(&other), "{hint}");

            // A server that never got the events of the claim.
            let made = |pair: &[&str; 2]| {
                let names = ["first", "second", "device", "user"];
                let of = |entry: &Value| {
                    let ids = names.iter().filter_map(|name| entry[*name].as_str());
                    ids.map(str::to_owned).collect::<Vec<_>>()
                };
                of(&entries[chosen]) == *pair
            };
            let rest = pairs.iter().zip(&events).filter(|(pair, _)| !made(pair));
            let rest: Vec<_> = rest.map(|(_, event)| event.clone()).collect();
            let without = Running::of(model);
            import(&without, &rest);
            assert_eq!(mappings(&server), mappings(&without), "{hint}");

            // The project goes on: a late claim has the same effect on both.
            let late = claim(model, ["U0", "U4"], 99);
            for server in [&server, &other] {
                import(server, std::slice::from_ref(&late));
            }
            assert_eq!(answers(&server), answers(&other), "{hint}, later");
            // Undone, everything is as if nothing had been withdrawn.
            let undo =
                json!({ "sequence": live["sequence"], "who": "ada", "why": "hers after all" });
            assert_eq!(retract(&server, &undo).status, 200);
            let all = Running::of(model);
            import(&all, &events);
            import(&all, std::slice::from_ref(&late));
            assert_eq!(mappings(&server), mappings(&all), "{hint}, undone");
        }
    }
}

#[test]
fn lg_2_an_id_is_detached_and_what_is_withdrawn_already_changes_nothing() {
    let server = Running::of(Model::Original);
    let events = [["U0", "U1"], ["U1", "U2"], ["U3", "U4"]];
    let events: Vec<_> = events.map(|pair| claim(Model::Original, pair, 0)).into();
    import(&server, &events);
    let body = json!({ "detach": "U1", "who": "ada", "why": "shared" });
    let first = retract(&server, &body).json();
    assert_eq!(
        (&first["is_new"], &first["claims"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(mappings(&server).len(), 1);
    let again = retract(&server, &body).json();
    assert_eq!(
        (&again["is_new"], &again["sequence"]),
        (&json!(false), &first["sequence"])
    );
    // An event that comes later is new evidence.
    import(&server, &events[..1]);
    assert_eq!(server.identity("TOK", "U1").1, ["U0", "U1"]);
}

#[test]
fn a_wrong_retraction_is_refused_and_changes_nothing() {
    let server = Running::of(Model::Original);
    import(&server, &[claim(Model::Original, ["U0", "U1"], 0)]);
    let before = answers(&server);
    let by = |mut body: Value| {
        body["who"] = "ada".into();
        body["why"] = "no".into();
        body
    };
    for (body, status, says) in [
        (by(json!({ "sequence": 7 })), 404, "there is no entry 7"),
        (by(json!({ "sequence": 0 })), 404, "there is no entry 0"),
        (by(json!({ "detach": "nobody" })), 404, "no claim"),
        (by(json!({ "detach": "" })), 400, ""),
        (by(json!({})), 400, "either sequence"),
        (
            by(json!({ "sequence": 1, "detach": "U1" })),
            400,
            "either sequence",
        ),
        (by(json!({ "sequence": 1, "more": 1 })), 400, "more"),
        (json!({ "sequence": 1, "who": "ada" }), 400, "why"),
        (json!({ "sequence": 1, "who": "", "why": "x" }), 400, "who"),
        (
            json!({ "sequence": 1, "who": "x".repeat(5_000), "why": "x" }),
            400,
            "who",
        ),
    ] {
        let answer = retract(&server, &body);
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(
            answer.json()["error"].as_str().unwrap().contains(says),
            "{answer:?}"
        );
    }
    let body = by(json!({ "sequence": 1 })).to_string();
    let secret = secret();
    // A form of another page has such a type.
    let headers = [("authorization", &*secret), ("content-type", "text/plain")];
    assert_eq!(
        server
            .send("POST", "/v1/retract", &headers, body.as_bytes())
            .status,
        415
    );
    let json = ("content-type", "application/json");
    for headers in [&[json][..], &[json, ("authorization", "Basic VE9LOg==")]] {
        let answer = server.send("POST", "/v1/retract", headers, body.as_bytes());
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    for path in [
        "/v1/info",
        "/v1/log",
        "/v1/digest",
        "/v1/simulate?engine=original",
    ] {
        assert_eq!(server.get(path, &[]).status, 401, "{path}");
    }
    assert_eq!(answers(&server), before);
}

#[test]
fn lg_3_the_log_the_digest_and_a_simulation_are_those_of_the_store_at_rest() {
    let server = Running::of(Model::Original);
    let events = [["U0", "U1"], ["U1", "U2"], ["U3", "U4"]];
    let events: Vec<_> = events.map(|pair| claim(Model::Original, pair, 0)).into();
    import(&server, &events);
    retract(
        &server,
        &json!({ "sequence": 2, "who": "ada", "why": "no" }),
    );
    let mut at_rest = None;
    drop(restored(&server, Model::Original, |store| {
        let history = store.history().unwrap();
        let mut entries = Vec::new();
        let mut add = |entry: idmerge_store::Entry<'_>| {
            entries.push(serde_json::to_value(idmerge_store::LogEntry::from(entry)).unwrap());
            Ok(true)
        };
        history.entries(1, &mut add).unwrap();
        let digests = [1, 4].map(|sequence| history.digest(sequence).unwrap().to_string());
        at_rest = Some((entries, digests));
    }));
    let (entries, digests) = at_rest.unwrap();
    assert_eq!(get(&server, "/v1/log")["entries"], json!(entries));
    let page = get(&server, "/v1/log?from=2&limit=2");
    assert_eq!(
        (&page["entries"], &page["next"]),
        (&json!(entries[1..3]), &json!(4))
    );
    let end = entries.len() + 1;
    let at_end = get(&server, &format!("/v1/log?from={end}"));
    assert_eq!(
        (&at_end["entries"], &at_end["next"]),
        (&json!([]), &json!(end))
    );
    let beyond = format!("/v1/log?from={}", end + 1);
    let beyond = server.get(&beyond, &[("authorization", &secret())]);
    assert_eq!(beyond.status, 400, "{beyond:?}");
    assert_eq!(get(&server, "/v1/digest")["digest"], digests[1]);
    assert_eq!(get(&server, "/v1/digest?as_of=1")["digest"], digests[0]);
    let same = get(&server, "/v1/simulate?engine=original");
    assert_eq!((&same["split"], &same["joined"]), (&json!(0), &json!(0)));
    assert_eq!(same["clusters"], 2);
    let other = get(&server, "/v1/simulate?engine=simplified");
    assert_eq!(
        (&other["split"], &other["simulated_clusters"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(other["split_examples"].as_array().unwrap().len(), 2);
    assert_eq!(other["simulated"], "--engine simplified");
    assert_eq!(same["store"], same["simulated"]);
    for path in [
        "/v1/simulate",
        "/v1/simulate?engine=other",
        "/v1/simulate?engine=simplified&max_cluster_ids=9",
        "/v1/digest?as_of=9",
    ] {
        assert_eq!(
            server.get(path, &[("authorization", &secret())]).status,
            400,
            "{path}"
        );
    }
}
