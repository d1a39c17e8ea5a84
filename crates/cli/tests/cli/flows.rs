//! The purpose of ID Merge: people who come anonymously and then log in, with both engines.

use crate::run::{Folder, text_of};

const D1: &str = "d1d1d1d1-0000-4000-8000-000000000001";
const D2: &str = "d2d2d2d2-0000-4000-8000-000000000002";

/// Checks the output of `resolve` and `clusters` for these events. D1 and D2 are replaced by UUIDs.
#[track_caller]
fn flow(engine: &str, events: &str, resolved: &str, clusters: &str) {
    let ids = |text: &str| text.trim_start().replace("D1", D1).replace("D2", D2);
    let folder = Folder::with(&[("in", &ids(events))]);
    let run = |command| folder.run(&format!("{command} in --engine {engine}")).ok();
    assert_eq!(run("resolve"), ids(resolved));
    assert_eq!(run("clusters"), ids(clusters));
}

/// The events of a browser SDK.
const NEW_USER: &str = r#"
{"event":"Visit","properties":{"distinct_id":"$device:D1","$device_id":"D1","time":1}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1","time":2}}
{"event":"Sign Up","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","time":3}}
"#;

#[test]
fn s_9_a_new_user_gets_the_visit_before_the_sign_up() {
    flow(
        "simplified",
        NEW_USER,
        r#"
{"event":"Visit","properties":{"distinct_id":"ada","$device_id":"D1","time":1,"$distinct_id_before_identity":"$device:D1","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1","time":2}}
{"event":"Sign Up","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","time":3}}
"#,
        r#"
{"canonical":"ada","members":["ada","$device:D1"]}
"#,
    );
}

#[test]
fn o_16_a_new_user_gets_the_visit_before_the_sign_up() {
    flow(
        "original",
        NEW_USER,
        r#"
{"event":"Visit","properties":{"distinct_id":"ada","$device_id":"D1","time":1,"$distinct_id_before_identity":"D1","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1","time":2}}
{"event":"Sign Up","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","time":3}}
"#,
        r#"
{"canonical":"ada","members":["ada","D1"]}
"#,
    );
}

/// At home, and then on the phone, where ada looks around before she logs in.
const SECOND_DEVICE: &str = r#"
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"Visit","properties":{"distinct_id":"$device:D2","$device_id":"D2"}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D2","$user_id":"ada","$anon_distinct_id":"$device:D2"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D2","$user_id":"ada"}}
"#;

#[test]
fn s_10_a_returning_user_has_both_devices() {
    flow(
        "simplified",
        SECOND_DEVICE,
        r#"
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"Visit","properties":{"distinct_id":"ada","$device_id":"D2","$distinct_id_before_identity":"$device:D2","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D2","$user_id":"ada","$anon_distinct_id":"$device:D2"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D2","$user_id":"ada"}}
"#,
        r#"
{"canonical":"ada","members":["ada","$device:D1","$device:D2"]}
"#,
    );
}

#[test]
fn o_17_a_returning_user_has_both_devices() {
    flow(
        "original",
        SECOND_DEVICE,
        r#"
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"Visit","properties":{"distinct_id":"ada","$device_id":"D2","$distinct_id_before_identity":"D2","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D2","$user_id":"ada","$anon_distinct_id":"$device:D2"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D2","$user_id":"ada"}}
"#,
        r#"
{"canonical":"ada","members":["ada","D1","D2"]}
"#,
    );
}

/// ada logs out, which gives the tablet a new device ID; then ben uses it.
const SHARED_WITH_RESET: &str = r#"
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"Visit","properties":{"distinct_id":"$device:D2","$device_id":"D2"}}
{"event":"$identify","properties":{"distinct_id":"ben","$device_id":"D2","$user_id":"ben","$anon_distinct_id":"$device:D2"}}
{"event":"Log In","properties":{"distinct_id":"ben","$device_id":"D2","$user_id":"ben"}}
"#;

#[test]
fn s_5_two_users_of_one_device_with_a_reset_are_two() {
    flow(
        "simplified",
        SHARED_WITH_RESET,
        r#"
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"Visit","properties":{"distinct_id":"ben","$device_id":"D2","$distinct_id_before_identity":"$device:D2","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ben","$device_id":"D2","$user_id":"ben","$anon_distinct_id":"$device:D2"}}
{"event":"Log In","properties":{"distinct_id":"ben","$device_id":"D2","$user_id":"ben"}}
"#,
        r#"
{"canonical":"ada","members":["ada","$device:D1"]}
{"canonical":"ben","members":["ben","$device:D2"]}
"#,
    );
}

