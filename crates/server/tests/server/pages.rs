//! Answers come in pages, and a page costs work and memory in proportion to itself, whatever is stored.

use std::collections::BTreeSet;

use crate::support::{Running, SECRET};
use idmerge_engines::Model;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const JSON: &str = "application/json";

fn read(server: &Running, path: &str) -> Value {
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get(path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Sends events with these properties.
fn import(server: &Running, events: &[Value]) {
    let secret = format!("Bearer {SECRET} of TOK");
    for events in events.chunks(2_000) {
        let body = serde_json::to_vec(events).unwrap();
        let headers = [("authorization", &*secret), ("content-type", JSON)];
        let answer = server.send("POST", "/import?strict=0", &headers, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// The pages of a query until `next` is null.
fn pages(server: &Running, path: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let page = read(server, &format!("{path}{after}"));
        let next = page["next"].as_str().map(str::to_owned);
        pages.push(page);
        let Some(next) = next else {
            return pages;
        };
        after = format!("&after={}", utf8_percent_encode(&next, NON_ALPHANUMERIC));
    }
}

fn texts(page: &Value, name: &str) -> Vec<String> {
    let list = page[name].as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// A user with many devices, which anybody can make.
fn user_with_devices(devices: usize) -> Running {
    let server = Running::of(Model::Simplified);
    let events: Vec<_> = (0..devices)
        .map(|number| {
            let id = format!("$device:D{number}");
            json!({"event": "Log In", "properties": {"time": 1_700_000_000, "distinct_id": id,
                "$insert_id": id, "$device_id": format!("D{number}"), "$user_id": "hub"}})
        })
        .collect();
    import(&server, &events);
    server
}

#[test]
fn the_ids_of_a_user_and_their_claims_come_in_pages() {
    const DEVICES: usize = 3_000;
    let server = user_with_devices(DEVICES);
    let plain = pages(&server, "/v1/ids/hub?limit=700");
    assert_eq!(plain.len(), 5);
    let members: Vec<_> = plain
        .iter()
        .flat_map(|page| texts(page, "members"))
        .collect();
    let mut wanted = vec!["hub".to_owned()];
    wanted.extend((0..DEVICES).map(|number| format!("$device:D{number}")));
    assert_eq!(members, wanted);
    assert!(plain.iter().all(|page| page["distinct_id"] == "hub"));
    let default = read(&server, "/v1/ids/%24device%3AD5");
    assert_eq!(default["members"].as_array().unwrap().len(), 100);

    let explained = pages(&server, "/v1/ids/hub?explain=true&limit=700");
    let members: Vec<_> = explained
        .iter()
        .flat_map(|page| texts(page, "members"))
        .collect();
    assert_eq!(members, wanted);
    let mut sequences = BTreeSet::new();
    for page in &explained {
        let claims = page["explanation"].as_array().unwrap();
        assert!(claims.len() <= 2_000);
        for claim in claims {
            assert!(
                sequences.insert(claim["sequence"].as_u64().unwrap()),
                "{claim}"
            );
        }
    }
    assert_eq!(sequences.len(), DEVICES);
    let secret = format!("Bearer {SECRET} of TOK");
    for wrong in ["x", "0.nobody", "0.", "-1.hub"] {
        let path = format!("/v1/ids/hub?after={wrong}");
        let answer = server.get(&path, &[("authorization", &secret)]);
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

#[test]
fn the_feed_ends_at_the_end_of_the_log() {
    let server = user_with_devices(250);
    // A claim that changes nothing: the device has a user.
    import(
        &server,
        &[
            json!({"event": "Log In", "properties": {"time": 1_700_000_000,
        "$insert_id": "last", "$device_id": "D0", "$user_id": "somebody else"}}),
        ],
    );
    let mut since = 0;
    let mut ids = Vec::new();
    loop {
        let page = read(&server, &format!("/v1/changes?limit=100&since={since}"));
        let changes = page["changes"].as_array().unwrap();
        since = page["next"].as_u64().unwrap();
        ids.extend(
            changes
                .iter()
                .map(|change| change["id"].as_str().unwrap().to_owned()),
        );
        if changes.len() < 100 {
            break;
        }
    }
    let wanted: Vec<_> = (0..250)
        .map(|number| format!("$device:D{number}"))
        .collect();
    assert_eq!(ids, wanted);
    // The entry without a change is not read again.
    assert_eq!(since, 251);
    let end = read(&server, "/v1/changes?since=251");
    assert_eq!(end, json!({"changes": [], "next": 251}));
}

/// An event of a user with so many bytes of text.
fn event(number: usize, bytes: usize) -> Value {
    json!({"event": "A", "properties": {"time": 1_700_000_000 + number, "distinct_id": "U1",
        "$insert_id": format!("i{number}"), "text": "x".repeat(bytes)}})
}

#[test]
fn a_page_of_events_ends_when_it_has_enough_bytes() {
    let server = Running::of(Model::Simplified);
    // Large events among many small ones. An event has at most 1 MiB.
    let bytes = |number: usize| match number {
        5 => 1_000_000,
        10..18 => 600 << 10,
        _ => 100,
    };
    let events: Vec<_> = (0..40).map(|number| event(number, bytes(number))).collect();
    for events in events.chunks(10) {
        import(&server, events);
    }
    let pages = pages(&server, "/v1/users/U1/events?limit=1000");
    let mut times = Vec::new();
    for page in &pages {
        let events = page["events"].as_array().unwrap();
        let size = events
            .iter()
            .map(|event| event.to_string().len())
            .sum::<usize>();
        assert!(
            size < (2 << 20) + 50_000 || events.len() == 1,
            "{}",
            events.len()
        );
        assert!(!events.is_empty());
        times.extend(
            events
                .iter()
                .map(|event| event["time_ms"].as_u64().unwrap()),
        );
    }
    let wanted: Vec<_> = (0..40)
        .rev()
        .map(|number| (1_700_000_000 + number) * 1_000)
        .collect();
    assert_eq!(times, wanted);
    assert!((3..9).contains(&pages.len()), "{}", pages.len());
}

fn update_profiles(server: &Running, updates: &[Value]) {
    for updates in updates.chunks(1_000) {
        let body = serde_json::to_string(updates).unwrap();
        assert_eq!(server.post("/engage", JSON, &body).body, "1");
    }
}

#[test]
fn pages_of_profiles_can_be_read_in_any_order() {
    let server = Running::of(Model::Original);
    let profile =
        |id: String| json!({"$token": "TOK", "$distinct_id": id, "$set": {"a": 1, "b": 2}});
    let profiles: Vec<_> = (0..3_500)
        .map(|number| profile(format!("user {number:04}")))
        .collect();
    update_profiles(&server, &profiles);
    let page = |number: usize, session: &str| {
        let path = format!("/api/query/engage?page={number}&session_id={session}");
        let page = read(&server, &path);
        assert_eq!(
            (&page["page"], &page["page_size"]),
            (&json!(number), &json!(1_000))
        );
        let results = page["results"].as_array().unwrap().iter();
        let ids = results.map(|profile| profile["$distinct_id"].as_str().unwrap().to_owned());
        (page["total"].as_u64().unwrap(), ids.collect::<Vec<_>>())
    };
    let first = read(&server, "/api/query/engage");
    assert_eq!(
        (&first["total"], &first["status"]),
        (&json!(3_500), &json!("ok"))
    );
    let session = first["session_id"].as_str().unwrap();
    // Profiles that come meanwhile move no page.
    update_profiles(&server, &[profile("user 0000 and more".to_owned())]);
    let mut found = Vec::new();
    for number in [3, 1, 2, 0, 3] {
        let (total, ids) = page(number, session);
        assert_eq!(total, 3_501);
        found.push((number, ids));
    }
    assert_eq!(page(4, session).1, [""; 0]);
    assert_eq!(page(999_999, session).1, [""; 0]);
    assert_eq!(found[0], found[4]);
    found.truncate(4);
    found.sort_unstable();
    let ids: BTreeSet<_> = found.iter().flat_map(|(_, ids)| ids).collect();
    assert_eq!(ids.len(), 3_501);
    assert_eq!(found.iter().map(|(_, ids)| ids.len()).sum::<usize>(), 3_501);
    // A session that is not known gets the pages of now.
    assert_eq!(page(1, "unknown").1[0], "user 0999");
    let some = read(&server, "/api/query/engage?output_properties=%5B%22b%22%5D");
    assert_eq!(some["results"][0]["$properties"], json!({"b": 2}));
}
