//! Search, names of events, and some of the events of a user. The truth is what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::thread;

use crate::support::people::{Traffic, ask, encoded, pages, read, time_ms};
use crate::support::{Running, SECRET, wait_until};
use idmerge_engines::Model;
use serde_json::{Value, json};

const MODELS: [Model; 3] = [Model::Simplified, Model::Original, Model::Legacy];

/// The canonical IDs, fields and texts of what a search finds.
fn found(server: &Running, text: &str, list: &str) -> Vec<[String; 3]> {
    let answer = read(server, &format!("/v1/search?q={}", encoded(text)));
    assert_eq!(answer["is_complete"], true);
    let users = answer[list].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    users
        .map(|user| {
            [
                text(&user["distinct_id"]),
                text(&user["matched"]["field"]),
                text(&user["matched"]["text"]),
            ]
        })
        .collect()
}

#[test]
fn every_user_is_found_by_every_id_and_by_a_part_of_it() {
    for model in MODELS {
        let traffic = Traffic::new(model, 12, 150);
        let server = Running::of(model);
        traffic.send(&server, 0);
        for person in 0..12 {
            let canonical = traffic.canonical(person);
            for id in traffic.ids_of(person) {
                let bare = id.strip_prefix("$device:").unwrap_or(&id).to_owned();
                for text in [
                    format!("  {} ", id.to_uppercase()),
                    bare.clone(),
                    id.clone(),
                ] {
                    let users = found(&server, &text, "users");
                    assert!(
                        users.iter().any(|user| user[0] == canonical),
                        "{model} {text}: {users:?}"
                    );
                }
                // The user with this very ID is first.
                assert_eq!(
                    found(&server, &id, "users")[0][0],
                    canonical,
                    "{model} {id}"
                );
                let part: String = bare.chars().skip(1).take(200).collect();
                if part.chars().count() > 6 {
                    let wanted: BTreeSet<_> = (0..12)
                        .filter(|other| {
                            let part = part.to_lowercase();
                            traffic
                                .ids_of(*other)
                                .iter()
                                .any(|id| id.to_lowercase().contains(&part))
                        })
                        .map(|other| traffic.canonical(other))
                        .collect();
                    let path = format!("/v1/search?limit=100&q={}", encoded(&part));
                    let users = read(&server, &path)["users"].clone();
                    let users = users.as_array().unwrap().iter();
                    let users: BTreeSet<_> = users
                        .map(|user| user["distinct_id"].as_str().unwrap().to_owned())
                        .collect();
                    assert_eq!(users, wanted, "{model} {part}");
                }
            }
        }
    }
}

