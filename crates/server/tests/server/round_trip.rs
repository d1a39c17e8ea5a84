//! Rule AR-4: an export of a project is an import of another, strict, and twice without duplicates.

use crate::support::{Answer, Running, SECRET, project};
use idmerge_core::IdentityResolverExt;
use idmerge_engines::{Engine, Model, Settings};
use idmerge_events::JsonEvent;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The texts that events carry as IDs.
const IDS: &[&str] = &[
    "U1",
    "U2",
    "U3",
    "a0000000-0000-4000-8000-000000000001",
    "a0000000-0000-4000-8000-000000000002",
    "a0000000-0000-4000-8000-000000000003",
    "$device:a0000000-0000-4000-8000-000000000001",
    "$device:a0000000-0000-4000-8000-000000000002",
];

const TWO_PREFIXES: &str = "$device:$device:U1";

/// An event, and how it is sent.
#[derive(Clone, Debug)]
struct Sent {
    event: Value,
    /// Whether it is sent to `/import`, with a credential.
    is_imported: bool,
    /// How often it is sent.
    times: usize,
}

impl Sent {
    fn name(&self) -> &str {
        self.event["event"].as_str().unwrap()
    }

    /// A `$merge` without a credential is stored and not weighed.
    fn is_forged(&self) -> bool {
        self.name() == "$merge" && !self.is_imported
    }

    fn is_identity_event(&self) -> bool {
        self.name().starts_with('$')
    }

    fn has_insert_id(&self) -> bool {
        let properties = &self.event["properties"];
        let ids = [
            &properties["$insert_id"],
            &properties["$mp_metadata"],
            &self.event["$mp_metadata"],
        ];
        ids.iter().any(|id| !id.is_null())
    }
}

const MODELS: [Model; 3] = [Model::Simplified, Model::Original, Model::Legacy];

/// The projects that exports are imported into: `SAME` is of the model that is exported.
fn copies(model: Model) -> [(&'static str, Model); 3] {
    let others: Vec<Model> = MODELS.into_iter().filter(|it| *it != model).collect();
    [("SAME", model), ("OTHER", others[0]), ("THIRD", others[1])]
}

/// A server with an empty project for each model, besides the one that the events are sent to.
fn server(model: Model) -> Running {
    let copies = copies(model).map(|(token, model)| project(token, model));
    let projects = [project("TOK", model)].into_iter().chain(copies).collect();
    Running::with(projects, |_| {})
}

fn import(server: &Running, token: &str, lines: &str) -> Answer {
    let secret = format!("Bearer {SECRET} of {token}");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/x-ndjson"),
    ];
    server.send("POST", "/import?strict=1", &headers, lines.as_bytes())
}

