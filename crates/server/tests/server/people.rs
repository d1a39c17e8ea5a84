//! Lists of users, with the names, devices and figures that a person looks at. The truth is what was sent.

use crate::support;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::people::{Traffic, ask, encoded, pages, read, time_ms};
use crate::support::{Running, SECRET, project};
use idmerge_engines::Model;
use serde_json::{Value, json};

const MODELS: [Model; 3] = [Model::Simplified, Model::Original, Model::Legacy];

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key}: {value}"))
}

/// Checks a listed user against what was sent.
fn check(traffic: &Traffic, person: usize, user: &Value) {
    let events = traffic.events_of(person);
    let (first, last) = (events[0], events[events.len() - 1]);
    let who = format!("{} {person}: {user}", traffic.model);
    assert_eq!(user["distinct_id"], traffic.canonical(person), "{who}");
    assert_eq!(user["events"], events.len(), "{who}");
    assert_eq!(user["ids"], traffic.ids_of(person).len(), "{who}");
    assert_eq!(user["first_seen_ms"], time_ms(first), "{who}");
    assert_eq!(user["last_seen_ms"], time_ms(last), "{who}");
    assert_eq!(user["has_user_id"], traffic.people[person].logs_in, "{who}");
    let devices = user["devices"].as_array().unwrap().iter();
    let devices: BTreeSet<_> = devices.map(|device| text(device, "distinct_id")).collect();
    let used = if traffic.people[person].logs_in {
        traffic.people[person].devices.len()
    } else {
        1
    };
    let wanted: Vec<_> = (0..used)
        .map(|device| traffic.device_id(person, device))
        .collect();
    assert_eq!(
        devices,
        wanted.iter().map(String::as_str).collect(),
        "{who}"
    );
    for device in user["devices"].as_array().unwrap() {
        assert_eq!(
            (text(device, "label"), text(device, "kind")),
            ("Chrome on Mac", "laptop"),
            "{who}"
        );
    }
}

fn check_all(traffic: &Traffic, server: &Running) {
    let listed = pages(server, "/v1/users?limit=7", "users", &mut |page| {
        assert!(page["users"].as_array().unwrap().len() <= 7);
    });
    let wanted = traffic.newest_first(traffic.sent.len());
    let names: Vec<_> = listed
        .iter()
        .map(|user| text(user, "distinct_id").to_owned())
        .collect();
    let wanted_names: Vec<_> = wanted
        .iter()
        .map(|person| traffic.canonical(*person))
        .collect();
    assert_eq!(names, wanted_names, "{}", traffic.model);
    for (person, user) in wanted.into_iter().zip(&listed) {
        check(traffic, person, user);
    }
}

#[test]
fn users_are_listed_newest_seen_first_with_the_figures_of_what_was_sent() {
    for model in MODELS {
        let traffic = Traffic::new(model, 40, 4_000);
        let mut server = Running::of(model);
        traffic.send(&server, 0);
        check_all(&traffic, &server);
        // After a restart there is no index in memory but what was read from the disk.
        server.stop();
        let folder = server.folder.take().unwrap();
        let server = Running::in_folder(folder, vec![project("TOK", model)], |_| {});
        check_all(&traffic, &server);
        for person in (0..traffic.people.len()).step_by(3) {
            let mut sums = (0, BTreeSet::new());
            for id in traffic.ids_of(person) {
                let user = read(&server, &format!("/v1/users/{}", encoded(&id)));
                check(&traffic, person, &user);
                let path = format!("/v1/users/{}/ids?limit=2", encoded(&id));
                let ids = pages(&server, &path, "ids", &mut |page| {
                    assert_eq!(page["distinct_id"], traffic.canonical(person));
                });
                sums = (0, BTreeSet::new());
                for id in ids {
                    let own = text(&id, "distinct_id").to_owned();
                    let events: Vec<_> = traffic
                        .events_of(person)
                        .into_iter()
                        .filter(|at| traffic.sent[*at].own == own)
                        .collect();
                    assert_eq!(id["events"], events.len(), "{id}");
                    let seen =
                        [events.first(), events.last()].map(|at| json!(at.map(|at| time_ms(*at))));
                    assert_eq!(
                        [&id["first_seen_ms"], &id["last_seen_ms"]],
                        [&seen[0], &seen[1]],
                        "{id}"
                    );
                    assert_eq!(
                        id["device"].is_object(),
                        own != traffic.people[person].user,
                        "{id}"
                    );
                    sums.0 += events.len();
                    sums.1.insert(own);
                }
            }
            assert_eq!(
                sums,
                (traffic.events_of(person).len(), traffic.ids_of(person))
            );
        }
    }
}