#[test]
fn o_3_two_users_of_one_device_with_a_reset_are_two() {
    flow(
        "original",
        SHARED_WITH_RESET,
        r#"
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"Visit","properties":{"distinct_id":"ben","$device_id":"D2","$distinct_id_before_identity":"D2","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ben","$device_id":"D2","$user_id":"ben","$anon_distinct_id":"$device:D2"}}
{"event":"Log In","properties":{"distinct_id":"ben","$device_id":"D2","$user_id":"ben"}}
"#,
        r#"
{"canonical":"ada","members":["ada","D1"]}
{"canonical":"ben","members":["ben","D2"]}
"#,
    );
}

/// ada leaves without logging out, and ben logs in over her session.
const SHARED_WITHOUT_RESET: &str = r#"
{"event":"Visit","properties":{"distinct_id":"$device:D1","$device_id":"D1"}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"$identify","properties":{"distinct_id":"ben","$device_id":"D1","$user_id":"ben","$anon_distinct_id":"ada"}}
{"event":"Log In","properties":{"distinct_id":"ben","$device_id":"D1","$user_id":"ben"}}
"#;

#[test]
fn s_7_two_users_of_one_device_without_a_reset_are_two_and_the_first_keeps_the_device() {
    flow(
        "simplified",
        SHARED_WITHOUT_RESET,
        r#"
{"event":"Visit","properties":{"distinct_id":"ada","$device_id":"D1","$distinct_id_before_identity":"$device:D1","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"$identify","properties":{"distinct_id":"ben","$device_id":"D1","$user_id":"ben","$anon_distinct_id":"ada"}}
{"event":"Log In","properties":{"distinct_id":"ben","$device_id":"D1","$user_id":"ben","$identity_failure_reason":"errAnonDistinctIdAssignedAlready"}}
"#,
        r#"
{"canonical":"ada","members":["ada","$device:D1"]}
"#,
    );
}

#[test]
fn o_8_two_users_of_one_device_without_a_reset_are_two() {
    flow(
        "original",
        SHARED_WITHOUT_RESET,
        r#"
{"event":"Visit","properties":{"distinct_id":"ada","$device_id":"D1","$distinct_id_before_identity":"D1","$is_reshuffled":true}}
{"event":"$identify","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","$anon_distinct_id":"$device:D1"}}
{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada"}}
{"event":"$identify","properties":{"distinct_id":"ben","$device_id":"D1","$user_id":"ben","$anon_distinct_id":"ada","$failure_reason":"errAnonDistinctIdNonGUIDForm","$failure_description":"the anonymous ID \"ada\" does not have the form of a GUID"}}
{"event":"Log In","properties":{"distinct_id":"ben","$device_id":"D1","$user_id":"ben"}}
"#,
        r#"
{"canonical":"ada","members":["ada","D1"]}
"#,
    );
}

/// A server that knows both IDs and sends no distinct_id.
const FROM_A_SERVER: &str = r#"
{"event":"Visit","properties":{"$device_id":"D1"}}
{"event":"$identify","properties":{"$identified_id":"ada","$anon_id":"D1"}}
{"event":"Order","properties":{"$device_id":"D1","$user_id":"ada"}}
"#;

#[test]
fn s_4_a_server_links_by_the_order_alone() {
    // Simplified reads neither `$identified_id` nor `$anon_id`, so that event has no ID.
    flow(
        "simplified",
        FROM_A_SERVER,
        r#"
{"event":"Visit","properties":{"$device_id":"D1","distinct_id":"ada","$distinct_id_before_identity":"$device:D1","$is_reshuffled":true}}
{"event":"$identify","properties":{"$identified_id":"ada","$anon_id":"D1","distinct_id":""}}
{"event":"Order","properties":{"$device_id":"D1","$user_id":"ada","distinct_id":"ada"}}
"#,
        r#"
{"canonical":"ada","members":["ada","$device:D1"]}
"#,
    );
}

#[test]
fn o_6_a_server_links_by_identify() {
    flow(
        "original",
        FROM_A_SERVER,
        r#"
{"event":"Visit","properties":{"$device_id":"D1","distinct_id":"ada","$distinct_id_before_identity":"D1","$is_reshuffled":true}}
{"event":"$identify","properties":{"$identified_id":"ada","$anon_id":"D1","distinct_id":"ada"}}
{"event":"Order","properties":{"$device_id":"D1","$user_id":"ada","distinct_id":"ada"}}
"#,
        r#"
{"canonical":"ada","members":["ada","D1"]}
"#,
    );
}

const WEB_SHOP: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/web-shop.ndjson"
);

/// The people of `examples/README.md`, and the lines of their events.
const SHOPPERS: [(&str, &[usize]); 6] = [
    ("ada", &[1, 3, 7, 8, 9, 11, 35, 36]),
    ("ben", &[4, 5, 6, 22, 23, 24, 25, 26]),
    ("chloe", &[12, 13, 14, 15, 16]),
    ("dora", &[17, 18, 19, 20, 21]),
    ("elif", &[27, 28, 29, 30]),
    ("femi", &[31, 32, 33]),
];

/// The lines whose distinct_id changes by a merge.
const RESHUFFLED: [usize; 10] = [1, 3, 4, 7, 12, 17, 18, 22, 23, 27];

const NOBODY: &str = "a4fdee06-1e93-40a5-97e2-45ed21c316c9";

/// Resolves the example. Returns the distinct_ids, the lines with a changed distinct_id, and the lines
/// with this failure.
fn web_shop(engine: &str, failure: &str) -> (Vec<String>, Vec<usize>, Vec<usize>) {
    let resolved = Folder::new()
        .run(&format!("resolve {WEB_SHOP} --engine {engine} -q"))
        .ok();
    let numbered = || {
        resolved
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
    };
    let with = |text: &str| {
        let found = numbered().filter(|(_, line)| line.contains(text));
        found.map(|(number, _)| number).collect()
    };
    let properties = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["properties"].to_string()
    };
    (
        numbered()
            .map(|(_, line)| text_of(&properties(line), "distinct_id"))
            .collect(),
        with("\"$is_reshuffled\":true"),
        with(failure),
    )
}

