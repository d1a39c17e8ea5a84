//! `/v1/users/{id}/hidden-profiles`: what P-3 and LP-2 hide, by the rules.

use crate::support::{Running, SECRET};
use idmerge_engines::Model;
use serde_json::{Value, json};

fn get(server: &Running, path: &str) -> Value {
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get(path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn send(server: &Running, path: &str, records: &Value) {
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let answer = server.send("POST", path, &headers, records.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn set(server: &Running, id: &str, color: &str) {
    let update = json!([{"$token": "TOK", "$distinct_id": id, "$set": {"color": color}}]);
    send(server, "/engage", &update);
}

fn claim(server: &Running, name: &str, properties: Value) {
    let mut properties = properties;
    properties["time"] = json!(1_700_000_000);
    properties["$insert_id"] = json!(properties.to_string());
    let events = json!([{"event": name, "properties": properties}]);
    send(server, "/import?strict=0", &events);
}

fn hidden(distinct_id: &str, color: &str) -> Value {
    json!({"distinct_id": distinct_id, "properties": {"color": color}})
}

#[test]
fn p_3_the_profile_that_a_merge_hides_is_listed_with_its_id() {
    let server = Running::of(Model::Original);
    for (id, color) in [("ada", "red"), ("ada-work", "blue"), ("ada-old", "green")] {
        set(&server, id, color);
    }
    for other in ["ada-work", "ada-old"] {
        claim(&server, "$merge", json!({"$distinct_ids": ["ada", other]}));
    }
    let shown = get(&server, "/v1/users/ada-old/profile");
    // Whichever is canonical (O-15), the other two are hidden.
    let canonical = shown["distinct_id"].as_str().unwrap();
    let all = [("ada", "red"), ("ada-work", "blue"), ("ada-old", "green")];
    let wanted = all.into_iter().filter(|(id, _)| *id != canonical);
    let wanted: Vec<_> = wanted.map(|(id, color)| hidden(id, color)).collect();
    assert_eq!(wanted.len(), 2);
    let page = get(&server, "/v1/users/ada-work/hidden-profiles");
    assert_eq!(page["distinct_id"], canonical);
    assert_eq!(page["next"], Value::Null);
    let sorted = |page: &Value| {
        let mut listed = page["hidden"].as_array().unwrap().clone();
        listed.sort_by_key(|each| each["distinct_id"].to_string());
        listed
    };
    let mut wanted = wanted;
    wanted.sort_by_key(|each| each["distinct_id"].to_string());
    assert_eq!(sorted(&page), wanted);

    // The same in pages of one ID each, of which one has no hidden profile.
    let mut listed = Vec::new();
    let mut pages = 0;
    let mut after = String::new();
    loop {
        let page = get(
            &server,
            &format!("/v1/users/ada/hidden-profiles?limit=1{after}"),
        );
        listed.extend(page["hidden"].as_array().unwrap().clone());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(sorted(&json!({"hidden": listed})), wanted);
}

#[test]
fn p_2_of_the_profile_of_a_device_nothing_is_left() {
    let server = Running::of(Model::Simplified);
    set(&server, "$device:D", "red");
    claim(
        &server,
        "Log In",
        json!({"$device_id": "D", "$user_id": "ada"}),
    );
    let page = get(&server, "/v1/users/ada/hidden-profiles");
    assert_eq!(
        page,
        json!({"distinct_id": "ada", "hidden": [], "next": null})
    );
}

#[test]
fn lp_2_the_profile_of_an_alias_is_listed() {
    let server = Running::of(Model::Legacy);
    set(&server, "d1", "red");
    claim(
        &server,
        "$create_alias",
        json!({"distinct_id": "ada", "alias": "d1"}),
    );
    let page = get(&server, "/v1/users/ada/hidden-profiles");
    assert_eq!(page["hidden"], json!([hidden("d1", "red")]));
}

#[test]
fn an_id_alone_and_a_cursor_of_somebody_else() {
    let server = Running::of(Model::Original);
    let page = get(&server, "/v1/users/nobody/hidden-profiles");
    assert_eq!(page["hidden"], json!([]));
    let secret = format!("Bearer {SECRET} of TOK");
    let path = "/v1/users/nobody/hidden-profiles?after=0.other";
    let answer = server.get(path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(
        server.get("/v1/users/nobody/hidden-profiles", &[]).status,
        401
    );
}