#[test]
fn a_user_is_on_one_page_while_others_and_the_user_send_events() {
    let mut traffic = Traffic::new(Model::Simplified, 60, 1_000);
    let server = Running::of(Model::Simplified);
    traffic.send(&server, 0);
    let before = traffic.sent.len();
    let wanted: Vec<_> = traffic
        .newest_first(before)
        .into_iter()
        .map(|person| traffic.canonical(person))
        .collect();
    // One event of each after each page, of those that were listed and of those that are not yet.
    let listed = pages(&server, "/v1/users?limit=9", "users", &mut |_| {
        let from = traffic.sent.len();
        for person in (0..60).filter(|person| person % 4 != 3) {
            traffic.known(person, 0);
        }
        traffic.send(&server, from);
    });
    let listed: Vec<_> = listed
        .iter()
        .map(|user| text(user, "distinct_id").to_owned())
        .collect();
    assert_eq!(listed, wanted);
}

#[test]
fn the_list_is_right_while_somebody_writes_all_the_time() {
    let traffic = Traffic::new(Model::Original, 30, 600);
    let server = Running::of(Model::Original);
    traffic.send(&server, 0);
    let wanted: BTreeSet<_> = (0..30).map(|person| traffic.canonical(person)).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut more = Traffic::new(Model::Original, 30, 600);
            while !is_over.load(Ordering::Relaxed) {
                let from = more.sent.len();
                (0..30)
                    .filter(|person| person % 4 != 3)
                    .for_each(|person| more.known(person, 0));
                more.send(&server, from);
            }
        });
        for limit in [1, 4, 200] {
            let listed = pages(
                &server,
                &format!("/v1/users?limit={limit}"),
                "users",
                &mut |_| {},
            );
            let ids: Vec<_> = listed
                .iter()
                .map(|user| text(user, "distinct_id").to_owned())
                .collect();
            assert_eq!(ids.len(), 30, "{ids:?}");
            assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), wanted);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_merge_between_two_pages_lists_the_user_once() {
    let mut traffic = Traffic::new(Model::Simplified, 40, 500);
    let server = Running::of(Model::Simplified);
    traffic.send(&server, 0);
    // The devices of nobody belong to somebody who was on an earlier page, from now on.
    let mut joined = BTreeSet::new();
    let listed = pages(&server, "/v1/users?limit=5", "users", &mut |page| {
        let page = page["users"].as_array().unwrap();
        let Some(first) = page.iter().find(|user| user["has_user_id"] == true) else {
            return;
        };
        let device = (0..40)
            .find(|at| at % 4 == 3 && !joined.contains(at))
            .unwrap();
        joined.insert(device);
        let user = text(first, "distinct_id").to_owned();
        let properties = json!({"time": 1_800_000_000, "distinct_id": user, "$user_id": user, "$device_id": traffic.people[device].devices[0]});
        let from = traffic.sent.len();
        traffic.sent.push(support::people::Sent {
            json: json!({"event": "Log In", "properties": properties}),
            own: user,
            person: device,
        });
        traffic.send(&server, from);
    });
    assert!(joined.len() > 3);
    let users: Vec<_> = listed
        .iter()
        .map(|user| server.identity("TOK", text(user, "distinct_id")).0)
        .collect();
    let different: BTreeSet<_> = users.iter().cloned().collect();
    let everybody: BTreeSet<_> = (0..40)
        .map(|person| server.identity("TOK", &traffic.canonical(person)).0)
        .collect();
    assert_eq!(different, everybody);
    // Only one who was listed as a device before the merge can be there again as the user.
    let devices = listed
        .iter()
        .filter(|user| user["has_user_id"] == false)
        .count();
    assert!(users.len() - different.len() <= devices.min(joined.len()));
}

