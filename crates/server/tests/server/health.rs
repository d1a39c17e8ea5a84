//! `/v1/health`, with the truth counted by hand from what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Running, SECRET};
use idmerge_engines::Model;
use serde_json::{Value, json};

const DAY_S: u64 = 24 * 60 * 60;

fn device(number: u64) -> String {
    format!("5f1ed002-ab5e-4c1d-9bd1-{number:012}")
}

/// The health of a server, which has log-ins of these users on these devices, so many seconds ago.
fn health(model: Model, log_ins: &[(u64, &str, u64)]) -> (Running, Value) {
    let server = Running::of(model);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Any event with both IDs joins them in Simplified, and `$identify` in Original.
    let name = match model {
        Model::Simplified => "Log In",
        _ => "$identify",
    };
    let events = log_ins.iter().map(|(number, user, seconds_ago)| {
        let device = device(*number);
        json!({"event": name, "properties": {
            "token": "TOK", "distinct_id": user, "$user_id": user, "$device_id": device,
            "$identified_id": user, "$anon_id": device, "$anon_distinct_id": device,
            "time": now.as_secs() - seconds_ago,
        }})
    });
    // One request each: events of one request are ordered by their times.
    for event in events {
        let answer = server.post("/track", "application/json", &json!([event]).to_string());
        assert_eq!(answer.body, "1");
    }
    let health = get(&server);
    (server, health)
}

