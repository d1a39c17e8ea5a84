//! Law 10: the output of `resolve` is an input that says the same.

use crate::run::Folder;

/// Events that the canonical ID in `distinct_id` would disturb if it were read: each line is in the
/// stream twice, before and after the merges.
const EVENTS: &str = r#"{"event":"View","properties":{"distinct_id":"$device:d0000000-0000-4000-8000-000000000001","$is_reshuffled":false}}
{"event":"View","properties":{"$device_id":"d0000000-0000-4000-8000-000000000001","$failure_reason":"old"}}
{"event":"$create_alias","properties":{"distinct_id":"A","alias":"B"}}
{"event":"$create_alias","properties":{"distinct_id":"B","alias":"C"}}
{"event":"$identify","properties":{"distinct_id":"U1","$anon_distinct_id":"$device:d0000000-0000-4000-8000-000000000001"}}
{"event":"$identify","properties":{"$identified_id":"U2","$anon_id":"d0000000-0000-4000-8000-000000000001"}}
{"event":"$identify","properties":{"distinct_id":"U2","$anon_distinct_id":"d0000000-0000-4000-8000-000000000002"}}
{"event":"$merge","properties":{"$distinct_ids":["A","U1"]}}
{"event":"$merge","properties":{"$distinct_ids":["U1","U2"],"$idmerge_unweighed":true}}
{"event":"Login","properties":{"distinct_id":"$device:d0000000-0000-4000-8000-000000000001","$user_id":"U1","$device_id":"d0000000-0000-4000-8000-000000000001"}}
{"event":"Login","properties":{"$user_id":"U2","$device_id":"d0000000-0000-4000-8000-000000000001"}}
{"event":"View","properties":{"distinct_id":"B","$distinct_id_before_identity":"null"}}
{"event":"View","properties":{"$distinct_id_before_identity":"C","$preshuffle_distinct_id":"x"}}
{"event":"View","properties":{}}
{"event":"View","properties":{"distinct_id":42,"a":"\ud83c\udf54"}}
"#;

#[test]
fn law_10_what_was_resolved_says_the_same() {
    for engine in ["simplified", "original"] {
        let dir = Folder::with(&[("in", &EVENTS.repeat(2))]);
        let run = |args: &str| dir.run(&format!("{args} --engine {engine}")).ok();
        dir.write("once", run("resolve in"));
        dir.write("twice", run("resolve once"));
        assert_eq!(dir.read("twice"), dir.read("once"), "{engine}");
        assert!(!dir.read("once").contains("$preshuffle_distinct_id"));
        let clusters = run("clusters in");
        assert!(clusters.contains("U1"), "{clusters}");
        assert_eq!(run("clusters once"), clusters, "{engine}");

        // A store that was fed the output is one that was fed the input.
        run("ingest store in");
        run("ingest again once");
        let of_store = |store| dir.run(&format!("clusters --store {store}")).ok();
        assert_eq!(of_store("store"), clusters);
        assert_eq!(of_store("again"), clusters);
        // One pass with the identities of the store writes the same.
        assert_eq!(dir.run("resolve once --store store").ok(), dir.read("once"));
    }
}

#[test]
fn in_5_an_alias_of_an_export_keeps_its_id() {
    let dir = Folder::with(&[(
        "in",
        r#"{"event":"$create_alias","properties":{"distinct_id":"B","alias":"B","$distinct_id_before_identity":"A","$is_reshuffled":true}}"#,
    )]);
    assert_eq!(
        dir.run("clusters in --engine original").ok(),
        "{\"canonical\":\"A\",\"members\":[\"A\",\"B\"]}\n"
    );
}