fn export_with(server: &Running, token: &str, query: &str) -> String {
    let secret = format!("Bearer {SECRET} of {token}");
    let path = format!("/api/2.0/export?from_date=0001-01-01&to_date=9998-12-31{query}");
    let answer = server.get(&path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn export(server: &Running, token: &str) -> String {
    export_with(server, token, "")
}

fn track(server: &Running, event: &Value) {
    let answer = server.post("/track", "application/json", &event.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Sends an event as often as it says.
fn send(server: &Running, sent: &Sent) {
    for _ in 0..sent.times {
        if sent.is_imported {
            let secret = format!("Bearer {SECRET} of TOK");
            let headers = [
                ("authorization", &*secret),
                ("content-type", "application/json"),
            ];
            let body = json!([sent.event]).to_string();
            server.send("POST", "/import?strict=0", &headers, body.as_bytes());
        } else {
            track(server, &sent.event);
        }
    }
}

/// What a plain engine of a model makes of the events, each taken once.
fn engine_after(model: Model, events: &[&Sent]) -> Engine {
    let mut engine = Settings::of(model).engine();
    for sent in events.iter().filter(|sent| !sent.is_forged()) {
        let text = sent.event.to_string();
        let event = JsonEvent::parse_text(&text).unwrap();
        // A refused event changes nothing.
        let _refused = engine.apply_event(&event.event()).is_err();
    }
    engine
}

fn takes(model: Model, sent: &Sent) -> bool {
    let text = sent.event.to_string();
    let event = JsonEvent::parse_text(&text).unwrap();
    Settings::of(model).read(&event.event()).is_ok()
}

/// Every ID has the canonical ID and the cluster that the engine gives it.
fn assert_state(server: &Running, token: &str, model: Model, engine: &Engine) {
    let settings = Settings::of(model);
    for text in IDS {
        let id = settings.read_id(text).unwrap();
        let canonical = engine.resolve(id).to_string();
        let members: Vec<_> = match engine.cluster(id) {
            Some(cluster) => cluster.members.iter().map(ToString::to_string).collect(),
            None => vec![id.to_string()],
        };
        let found = server.identity(token, text);
        assert_eq!(found.0, canonical, "{text} in {token}, {model}");
        let found = match &found.1[..] {
            [] => vec![id.to_string()],
            found => found.to_vec(),
        };
        assert_eq!(found, members, "{text} in {token}, {model}");
    }
}

/// The lines of an export without what differs between projects: how an event arrived.
fn comparable(lines: &str) -> Vec<Value> {
    let of_arrival = [
        "$import",
        "$mp_api_endpoint",
        "$mp_api_timestamp_ms",
        "mp_processing_time_ms",
    ];
    let event = |line: &str| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        let properties = event["properties"].as_object_mut().unwrap();
        properties.retain(|key, _| !of_arrival.contains(&&**key));
        event
    };
    lines.lines().map(event).collect()
}

/// Sends the events to a project of a model, exports it with these parameters, and imports the export
/// into projects of all models, twice.
fn assert_round_trip(model: Model, all: &[Sent], parameters: &str) {
    let server = server(model);
    for sent in all {
        send(&server, sent);
    }
    let stored = stored(model, all);
    let exported = export_with(&server, "TOK", parameters);
    assert_eq!(exported.lines().count(), stored.len());
    assert_state(&server, "TOK", model, &engine_after(model, &stored));
    for (token, to) in copies(model) {
        let refused = stored.iter().filter(|sent| !takes(to, sent)).count();
        for _ in 0..2 {
            if exported.is_empty() {
                continue;
            }
            let answer = import(&server, token, &exported);
            let failed = answer.json()["failed_records"]
                .as_array()
                .map_or(0, Vec::len);
            assert!(failed <= refused, "{answer:?}");
            assert_eq!(answer.status == 200, failed == 0, "{answer:?}");
            let lines = export(&server, token).lines().count();
            assert_eq!(lines, stored.len() - failed);
            assert_state(&server, token, to, &engine_after(to, &stored));
        }
    }
    // The export of the copy is the same, but for how the events arrived.
    let (first, copy) = (export(&server, "TOK"), export(&server, "SAME"));
    assert_eq!(comparable(&copy), comparable(&first));
}

/// The events that a project of this model stores, each as often as it does.
fn stored(model: Model, all: &[Sent]) -> Vec<&Sent> {
    let is_stored = |sent: &&Sent| {
        // The vendor's 400.
        let is_refused = sent.is_imported && sent.is_identity_event();
        takes(model, sent) && !(model == Model::Simplified && is_refused)
    };
    let copies = |sent: &Sent| if sent.has_insert_id() { 1 } else { sent.times };
    let stored = all.iter().filter(is_stored);
    stored.flat_map(|sent| vec![sent; copies(sent)]).collect()
}

fn any_id() -> impl Strategy<Value = &'static str> {
    prop::sample::select(IDS)
}

/// An ID, or nothing, or something that is not an ID.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => any_id().prop_map(Value::from),
        3 => Just(Value::Null),
        1 => prop::sample::select(&["", "null", "$device:", TWO_PREFIXES]).prop_map(Value::from),
        1 => Just(json!(1.5)),
    ]
}

fn any_time() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (1_700_000_000..1_700_000_003_i64).prop_map(Value::from),
        2 => (1_700_000_000_000..1_700_000_001_500_i64).prop_map(Value::from),
        1 => Just(json!(1_700_000_000.25)),
        1 => prop::sample::select(&[0_i64, 5, -86_400, 99_999_999_999, 253_000_000_000_000, 4_102_444_800])
            .prop_map(Value::from),
    ]
}

