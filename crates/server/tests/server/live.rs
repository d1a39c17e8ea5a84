//! The live stream of events. The truth is what was sent, and what the rules say about it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use crate::support::live::Live;
use crate::support::people::{Traffic, ask, time_ms};
use crate::support::{Running, SECRET, project, wait_until};
use idmerge_engines::Model;
use serde_json::{Value, json};

const MODELS: [Model; 3] = [Model::Simplified, Model::Original, Model::Legacy];
const D: &str = "0190a000-0000-4000-8000-00000000000d";

fn import(server: &Running, events: &Value) {
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let answer = server.send(
        "POST",
        "/import?strict=0",
        &headers,
        events.to_string().as_bytes(),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The members of an event that a person reads.
fn brief(event: &Value) -> Value {
    json!([
        event["event"],
        event["own"],
        event["distinct_id"],
        event["answer"],
        event["error"],
        event["holder"],
        event["moved_events"],
        event["sequence"]
    ])
}

/// The events of a scenario, and what the stream says about each.
fn scenario(model: Model) -> (Vec<Value>, Vec<Value>) {
    let device = format!("$device:{D}");
    let named = json!({"distinct_id": "U1", "name": "Mara Quill"});
    let taken = "errAnonDistinctIdAssignedAlready";
    let view = json!({"distinct_id": device, "$device_id": D});
    let known = |user: &str| json!({"distinct_id": user, "$device_id": D, "$user_id": user});
    let identify = |user: &str| json!({"distinct_id": user, "$device_id": D, "$user_id": user, "$identified_id": user, "$anon_id": D});
    let alias = |id: &str, alias: &str| json!({"distinct_id": id, "alias": alias});
    let (own, user) = match model {
        Model::Simplified => (&*device, "U1"),
        Model::Original => (D, "U1"),
        _ => (D, D),
    };
    // It did not move when the device joined.
    let later = json!(["Later View", own, user, null, null, null, null, null]);
    let later = (("Later View", view.clone()), later);
    let (properties, wanted): (Vec<_>, Vec<_>) = match model {
        Model::Simplified => vec![
            (
                ("View", view.clone()),
                json!(["View", device, "U1", null, null, null, null, null]),
            ),
            (
                ("View", view),
                json!(["View", device, "U1", null, null, null, null, null]),
            ),
            (
                ("Log In", known("U1")),
                json!(["Log In", "U1", "U1", "merged", null, null, 2, 1]),
            ),
            (
                ("Buy", known("U1")),
                json!(["Buy", "U1", "U1", "already_merged", null, null, null, null]),
            ),
            (
                ("Log In", known("U2")),
                json!(["Log In", "U2", "U2", "rejected", taken, named, null, 2]),
            ),
        ],
        Model::Original => vec![
            (
                ("View", view.clone()),
                json!(["View", D, "U1", null, null, null, null, null]),
            ),
            (
                ("View", view),
                json!(["View", D, "U1", null, null, null, null, null]),
            ),
            (
                ("$identify", identify("U1")),
                json!(["$identify", "U1", "U1", "merged", null, null, 2, 1]),
            ),
            (
                ("Buy", known("U1")),
                json!(["Buy", "U1", "U1", null, null, null, null, null]),
            ),
            (
                ("$identify", identify("U2")),
                json!(["$identify", "U2", "U2", "rejected", taken, named, null, 2]),
            ),
        ],
        _ => vec![
            (
                ("View", view),
                json!(["View", D, D, null, null, null, null, null]),
            ),
            (
                ("$create_alias", alias(D, "U1")),
                json!(["$create_alias", D, D, "merged", null, null, 0, 1]),
            ),
            (
                ("Buy", known("U1")),
                json!(["Buy", "U1", D, null, null, null, null, null]),
            ),
            (
                ("$create_alias", alias("X", "U1")),
                json!(["$create_alias", "X", "X", "rejected", "errAliasAlreadyExists",
                {"distinct_id": D, "name": "Mara Quill"}, null, 2]),
            ),
        ],
    }
    .into_iter()
    .chain([later])
    .unzip();
    let events = properties
        .into_iter()
        .enumerate()
        .map(|(at, (name, mut properties))| {
            properties["time"] = json!(1_700_000_000 + at);
            properties["$insert_id"] = json!(format!("i{at}"));
            properties["item"] = json!("Lamp");
            properties["$browser"] = json!("Mobile Safari");
            properties["$os"] = json!("iOS");
            json!({"event": name, "properties": properties})
        });
    (events.collect(), wanted)
}

#[test]
fn an_event_comes_with_what_it_did() {
    for model in MODELS {
        let server = Running::of(model);
        let (events, wanted) = scenario(model);
        let user = if model == Model::Legacy { D } else { "U1" };
        let profile =
            json!([{"$token": "TOK", "$distinct_id": user, "$set": {"$name": "Mara Quill"}}]);
        server.post("/engage", "application/json", &profile.to_string());
        import(&server, &Value::Array(events));
        let mut live = Live::open(&server, "", "");
        assert_eq!(live.status, 200);
        for (at, wanted) in wanted.iter().enumerate() {
            let event = live.event();
            assert_eq!(brief(&event), *wanted, "{model}: {event}");
            assert_eq!(
                event["time_ms"],
                1_700_000_000_000_i64 + i64::try_from(at).unwrap() * 1_000
            );
            assert_eq!(event["number"], at + 1);
            assert_eq!(event["properties"]["item"], "Lamp");
            let is_marys = event["distinct_id"] == user;
            assert_eq!(
                event["name"],
                if is_marys {
                    json!("Mara Quill")
                } else {
                    Value::Null
                }
            );
            if event["event"] != "$create_alias" {
                assert_eq!(event["device"]["label"], "Safari on iPhone", "{event}");
            }
        }
        // What comes now is sent too.
        let properties = json!({"distinct_id": user, "time": 1_700_000_100});
        import(
            &server,
            &json!([{"event": "Later", "properties": properties}]),
        );
        assert_eq!(live.event()["event"], "Later");
    }
}

#[test]
fn a_stream_goes_on_after_the_event_that_the_client_had() {
    let traffic = Traffic::new(Model::Original, 10, 120);
    let server = Running::of(Model::Original);
    traffic.send(&server, 0);
    for (query, header, first) in [
        ("", "", 71),
        ("?after=0", "", 1),
        ("?after=100", "", 101),
        ("?after=100", "Last-Event-ID: 110\r\n", 111),
    ] {
        let mut live = Live::open(&server, query, header);
        for number in first..=120 {
            let event = live.event();
            assert_eq!(
                (&event["number"], &event["time_ms"]),
                (&json!(number), &json!(time_ms(number - 1)))
            );
            assert_eq!(event["own"], traffic.sent[number - 1].own);
            assert_eq!(
                event["distinct_id"],
                traffic.canonical(traffic.sent[number - 1].person)
            );
        }
    }
    assert_eq!(server.get("/v1/live", &[]).status, 401);
    // After the last one there is nothing yet.
    let mut live = Live::open(&server, "?after=999", "");
    let more =
        json!([{"event": "Later", "properties": {"distinct_id": "U", "time": 1_700_000_000}}]);
    import(&server, &more);
    assert_eq!(live.event()["event"], "Later");
    for (query, header) in [
        ("?after=x", ""),
        ("", "Last-Event-ID: x\r\n"),
        ("?after=-1", ""),
    ] {
        assert_eq!(
            Live::open(&server, query, header).status,
            400,
            "{query} {header}"
        );
    }
}

#[test]
fn every_client_gets_every_event_once_and_in_order_while_they_are_written() {
    const EVENTS: usize = 3_000;
    let server = Running::of(Model::Simplified);
    let traffic = Traffic::new(Model::Simplified, 20, EVENTS);
    thread::scope(|threads| {
        for client in 0..3 {
            let (server, traffic) = (&server, &traffic);
            threads.spawn(move || {
                let mut live = Live::open(server, "?after=0", "");
                for number in 1..=EVENTS {
                    // One of them comes back again and again.
                    if client == 2 && number % 500 == 0 {
                        live =
                            Live::open(server, "", &format!("Last-Event-ID: {}\r\n", number - 1));
                    }
                    let event = live.event();
                    assert_eq!(event["number"], number);
                    assert_eq!(event["own"], traffic.sent[number - 1].own);
                }
            });
        }
        threads.spawn(|| traffic.send(&server, 0));
    });
}

#[test]
fn a_project_has_eight_streams_and_clients_that_left_hold_none() {
    let server = Running::of(Model::Simplified);
    for _ in 0..3 {
        let mut streams: Vec<_> = (0..8).map(|_| Live::open(&server, "", "")).collect();
        assert!(streams.iter().all(|live| live.status == 200));
        let refused = ask(&server, "/v1/live");
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (429, Some("1"))
        );
        // Other queries are answered.
        assert_eq!(ask(&server, "/v1/users").status, 200);
        streams.pop();
        wait_until("a stream is free", || {
            Live::open(&server, "", "").status == 200
        });
        drop(streams);
        wait_until("all streams are free", || {
            let streams: Vec<_> = (0..8).map(|_| Live::open(&server, "", "")).collect();
            streams.iter().all(|live| live.status == 200)
        });
        // Those of the last attempt.
        wait_until("none is left", || {
            let open = |_| Live::open(&server, "", "").status == 200;
            (0..8).all(open)
        });
    }
}

#[test]
fn a_slow_client_gets_everything_and_holds_nothing_up() {
    let server = Running::of(Model::Simplified);
    let mut slow = Live::open(&server, "?after=0", "");
    let text = "x".repeat(400);
    for batch in 0..20 {
        let events: Vec<_> = (0..1_000)
            .map(|at| {
                json!({"event": "A", "properties": {"distinct_id": format!("u{at}"), "time": 1_700_000_000,
                    "$insert_id": format!("{batch}-{at}"), "a": text, "b": text, "c": text, "n": batch * 1_000 + at}})
            })
            .collect();
        import(&server, &json!(events));
        let mut fast = Live::open(&server, &format!("?after={}", batch * 1_000), "");
        assert_eq!(fast.event()["properties"]["n"], batch * 1_000);
    }
    // More than 30 MB, which no buffer on the way has room for.
    for number in 0..20_000 {
        assert_eq!(slow.event()["properties"]["n"], number);
    }
}

#[test]
fn a_stream_ends_when_the_server_stops() {
    let mut server = Running::of(Model::Simplified);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "GET /v1/live HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    server.stop();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    // A response that is whole: it was not cut off.
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest:?}");
}