#[test]
fn a_page_ends_after_some_work_when_one_user_has_filled_many_blocks() {
    let server = Running::of(Model::Simplified);
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let send = |events: &[Value]| {
        let body = serde_json::to_vec(events).unwrap();
        let answer = server.send("POST", "/import?strict=0", &headers, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    send(&[json!({"event": "A", "properties": {"time": 1_700_000_000, "distinct_id": "cold"}})]);
    // Text that does not compress: a block has 16 KB.
    let mut state = 7_u64;
    for batch in 0..12 {
        let events: Vec<_> = (0..400)
            .map(|at| {
                let noise: String = (0..1_200)
                    .map(|_| {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        char::from(b'0' + u8::try_from(state >> 58).unwrap())
                    })
                    .filter(|noise| *noise != '\\')
                    .collect();
                json!({"event": "A", "properties": {"time": 1_700_000_000 + batch * 400 + at,
                    "distinct_id": "hot", "$insert_id": format!("{batch}-{at}"), "n": noise}})
            })
            .collect();
        send(&events);
    }
    let first = read(&server, "/v1/users");
    let ids = |page: &Value| -> Vec<String> {
        let users = page["users"].as_array().unwrap().iter();
        users
            .map(|user| text(user, "distinct_id").to_owned())
            .collect()
    };
    assert_eq!(
        (ids(&first), first["next"].is_string()),
        (vec!["hot".to_owned()], true)
    );
    let listed = pages(&server, "/v1/users?limit=50", "users", &mut |_| {});
    let listed: Vec<_> = listed
        .iter()
        .map(|user| text(user, "distinct_id"))
        .collect();
    assert_eq!(listed, ["hot", "cold"]);
}

#[test]
fn events_that_an_import_replaced_are_not_counted() {
    for model in MODELS {
        let server = Running::of(model);
        let event = |id: &str, extra: &str| {
            json!({"event": "A", "properties": {"token": "TOK", "time": 1_700_000_000, "distinct_id": id,
                "$insert_id": id, "extra": extra}})
        };
        for id in ["one", "two"] {
            let answer = server.post(
                "/track",
                "application/json",
                &event(id, "forged").to_string(),
            );
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let secret = format!("Bearer {SECRET} of TOK");
        let headers = [
            ("authorization", &*secret),
            ("content-type", "application/json"),
        ];
        let body = json!([event("one", "true")]).to_string();
        let answer = server.send("POST", "/import?strict=0", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let users = read(&server, "/v1/users")["users"].clone();
        let counts: Vec<_> = users
            .as_array()
            .unwrap()
            .iter()
            .map(|user| (text(user, "distinct_id").to_owned(), user["events"].clone()))
            .collect();
        assert_eq!(
            counts,
            [("one".to_owned(), json!(1)), ("two".to_owned(), json!(1))],
            "{model}"
        );
    }
}

#[test]
fn a_user_has_the_name_of_the_profile_and_an_unknown_id_is_not_found() {
    let server = Running::of(Model::Simplified);
    let log_in = json!({"event": "Log In", "properties": {"token": "TOK", "distinct_id": "mara", "$device_id": "D1",
        "$user_id": "mara", "$city": "Ghent", "mp_country_code": "BE", "mp_lib": "swift", "$os": "iOS"}});
    server.post("/track", "application/json", &log_in.to_string());
    let lone = json!({"event": "View", "properties": {"token": "TOK", "distinct_id": "$device:D2", "$device_id": "D2"}});
    server.post("/track", "application/json", &lone.to_string());
    let profile = json!([{"$token": "TOK", "$distinct_id": "mara", "$set": {"$first_name": "Mara", "$last_name": "Quill", "$email": "mara@example.com"}},
        {"$token": "TOK", "$distinct_id": "only a profile", "$set": {"$name": "Nobody"}}]);
    server.post("/engage", "application/json", &profile.to_string());
    let mara = read(&server, "/v1/users/mara");
    assert_eq!(
        (
            text(&mara, "name"),
            text(&mara, "email"),
            text(&mara, "place")
        ),
        ("Mara Quill", "mara@example.com", "Ghent, BE")
    );
    // The device has sent nothing under its own ID.
    assert_eq!(
        mara["devices"],
        json!([{"distinct_id": "$device:D1", "label": "iPhone app", "kind": "phone"}])
    );
    let other = read(&server, "/v1/users/only%20a%20profile");
    assert_eq!(
        (
            text(&other, "name"),
            &other["events"],
            &other["last_seen_ms"]
        ),
        ("Nobody", &json!(0), &Value::Null)
    );
    let device = read(&server, "/v1/users/%24device%3AD2");
    assert_eq!(
        (&device["has_user_id"], &device["name"]),
        (&json!(false), &Value::Null)
    );
    for (asked, meant) in [
        ("D1", json!("$device:D1")),
        ("D2", json!("$device:D2")),
        ("nobody", Value::Null),
    ] {
        let answer = ask(&server, &format!("/v1/users/{asked}"));
        assert_eq!(
            (answer.status, &answer.json()["did_you_mean"]),
            (404, &meant),
            "{answer:?}"
        );
    }
    let ids = read(&server, "/v1/users/mara/ids");
    assert_eq!(
        ids["ids"][1],
        json!({"distinct_id": "$device:D1", "events": 0, "first_seen_ms": null, "last_seen_ms": null,
        "device": {"distinct_id": "$device:D1", "label": "iPhone app", "kind": "phone"}})
    );
    for path in [
        "/v1/users?after=x",
        "/v1/users?after=1.x",
        "/v1/users/mara/ids?after=x",
        "/v1/users/undefined",
    ] {
        assert_eq!(ask(&server, path).status, 400, "{path}");
    }
}