/// An event without an `$insert_id`.
fn any_event() -> impl Strategy<Value = (Value, bool)> {
    let name = prop::sample::select(&[
        "View",
        "View",
        "View",
        "$identify",
        "$identify",
        "$create_alias",
        "$create_alias",
        "$merge",
    ]);
    // Original has no form for a device ID that begins with the prefix itself (O-1), so it refuses an
    // event whose own ID in Simplified is one.
    let is_other = |value: &Value| *value != json!(TWO_PREFIXES);
    let reserved = || any_value().prop_filter("two prefixes", is_other);
    let ids = (any_value(), reserved(), reserved(), any_id(), any_id());
    (name, ids, any_time(), any::<bool>(), any::<bool>()).prop_map(
        |(name, ids, time, is_http, is_imported)| {
            let (distinct_id, user, device, first, second) = ids;
            let mut properties = Map::new();
            let mut set = |key: &str, value: Value| {
                if !value.is_null() {
                    properties.insert(key.to_owned(), value);
                }
            };
            set("token", json!("TOK"));
            set("time", time);
            set("distinct_id", distinct_id);
            set("$user_id", user);
            set("$device_id", device);
            match name {
                "$identify" if is_http => {
                    set("$identified_id", json!(first));
                    set("$anon_id", json!(second));
                }
                "$identify" => set("$anon_distinct_id", json!(second)),
                "$create_alias" => set("alias", json!(second)),
                "$merge" => set("$distinct_ids", json!([first, second])),
                _ => {}
            }
            (
                json!({"event": name, "properties": properties}),
                is_imported,
            )
        },
    )
}

/// Events with unique insert IDs, or with none; those with one may be sent again.
fn any_events() -> impl Strategy<Value = Vec<Sent>> {
    let sent = (any_event(), 0..4_u8, 1..3_usize);
    prop::collection::vec(sent, 0..14).prop_map(|sent| {
        let sent = sent.into_iter().enumerate();
        sent.map(|(number, ((mut event, is_imported), form, times))| {
            let id = format!("insert-{number}");
            match form {
                0 => {}
                1 => event["$mp_metadata"] = json!({"$mp_event_id": id}),
                2 => event["properties"]["$mp_metadata"] = json!({"$mp_event_id": id}),
                _ => event["properties"]["$insert_id"] = json!(id),
            }
            // `/import` asks ordinary events for a distinct_id.
            let has_id = !event["properties"]["distinct_id"].is_null();
            let is_identity_event = event["event"] != "View";
            Sent {
                event,
                is_imported: is_imported && (has_id || is_identity_event),
                times,
            }
        })
        .collect()
    })
}

proptest! {
    // A case sends some hundred requests.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.div_ceil(16),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Law 10, between projects of all models. The truth is a plain engine over the events as they
    /// were sent.
    #[test]
    fn law_10_an_export_is_an_import_of_another_project(
        events in any_events(),
        parameters in prop::sample::select(&["", "", "&time_in_ms=true", "&distinct_id=as_sent"]),
    ) {
        for model in MODELS {
            assert_round_trip(model, &events, parameters);
        }
    }
}

const DEVICE: &str = "$device:a0000000-0000-4000-8000-000000000001";
const BARE: &str = "a0000000-0000-4000-8000-000000000001";

/// An event with a token, an insert ID and a time with milliseconds.
fn event(name: &str, number: u64, mut properties: Value) -> Value {
    properties["token"] = json!("TOK");
    properties["$insert_id"] = json!(format!("insert-{number}"));
    properties["time"] = json!(1_700_000_000.25 + f64::from(u32::try_from(number).unwrap()));
    json!({"event": name, "properties": properties})
}

fn members(server: &Running, token: &str, id: &str) -> Vec<String> {
    server.identity(token, id).1
}

#[test]
fn ar_4_an_identity_event_of_an_export_is_stored_and_counted_in_simplified() {
    let server = server(Model::Simplified);
    let login = json!({"distinct_id": "U1", "$user_id": "U1", "$device_id": BARE});
    let identify = json!({"distinct_id": "U1", "$user_id": "U1", "$device_id": BARE, "$anon_distinct_id": DEVICE});
    track(&server, &event("$identify", 1, identify.clone()));
    track(&server, &event("Login", 2, login));
    let exported = export(&server, "TOK");
    for _ in 0..2 {
        let answer = import(&server, "SAME", &exported);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["num_records_imported"], 2);
    }
    assert_eq!(members(&server, "SAME", DEVICE), ["U1", DEVICE]);
    assert_eq!(export(&server, "SAME").lines().count(), 2);
    // Without the property that a server adds, the whole request fails, as at the vendor.
    let mixed = format!("{exported}{}", event("$identify", 3, identify));
    let answer = import(&server, "SAME", &mixed);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(
        answer.body.contains("identity events are not allowed"),
        "{answer:?}"
    );
}

