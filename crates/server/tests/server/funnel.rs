//! `/v1/funnel`, with figures worked out by hand from rules F-3 to F-9.

use crate::support::{Running, SECRET};
use idmerge_engines::Model;
use serde_json::{Value, json};

const DAY_S: i64 = 24 * 60 * 60;

/// An event: the user, the name, the time in seconds, the plan.
type Sent = (&'static str, &'static str, i64, &'static str);

fn server(events: &[Sent]) -> Running {
    let server = Running::of(Model::Simplified);
    let events = events.iter().map(|(user, event, time, plan)| {
        json!({
            "event": event,
            "properties": {"token": "TOK", "distinct_id": user, "$user_id": user, "time": time, "plan": plan},
        })
    });
    let body = Value::from(events.collect::<Vec<_>>()).to_string();
    assert_eq!(server.post("/track", "application/json", &body).body, "1");
    server
}

fn funnel(server: &Running, parameters: &[(&str, &str)]) -> Value {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let secret = format!("Bearer {SECRET} of TOK");
    let path = format!("/v1/funnel?{}", query.finish());
    let answer = server.get(&path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The users at each step of a funnel from A to B.
fn users(server: &Running, parameters: &[(&str, &str)]) -> Vec<u64> {
    let steps = [("steps", r#"["A","B"]"#)];
    let answer = funnel(server, &[&steps, parameters].concat());
    let steps = answer["steps"].as_array().unwrap();
    steps
        .iter()
        .map(|step| step["users"].as_u64().unwrap())
        .collect()
}

#[test]
fn f_9_the_first_event_opens_the_only_entry_unless_each_does() {
    let server = server(&[
        ("u", "A", 0, ""),
        ("u", "A", 10 * DAY_S, ""),
        ("u", "B", 12 * DAY_S, ""),
    ]);
    // Seven days unless changed.
    assert_eq!(users(&server, &[]), [1, 0]);
    assert_eq!(users(&server, &[("reentry", "first")]), [1, 0]);
    assert_eq!(users(&server, &[("reentry", "optimized")]), [1, 1]);
    assert_eq!(users(&server, &[("window_days", "12")]), [1, 1]);
    assert_eq!(users(&server, &[("window_days", "11")]), [1, 0]);
    assert_eq!(users(&server, &[("window_ms", "1036800000")]), [1, 1]);
    assert_eq!(users(&server, &[("window_ms", "1036799999")]), [1, 0]);
    assert_eq!(users(&server, &[("count", "uniques")]), [1, 0]);
    assert_eq!(users(&server, &[("count", "totals")]), [2, 1]);
    // The entry opens in the range of dates, and B is after it.
    let late = [("from_date", "1970-01-11"), ("to_date", "1970-01-11")];
    assert_eq!(users(&server, &late), [1, 1]);
}

#[test]
fn f_9_steps_within_the_grace_count_in_either_order() {
    let server = server(&[("u", "B", DAY_S, ""), ("u", "A", DAY_S + 1, "")]);
    assert_eq!(users(&server, &[]), [1, 1]);
    assert_eq!(users(&server, &[("grace_ms", "1000")]), [1, 1]);
    assert_eq!(users(&server, &[("grace_ms", "999")]), [1, 0]);
    assert_eq!(users(&server, &[("grace_ms", "0")]), [1, 0]);
}

#[test]
fn f_9_properties_are_held_and_events_end_an_entry() {
    let server = server(&[
        ("u", "A", 10, "free"),
        ("u", "X", 20, ""),
        ("u", "B", 30, "pro"),
        ("v", "A", 10, "pro"),
        ("v", "B", 20, "pro"),
        ("v", "X", 30, ""),
    ]);
    assert_eq!(users(&server, &[]), [2, 2]);
    assert_eq!(users(&server, &[("hold", r#"["plan"]"#)]), [2, 1]);
    assert_eq!(users(&server, &[("exclude", r#"["X"]"#)]), [2, 1]);
    let between = [("exclude", r#"[{"event":"X","between":[1,2]}]"#)];
    assert_eq!(users(&server, &between), [2, 1]);
    let conditions = [("exclude", r#"["X[plan == \"pro\"]"]"#)];
    assert_eq!(users(&server, &conditions), [2, 2]);
}

#[test]
fn f_9_a_step_has_conditions_and_all_figures() {
    let server = Running::of(Model::Simplified);
    let page = |properties: &str| {
        format!(r#"{{"event":"Page","properties":{{"token":"TOK",{properties}}}}}"#)
    };
    let body = [
        page(r#""distinct_id":"$device:d","$device_id":"d","time":10,"path":"/blog""#),
        page(r#""distinct_id":"u","$device_id":"d","$user_id":"u","time":14,"path":"/sign up""#),
        page(r#""distinct_id":"$device:e","$device_id":"e","time":10,"path":"/blog""#),
        page(r#""distinct_id":"$device:f","$device_id":"f","time":10,"path":"/home""#),
    ];
    let body = format!("[{}]", body.join(","));
    assert_eq!(server.post("/track", "application/json", &body).body, "1");
    let [first, second] = [r#"Page[path == "/blog"]"#, r#"Page[path == "/sign up"]"#];
    let steps = json!([first, second]).to_string();
    assert_eq!(
        funnel(&server, &[("steps", &steps)]),
        json!({"steps": [
            {
                "event": first,
                "users": 2,
                "conversion": 1.0,
                "conversion_from_previous": 1.0,
                "median_ms": null,
                "p90_ms": null,
                "users_without_merge": 2,
                "conversion_without_merge": 1.0,
                "difference": 0,
            },
            {
                "event": second,
                "users": 1,
                "conversion": 0.5,
                "conversion_from_previous": 0.5,
                "median_ms": 4_000,
                "p90_ms": 4_000,
                "users_without_merge": 0,
                "conversion_without_merge": 0.0,
                "difference": 1,
            },
        ]})
    );
}

#[test]
fn the_users_who_stopped_at_a_step_are_listed_in_order() {
    let server = server(&[
        ("u3", "A", 0, ""),
        ("u1", "A", 0, ""),
        ("u2", "A", 0, ""),
        ("u4", "A", 0, ""),
        ("u4", "B", 9, ""),
        ("u5", "B", 9, ""),
    ]);
    let steps = ("steps", r#"["A","B"]"#);
    let stopped = |most| funnel(&server, &[steps, ("stopped", most)])["stopped"].clone();
    assert_eq!(stopped("10"), json!([["u1", "u2", "u3"], ["u4"]]));
    assert_eq!(stopped("2"), json!([["u1", "u2"], ["u4"]]));
    assert_eq!(stopped("0"), Value::Null);
    assert_eq!(funnel(&server, &[steps])["stopped"], Value::Null);
}