fn track(server: &Running, token: &str, origin: &str) {
    let event = json!({"event": "A", "properties": {"token": token, "distinct_id": "U"}});
    let headers = [("content-type", "application/json"), ("origin", origin)];
    let answer = server.send("POST", "/track", &headers, event.to_string().as_bytes());
    assert_eq!((answer.status, &*answer.body), (200, "1"));
}

#[test]
fn a_token_that_no_project_has_is_named() {
    let server = Running::of(Model::Simplified);
    track(&server, "T0K", "http://127.0.0.1:8000");
    let mut live = Live::open(&server, "", "");
    let message = live.next().unwrap();
    assert_eq!((&*message.event, message.id), ("unknown_token", None));
    let told = |data: &Value| json!([data["token"], data["events"], data["from"]]);
    assert_eq!(told(&message.data), json!(["T0K", 1, "127.0.0.1:8000"]));
    assert!(
        message.data["since_ms"].as_i64().unwrap() <= message.data["last_ms"].as_i64().unwrap()
    );
    track(&server, "T0K", "https://shop.example");
    assert_eq!(
        told(&live.next().unwrap().data),
        json!(["T0K", 2, "shop.example"])
    );
}

#[test]
fn a_project_of_several_is_told_about_tokens_like_its_own() {
    let projects = vec![
        project("TOK", Model::Simplified),
        project("OTHER", Model::Simplified),
    ];
    let server = Running::with(projects, |_| {});
    track(&server, "OTHERS", "http://other.example");
    track(&server, "T0K", "http://shop.example");
    let mut live = Live::open(&server, "", "");
    assert_eq!(live.next().unwrap().data["token"], "T0K");
    track(&server, "TOKS", "http://shop.example");
    assert_eq!(live.next().unwrap().data["token"], "TOKS");
}