#[test]
fn ar_4_a_forged_merge_stays_unweighed() {
    for model in MODELS {
        let server = server(model);
        track(
            &server,
            &event("$merge", 1, json!({"$distinct_ids": ["U1", "U2"]})),
        );
        // An untrusted sender may set the mark, and denies only its own event.
        let marked = json!({"distinct_id": "U1", "alias": "U3", "$idmerge_unweighed": true});
        track(&server, &event("$create_alias", 2, marked));
        let exported = export(&server, "TOK");
        for (token, _) in copies(model) {
            assert_eq!(import(&server, token, &exported).status, 200);
            let again = export(&server, token);
            assert_eq!(
                again.matches(r#""$idmerge_unweighed":true"#).count(),
                2,
                "{again}"
            );
            for id in ["U1", "U2", "U3"] {
                assert_eq!(members(&server, token, id), [id], "{token} of {model}");
            }
        }
    }
}

#[test]
fn ar_4_an_export_that_is_imported_into_its_own_project_adds_nothing() {
    let server = server(Model::Original);
    let events = [
        event(
            "View",
            1,
            json!({"distinct_id": DEVICE, "title": "\u{1f354}"}),
        ),
        event(
            "$create_alias",
            2,
            json!({"distinct_id": "A", "alias": "B"}),
        ),
        event(
            "$identify",
            3,
            json!({"distinct_id": "U1", "$anon_distinct_id": DEVICE}),
        ),
        event(
            "$create_alias",
            4,
            json!({"distinct_id": "U1", "alias": "A"}),
        ),
        // Rejected (O-11)
        event(
            "$identify",
            5,
            json!({"$identified_id": "U2", "$anon_id": BARE}),
        ),
        event("$merge", 6, json!({"$distinct_ids": ["U1", "U3"]})),
        event(
            "View",
            7,
            json!({"distinct_id": "B", "list": [1.0, {"a": null}]}),
        ),
    ];
    for (number, event) in events.into_iter().enumerate() {
        let is_imported = number % 2 == 1;
        send(
            &server,
            &Sent {
                event,
                is_imported,
                times: 1,
            },
        );
    }
    let exported = export(&server, "TOK");
    assert!(
        exported.contains(r#""$distinct_id_before_identity":"A""#),
        "{exported}"
    );
    assert!(exported.contains(r#""$failure_reason":"#), "{exported}");
    // As a program writes it that has parsed it.
    let respelled: String = exported
        .lines()
        .map(|line| format!("{}\n", serde_json::from_str::<Value>(line).unwrap()))
        .collect();
    for lines in [&exported, &exported, &respelled] {
        let answer = import(&server, "TOK", lines);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(export(&server, "TOK"), exported);
        assert_eq!(members(&server, "TOK", "B"), ["A", "B", "U1", BARE, "U3"]);
    }
}

#[test]
fn ar_2_an_unweighed_event_of_an_export_does_not_keep_the_imported_one_out() {
    let server = server(Model::Original);
    let merge = event("$merge", 1, json!({"$distinct_ids": ["U1", "U2"]}));
    track(&server, &merge);
    let exported = export(&server, "TOK");
    assert_eq!(import(&server, "TOK", &exported).status, 200);
    assert_eq!(members(&server, "TOK", "U1"), ["U1"]);
    send(
        &server,
        &Sent {
            event: merge,
            is_imported: true,
            times: 1,
        },
    );
    assert_eq!(members(&server, "TOK", "U1"), ["U1", "U2"]);
    assert!(!export(&server, "TOK").contains("unweighed"));
}

#[test]
fn an_export_as_sent_has_the_own_ids() {
    let server = server(Model::Simplified);
    track(&server, &event("View", 1, json!({"$device_id": BARE})));
    track(
        &server,
        &event("Login", 2, json!({"$device_id": BARE, "$user_id": "U1"})),
    );
    let ids = |lines: &str| {
        let of = |event: &Value| {
            let properties = &event["properties"];
            (
                properties["distinct_id"].as_str().unwrap().to_owned(),
                properties["$distinct_id_before_identity"]
                    .as_str()
                    .map(str::to_owned),
            )
        };
        comparable(lines).iter().map(of).collect::<Vec<_>>()
    };
    let id = str::to_owned;
    assert_eq!(
        ids(&export(&server, "TOK")),
        [(id("U1"), Some(id(DEVICE))), (id("U1"), None)]
    );
    let as_sent = export_with(&server, "TOK", "&distinct_id=as_sent");
    assert_eq!(ids(&as_sent), [(id(DEVICE), None), (id("U1"), None)]);
    let secret = format!("Bearer {SECRET} of TOK");
    let wrong = "/api/2.0/export?from_date=2023-01-01&to_date=2023-12-31&distinct_id=sent";
    let answer = server.get(wrong, &[("authorization", &secret)]);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("canonical or as_sent"), "{answer:?}");
}