fn engage(server: &Running, updates: &Value) {
    let answer = server.post("/engage", "application/json", &updates.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn names_and_addresses_are_found_and_what_is_near_if_nothing_is() {
    let server = Running::of(Model::Simplified);
    let set = |id: &str, name: &str, email: &str| json!({"$token": "TOK", "$distinct_id": id, "$set": {"$name": name, "$email": email}});
    engage(
        &server,
        &json!([
            set("u1", "Mara Quill", "mara@example.com"),
            set("u2", "Tobi Fennick", "tobi@example.com"),
            set("u3", "Zoë Aster", "z@example.org"),
        ]),
    );
    let strings = |texts: [&str; 3]| texts.map(str::to_owned);
    for (text, wanted) in [
        ("mara q", strings(["u1", "name", "Mara Quill"])),
        (" FENNICK", strings(["u2", "name", "Tobi Fennick"])),
        ("tobi@", strings(["u2", "email", "tobi@example.com"])),
        ("ZOË", strings(["u3", "name", "Zoë Aster"])),
        ("u3", strings(["u3", "id", "u3"])),
    ] {
        assert_eq!(found(&server, text, "users"), [wanted], "{text}");
        assert_eq!(found(&server, text, "nearest"), [[""; 3]; 0]);
    }
    // Two slips.
    let near = found(&server, "Marra Qill", "nearest");
    assert_eq!(near, [strings(["u1", "name", "Mara Quill"])]);
    let answer = read(&server, "/v1/search?q=wholly%20unlike%20anything%20here");
    assert_eq!(
        answer,
        json!({"users": [], "nearest": [], "is_complete": true})
    );
    let limited = read(&server, "/v1/search?q=example&limit=2");
    assert_eq!(limited["users"].as_array().unwrap().len(), 2);
    for query in ["", "?q=", "?q=%20", &format!("?q={}", "x".repeat(1_025))] {
        assert_eq!(
            ask(&server, &format!("/v1/search{query}")).status,
            400,
            "{query}"
        );
    }
}

#[test]
fn a_rejected_claim_makes_no_user_to_be_found() {
    let server = Running::of(Model::Original);
    // Rejected: the anonymous ID is no UUID (O-8). Nothing else names it.
    let event = json!({"event": "$identify", "properties": {"token": "TOK", "distinct_id": "U1", "$identified_id": "U1",
        "$anon_id": "not-a-device"}});
    let answer = server.post("/track", "application/json", &event.to_string());
    assert_eq!(answer.status, 200);
    assert_eq!(found(&server, "not-a-dev", "users"), [[""; 3]; 0]);
    assert_eq!(found(&server, "U1", "users")[0][0], "U1");
}

#[test]
fn the_names_of_events_are_counted() {
    let traffic = Traffic::new(Model::Original, 30, 700);
    let server = Running::of(Model::Original);
    assert_eq!(
        read(&server, "/v1/event-names"),
        json!({"names": [], "of_events": 0})
    );
    traffic.send(&server, 0);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for sent in &traffic.sent {
        *counts
            .entry(sent.json["event"].as_str().unwrap())
            .or_default() += 1;
    }
    let mut names: Vec<_> = counts
        .into_iter()
        .map(|(event, events)| json!({"event": event, "events": events}))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(name["events"].as_u64()));
    assert_eq!(
        read(&server, "/v1/event-names"),
        json!({"names": names, "of_events": traffic.sent.len()})
    );
}

#[test]
fn some_events_of_a_user_are_those_that_were_sent_so() {
    for model in MODELS {
        let traffic = Traffic::new(model, 20, 1_500);
        let server = Running::of(model);
        traffic.send(&server, 0);
        for person in 0..5 {
            let sent_with = |at: usize| {
                // The normalized distinct_id of the event.
                let id = traffic.sent[at].json["properties"]["distinct_id"]
                    .as_str()
                    .unwrap();
                match model {
                    Model::Simplified => id.to_owned(),
                    _ => id.strip_prefix("$device:").unwrap_or(id).to_owned(),
                }
            };
            let name_of = |at: usize| traffic.sent[at].json["event"].as_str().unwrap().to_owned();
            let ids = traffic.ids_of(person);
            let canonical = encoded(&traffic.canonical(person));
            let ids = ids.iter().map(|id| (Some(id.clone()), None));
            let names = ["Page View", "Purchase", "$identify", "Nothing"];
            let names = names.iter().map(|name| (None, Some((*name).to_owned())));
            let both = [(
                Some(traffic.canonical(person)),
                Some("Page View".to_owned()),
            )];
            for (id, name) in ids.chain(names).chain(both) {
                let mut path = format!("/v1/users/{canonical}/events?limit=10");
                path += &id
                    .as_ref()
                    .map(|id| format!("&distinct_id={}", encoded(id)))
                    .unwrap_or_default();
                path += &name
                    .as_ref()
                    .map(|name| format!("&event={}", encoded(name)))
                    .unwrap_or_default();
                let events = pages(&server, &path, "events", &mut |_| {});
                let times: Vec<_> = events
                    .iter()
                    .map(|event| event["time_ms"].as_i64().unwrap())
                    .collect();
                let all = traffic.events_of(person).into_iter().rev();
                let wanted: Vec<_> = all
                    .filter(|at| id.as_ref().is_none_or(|id| *id == sent_with(*at)))
                    .filter(|at| name.as_ref().is_none_or(|name| *name == name_of(*at)))
                    .map(time_ms)
                    .collect();
                assert_eq!(times, wanted, "{model} {path}");
            }
        }
        let other = encoded(&traffic.canonical(1));
        let path = format!(
            "/v1/users/{}/events?distinct_id={other}",
            encoded(&traffic.canonical(0))
        );
        assert_eq!(read(&server, &path)["events"], json!([]), "{model}");
        let bad = format!(
            "/v1/users/{}/events?distinct_id=undefined",
            encoded(&traffic.canonical(0))
        );
        assert_eq!(ask(&server, &bad).status, 400);
    }
}

#[test]
fn a_rare_event_in_many_blocks_is_found_on_a_later_page() {
    let server = Running::of(Model::Simplified);
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let mut state = 7_u64;
    for batch in 0..12 {
        let events: Vec<_> = (0..400)
            .map(|at| {
                let noise = (0..1_200).map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    char::from(b'0' + u8::try_from(state >> 58).unwrap())
                });
                let noise: String = noise.filter(|noise| *noise != '\\').collect();
                let name = match (batch, at) {
                    (0, 3) => "Rare".to_owned(),
                    _ => format!("Kind {}", at % 4),
                };
                json!({"event": name, "properties": {"time": 1_700_000_000 + batch * 400 + at,
                    "distinct_id": "hot", "$insert_id": format!("{batch}-{at}"), "n": noise}})
            })
            .collect();
        let body = serde_json::to_vec(&events).unwrap();
        let answer = server.send("POST", "/import?strict=0", &headers, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let path = "/v1/users/hot/events?event=Rare";
    let first = read(&server, path);
    assert_eq!(
        (&first["events"], first["next"].is_string()),
        (&json!([]), true)
    );
    let all = pages(&server, &format!("{path}&limit=5"), "events", &mut |_| {});
    assert_eq!(
        (all.len(), &all[0]["time_ms"]),
        (1, &json!(1_700_000_003_000_i64))
    );
    // A page ends for its work, and the event with which the next one begins is of one of the kinds.
    let mut times = BTreeSet::new();
    for kind in ["Kind%200", "Kind%201", "Kind%202", "Kind%203", "Rare"] {
        let path = format!("/v1/users/hot/events?event={kind}&limit=1000");
        let all = pages(&server, &path, "events", &mut |_| {});
        let before = times.len();
        times.extend(all.iter().map(|event| event["time_ms"].as_i64()));
        assert_eq!(times.len(), before + all.len());
    }
    assert_eq!(times.len(), 4_800);
}

/// A page that searches while somebody types leaves each search for the next one.
#[test]
fn a_search_whose_client_has_left_lets_the_next_one_in() {
    let server = Running::of(Model::Simplified);
    Traffic::new(Model::Simplified, 100, 3_000).send(&server, 0);
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "GET /v1/search?q=nothing%20like%20it HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
    }
    assert_eq!(ask(&server, "/v1/search?q=user").status, 200);
    // All at once take turns.
    thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| assert_eq!(ask(&server, "/v1/search?q=user").status, 200));
        }
    });
    wait_until("every query ends", || {
        ask(&server, "/v1/search?q=%40example").status == 200
    });
}