/// The person of each of the 36 events.
fn shoppers(nobody: &str) -> Vec<String> {
    let mut people = vec![nobody.to_owned(); 36];
    for (person, lines) in SHOPPERS {
        for line in lines {
            people[line - 1] = person.to_owned();
        }
    }
    people
}

#[test]
fn the_web_shop_in_simplified() {
    let failure = r#""$identity_failure_reason":"errAnonDistinctIdAssignedAlready""#;
    let (people, reshuffled, failed) = web_shop("simplified", failure);
    assert_eq!(people, shoppers(&format!("$device:{NOBODY}")));
    assert_eq!(reshuffled, RESHUFFLED);
    assert_eq!(failed, [32, 33]);
}

#[test]
fn the_web_shop_in_original() {
    let failure = r#""$failure_reason":"errAnonDistinctIdNonGUIDForm""#;
    let (people, reshuffled, failed) = web_shop("original", failure);
    assert_eq!(people, shoppers(NOBODY));
    assert_eq!(reshuffled, RESHUFFLED);
    assert_eq!(failed, [31]);
}

#[test]
fn the_web_shops_clusters() {
    let run = |engine| {
        let args = format!("clusters {WEB_SHOP} --engine {engine}");
        Folder::new().run(&args).ok()
    };
    // By the first link: ben on line 5 or 6, ada 8 or 9, chloe, dora, elif.
    assert_eq!(
        run("original"),
        "\
{\"canonical\":\"ben\",\"members\":[\"ben\",\"4038b2c2-d815-4369-ae5c-97bf05d27cb4\",\"26683906-5f29-4b48-b659-242e2c3a8dbe\"]}
{\"canonical\":\"ada\",\"members\":[\"ada\",\"32955fb8-26ac-4ee5-939d-986451dbed65\"]}
{\"canonical\":\"chloe\",\"members\":[\"chloe\",\"35592240-3826-41d0-805b-ffa59e760e86\"]}
{\"canonical\":\"dora\",\"members\":[\"dora\",\"2731413f-f14e-4ea1-9028-b0d5c0b283e6\"]}
{\"canonical\":\"elif\",\"members\":[\"elif\",\"9725ab83-8a29-4b9b-ab9d-c133272de8d5\"]}
"
    );
    assert_eq!(
        run("simplified"),
        "\
{\"canonical\":\"ben\",\"members\":[\"ben\",\"$device:4038b2c2-d815-4369-ae5c-97bf05d27cb4\",\"$device:26683906-5f29-4b48-b659-242e2c3a8dbe\"]}
{\"canonical\":\"ada\",\"members\":[\"ada\",\"$device:32955fb8-26ac-4ee5-939d-986451dbed65\"]}
{\"canonical\":\"chloe\",\"members\":[\"chloe\",\"$device:35592240-3826-41d0-805b-ffa59e760e86\"]}
{\"canonical\":\"dora\",\"members\":[\"dora\",\"$device:2731413f-f14e-4ea1-9028-b0d5c0b283e6\"]}
{\"canonical\":\"elif\",\"members\":[\"elif\",\"$device:9725ab83-8a29-4b9b-ab9d-c133272de8d5\"]}
"
    );
}