fn get(server: &Running) -> Value {
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get("/v1/health", &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn total(health: &Value, kind: &str) -> u64 {
    let days = health["days"].as_array().unwrap();
    assert_eq!(days.len(), 14);
    days.iter().map(|day| day[kind].as_u64().unwrap()).sum()
}

#[test]
fn shared_devices_and_missing_resets_are_counted() {
    for model in [Model::Simplified, Model::Original] {
        let (_server, health) = health(
            model,
            &[
                // Before the last 14 days: in no day, and still a device that was shared.
                (1, "ada", 20 * DAY_S),
                (1, "eve", 19 * DAY_S),
                (2, "ben", 3_000),
                (2, "cat", 2_950),
                (2, "dan", 1_000),
                (3, "eve", 500),
            ],
        );
        assert_eq!(total(&health, "merges"), 2, "{model:?}");
        assert_eq!(total(&health, "rejections"), 2, "{model:?}");
        assert_eq!(health["shared_devices"], 2);
        // Fifty seconds after ben came cat. Eve came a day after ada.
        assert_eq!(health["missing_resets"], 1);
        let examples = health["shared_device_examples"].as_array().unwrap();
        assert!(
            examples[0]["distinct_id"]
                .as_str()
                .unwrap()
                .ends_with(&device(2))
        );
        assert_eq!(examples[0]["holder"]["distinct_id"], "ben");
        let others =
            json!([{"distinct_id": "cat", "name": null}, {"distinct_id": "dan", "name": null}]);
        assert_eq!(examples[0]["others"], others);
        assert_eq!(examples[1]["holder"]["distinct_id"], "ada");
    }
}

#[test]
fn large_users_refused_ids_and_unknown_tokens_are_named() {
    let log_ins: Vec<_> = (0..99).map(|number| (number, "robot", 1_000)).collect();
    let (server, health) = health(Model::Simplified, &log_ins);
    assert_eq!(
        health["large_users"],
        json!([{"distinct_id": "robot", "name": null, "ids": 100}])
    );
    assert_eq!(health["max_cluster_ids"], Value::Null);
    assert_eq!(health["refused"], json!({}));
    assert_eq!(health["unknown_tokens"], json!([]));
    let commits = &health["commits"];
    assert_eq!(
        (&commits["failure"], &commits["waiting"]),
        (&Value::Null, &json!(0))
    );
    assert!(commits["count"].as_u64().unwrap() >= 99);

    let junk = json!([{"event": "A", "properties": {"token": "TOK", "distinct_id": "undefined", "$user_id": "undefined"}}]);
    server.post("/track", "application/json", &junk.to_string());
    let mistyped = json!([{"event": "A", "properties": {"token": "T0K", "distinct_id": "ada"}}]);
    server.post("/track", "application/json", &mistyped.to_string());
    let health = get(&server);
    assert_eq!(health["refused"]["ID-4"], 1, "{health}");
    assert_eq!(health["unknown_tokens"][0]["token"], "T0K");
    assert_eq!(health["unknown_tokens"][0]["events"], 1);
}

#[test]
fn an_empty_project_is_well() {
    let (_server, health) = health(Model::Legacy, &[]);
    assert_eq!(health["entries"], 0);
    assert_eq!(total(&health, "merges"), 0);
    assert_eq!(health["large_users"], json!([]));
}

/// What a fold over all events says, by the rules S-7 and O-11: a device stays with the first user.
#[derive(Default)]
struct Truth {
    holders: BTreeMap<u64, &'static str>,
    /// The users that were claimed for each device, in order, with the time.
    claimed: BTreeMap<u64, Vec<(&'static str, u64)>>,
    /// Merges and rejections by day.
    days: BTreeMap<u64, (u64, u64)>,
    resets: BTreeSet<u64>,
}

impl Truth {
    fn add(&mut self, device: u64, user: &'static str, time_s: u64) {
        let claimed = self.claimed.entry(device).or_default();
        if claimed.iter().any(|(other, _)| *other == user) {
            return;
        }
        let before = claimed.last().copied();
        claimed.push((user, time_s));
        let day = self.days.entry(time_s / DAY_S).or_default();
        if *self.holders.entry(device).or_insert(user) == user {
            day.0 += 1;
            return;
        }
        day.1 += 1;
        if before.is_some_and(|(_, before_s)| time_s.abs_diff(before_s) <= 60) {
            self.resets.insert(device);
        }
    }
}

fn import(server: &Running, events: &[Value]) {
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let body = json!(events).to_string();
    let answer = server.send("POST", "/import?strict=0", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn the_figures_are_those_of_a_fold_over_all_events() {
    const USERS: [&str; 5] = ["ada", "ben", "cat", "dan", "eve"];
    let server = Running::of(Model::Simplified);
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut state = 7_u64;
    let mut below = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut truth = Truth::default();
    let mut events = Vec::new();
    let mut time_s = now_s - 30 * DAY_S;
    // Some follow on the same device within seconds, others elsewhere after hours, for thirty days.
    let mut number = 0;
    while time_s < now_s {
        let user = USERS[usize::try_from(below(5)).unwrap()];
        truth.add(number, user, time_s);
        events.push(json!({"event": "Log In", "properties": {
            "time": time_s, "$insert_id": format!("i{}", events.len()), "distinct_id": user,
            "$user_id": user, "$device_id": device(number),
        }}));
        time_s += match below(2) {
            0 => 1 + below(90),
            _ => {
                number = below(60);
                below(12 * 3_600)
            }
        };
    }

    for part in events.chunks(1_000) {
        import(&server, part);
    }

    let health = get(&server);
    let days = health["days"].as_array().unwrap();
    for day in days {
        let number = day["day_ms"].as_u64().unwrap() / 1_000 / DAY_S;
        let (merges, rejections) = truth.days.get(&number).copied().unwrap_or_default();
        assert_eq!(day["merges"], merges, "{day}");
        assert_eq!(day["rejections"], rejections, "{day}");
    }
    assert!(total(&health, "rejections") > 0, "{health}");
    let shared = truth.claimed.values().filter(|users| users.len() > 1);
    assert_eq!(health["shared_devices"], shared.count());
    assert!(!truth.resets.is_empty());
    assert_eq!(health["missing_resets"], truth.resets.len());
    let claims: usize = truth.claimed.values().map(Vec::len).sum();
    assert_eq!(health["entries"], claims);
    for example in health["shared_device_examples"].as_array().unwrap() {
        let id = example["distinct_id"].as_str().unwrap();
        let number = id.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(example["holder"]["distinct_id"], truth.holders[&number]);
        let others: BTreeSet<_> = truth.claimed[&number][1..]
            .iter()
            .map(|(user, _)| *user)
            .collect();
        let listed: Vec<_> = example["others"].as_array().unwrap().iter().collect();
        let wanted: Vec<_> = others.iter().take(3).collect();
        assert_eq!(listed.len(), wanted.len(), "{example}");
        for (listed, wanted) in listed.iter().zip(wanted) {
            assert_eq!(listed["distinct_id"], **wanted);
        }
    }
}

#[test]
fn a_user_with_many_aliases_or_merges_is_large() {
    for (model, name, least) in [
        (Model::Legacy, "$create_alias", 100),
        (Model::Original, "$merge", 450),
    ] {
        let server = Running::of(model);
        let events: Vec<_> = (1..least)
            .map(|number| {
                let other = format!("robot-{number}");
                json!({"event": name, "properties": {
                    "time": 1_700_000_000 + number, "$insert_id": format!("i{number}"),
                    "distinct_id": "robot", "alias": other, "$distinct_ids": ["robot", other],
                }})
            })
            .collect();
        import(&server, &events[1..]);
        assert_eq!(get(&server)["large_users"], json!([]), "{model:?}");
        import(&server, &events[..1]);
        let health = get(&server);
        assert_eq!(
            health["large_users"],
            json!([{"distinct_id": "robot", "name": null, "ids": least}]),
            "{model:?}"
        );
    }
}

#[test]
fn a_time_that_no_calendar_has_is_in_no_day() {
    let server = Running::of(Model::Simplified);
    for (number, time) in [json!(-9.0e15), json!(i64::MIN), json!(1), json!(9.0e15)]
        .iter()
        .enumerate()
    {
        let event = json!([{"event": "A", "properties": {"token": "TOK", "time": time,
            "$device_id": format!("d{number}"), "$user_id": "ada", "distinct_id": "ada"}}]);
        server.post("/track", "application/json", &event.to_string());
    }
    assert_eq!(get(&server)["days"].as_array().unwrap().len(), 14);
}
