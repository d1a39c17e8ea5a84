//! `where` of `/api/query/engage` and of the raw export.

use crate::support::{Answer, Running, SECRET};
use idmerge_engines::Model;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const USERS: u32 = 7_000;

fn get(server: &Running, path: &str, parameters: &[(&str, &str)]) -> Answer {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let secret = format!("Bearer {SECRET} of TOK");
    let path = format!("{path}?{}", query.finish());
    server.get(&path, &[("authorization", &secret)])
}

/// The plan of a user: every third one is on `pro`.
fn plan(user: u32) -> &'static str {
    match user % 3 {
        0 => "pro",
        _ => "free",
    }
}

/// A server with a profile for each of [`USERS`].
fn profiles() -> Running {
    let server = Running::of(Model::Simplified);
    let users: Vec<u32> = (0..USERS).collect();
    for users in users.chunks(1_000) {
        let updates = users.iter().map(|user| {
            json!({"$token": "TOK", "$distinct_id": format!("u{user:04}"),
                "$set": {"plan": plan(*user), "seats": user % 10}})
        });
        let body = Value::from(updates.collect::<Vec<_>>()).to_string();
        assert_eq!(server.post("/engage", JSON, &body).body, "1");
    }
    server
}

fn engage(server: &Running, parameters: &[(&str, &str)]) -> Value {
    let answer = get(server, "/api/query/engage", parameters);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn ids(page: &Value) -> Vec<String> {
    let results = page["results"].as_array().unwrap();
    let id = |profile: &Value| profile["$distinct_id"].as_str().unwrap().to_owned();
    results.iter().map(id).collect()
}

#[test]
fn the_profiles_that_an_expression_selects_come_in_pages() {
    let server = profiles();
    let filter = r#"properties["plan"] == "pro" and properties["seats"] >= 1"#;
    let wanted: Vec<String> = (0..USERS)
        .filter(|user| user % 3 == 0 && user % 10 >= 1)
        .map(|user| format!("u{user:04}"))
        .collect();
    let mut found = Vec::new();
    let first = engage(&server, &[("where", filter)]);
    let session = first["session_id"].as_str().unwrap().to_owned();
    for page in 0..4 {
        let number = page.to_string();
        let parameters = [
            ("where", filter),
            ("page", &number),
            ("session_id", &session),
        ];
        let answer = engage(&server, &parameters);
        assert_eq!(answer["total"], wanted.len());
        let ids = ids(&answer);
        assert_eq!(ids.len(), [1_000, 1_000, wanted.len() - 2_000, 0][page]);
        found.extend(ids);
    }
    assert_eq!(found, wanted);
    // Another expression in the same session, and none.
    let free = [
        ("where", r#"user["plan"] == "free""#),
        ("session_id", &*session),
    ];
    assert_eq!(engage(&server, &free)["total"], USERS - USERS.div_ceil(3));
    assert_eq!(
        engage(&server, &[("session_id", &*session)])["total"],
        USERS
    );
    // Nobody is selected: no page has a profile.
    let nobody = engage(&server, &[("where", r#"properties["plan"] == "team""#)]);
    assert_eq!((ids(&nobody).len(), &nobody["total"]), (0, &json!(0)));
}

#[test]
fn an_expression_selects_among_the_profiles_of_ids() {
    let server = profiles();
    let parameters = [
        ("distinct_ids", r#"["u0003","u0004","u0006","nobody"]"#),
        ("where", r#"properties["plan"] == "pro""#),
        ("output_properties", r#"["seats"]"#),
    ];
    let answer = engage(&server, &parameters);
    assert_eq!(ids(&answer), ["u0003", "u0006"]);
    assert_eq!(answer["total"], 2);
    assert_eq!(answer["results"][0]["$properties"], json!({"seats": 3}));
}

#[test]
fn the_profiles_of_groups_are_listed_by_their_key() {
    let server = Running::of(Model::Simplified);
    let groups = (0..1_500).map(|at| {
        let key = ["company", "compan", "team"][at % 3];
        json!({"$token": "TOK", "$group_key": key, "$group_id": format!("g{at:04}"), "$set": {"at": at}})
    });
    let body = Value::from(groups.collect::<Vec<_>>()).to_string();
    assert_eq!(server.post("/groups", JSON, &body).body, "1");
    for (first, key) in ["company", "compan", "team", "nothing"]
        .into_iter()
        .enumerate()
    {
        let wanted: Vec<String> = match key {
            "nothing" => Vec::new(),
            _ => (first..1_500)
                .step_by(3)
                .map(|at| format!("g{at:04}"))
                .collect(),
        };
        let listed = engage(&server, &[("data_group_id", key)]);
        assert_eq!(
            (ids(&listed), &listed["total"]),
            (wanted.clone(), &json!(wanted.len()))
        );
        let late = [
            ("data_group_id", key),
            ("where", r#"properties["at"] >= 1490"#),
        ];
        let late = ids(&engage(&server, &late));
        let wanted: Vec<&String> = wanted.iter().filter(|id| id.as_str() >= "g1490").collect();
        assert_eq!(late.iter().collect::<Vec<_>>(), wanted);
    }
    let parameters = [
        ("data_group_id", "team"),
        ("distinct_ids", r#"["g0002","g0003","x"]"#),
    ];
    let found = engage(&server, &parameters);
    assert_eq!(ids(&found), ["g0002"]);
    assert_eq!(found["results"][0]["$properties"]["at"], 2);
    // They are no users.
    assert_eq!(engage(&server, &[])["total"], 0);
}

#[test]
fn an_expression_selects_events_to_export() {
    let server = Running::of(Model::Simplified);
    let events = (0..9).map(|at| {
        json!({"event": "A", "properties": {"token": "TOK", "distinct_id": "u", "$user_id": "u",
            "time": 1_700_000_000 + at, "plan": plan(at), "at": at}})
    });
    let body = Value::from(events.collect::<Vec<_>>()).to_string();
    assert_eq!(server.post("/track", JSON, &body).body, "1");
    let days = [("from_date", "2023-01-01"), ("to_date", "2023-12-31")];
    let export = |parameters: &[(&str, &str)]| -> Vec<u64> {
        let answer = get(&server, "/api/2.0/export", &[&days, parameters].concat());
        assert_eq!(answer.status, 200, "{answer:?}");
        let at = |line: &str| -> u64 {
            let event: Value = serde_json::from_str(line).unwrap();
            event["properties"]["at"].as_u64().unwrap()
        };
        answer.body.lines().map(at).collect()
    };
    let pro = ("where", r#"properties["plan"] == "pro""#);
    assert_eq!(export(&[pro]), [0, 3, 6]);
    // The limit counts what is selected.
    assert_eq!(export(&[pro, ("limit", "2")]), [0, 3]);
    assert_eq!(export(&[pro, ("limit", "3")]), [0, 3, 6]);
    assert_eq!(export(&[pro, ("limit", "0")]), Vec::<u64>::new());
    assert_eq!(export(&[("limit", "2")]), [0, 1]);
    assert_eq!(
        export(&[("where", r#"not defined(properties["at"])"#)]),
        Vec::<u64>::new()
    );
    assert_eq!(export(&[("where", "")]).len(), 9);
}

#[test]
fn an_expression_that_cannot_be_read_says_where() {
    let server = Running::of(Model::Simplified);
    for (path, days) in [
        ("/api/query/engage", &[][..]),
        (
            "/api/2.0/export",
            &[("from_date", "2023-01-01"), ("to_date", "2023-12-31")],
        ),
    ] {
        let parameters = [days, &[("where", r#"properties["plan"] = "pro""#)]].concat();
        let answer = get(&server, path, &parameters);
        assert_eq!(answer.status, 400, "{answer:?}");
        let long = format!("{}true", "true and ".repeat(10_000));
        let parameters = [days, &[("where", &*long)]].concat();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&parameters);
        let form = form.finish();
        if path == "/api/query/engage" {
            let secret = format!("Bearer {SECRET} of TOK");
            let headers = [
                ("authorization", &*secret),
                ("content-type", "application/x-www-form-urlencoded"),
            ];
            let refused = server.send("POST", path, &headers, form.as_bytes());
            assert_eq!(
                refused.json()["error"],
                "where has 90004 bytes; give at most 65536"
            );
        }
        assert_eq!(
            answer.json()["error"],
            r#"where: the expression cannot have `= "pro"` there; give an operator, such as ==, in, and, or; or nothing"#
        );
    }
}
