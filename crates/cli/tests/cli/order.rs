//! `idmerge order`: which answers depend on the order of arrival. What they are is tested in `crates/lint`.

use serde_json::{Value, json};

use crate::run::Folder;

fn login(device: &str, user: &str) -> String {
    let properties = json!({"$device_id": device, "$user_id": user, "$insert_id": user});
    json!({ "event": "Log In", "properties": properties }).to_string() + "\n"
}

#[track_caller]
fn order(folder: &Folder, args: &str) -> Value {
    let done = folder.run(&format!("order -q --json {args}")).code(0);
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn the_events_that_decide_are_named() {
    let events = [
        login("phone", "ben"),
        login("tablet", "ben"),
        login("phone", "ada"),
        login("phone", "ben"),
    ];
    let folder = Folder::with(&[("events", &events.concat())]);
    let report = order(&folder, "events --engine simplified");
    assert_eq!(
        report["examples"],
        json!([{
            "claims": 2,
            "orders": 2,
            "all_answers": true,
            "only_the_canonical_id": false,
            "events": 0,
            "ids": [{"id": "$device:phone", "now": "ben", "others": ["ada"], "events": 0}],
            "pairs": [{
                "if": {"file": "events", "line": 3},
                "came_before": {"file": "events", "line": 1},
                "id": "$device:phone",
                "now": "ben",
                "then": "ada",
                "other_ids": 0,
            }],
        }])
    );
    let page = folder
        .run("order events -q --engine simplified")
        .code(0)
        .stdout;
    assert!(
        page.contains("if line 3 came before line 1, $device:phone would be under ada"),
        "{page}"
    );
    assert!(page.contains("users that depend on the order"), "{page}");
}

#[test]
fn without_events_nothing_is_said_to_be_right_and_no_bar_is_explained() {
    let folder = Folder::new();
    for command in ["lint", "order"] {
        let page = folder.pipe("", &format!("{command} -q --engine original"));
        let page = page.code(0).stdout;
        assert!(
            page.contains("There is no event, so nothing was checked."),
            "{page}"
        );
    }
    for command in ["uniques --by event", "retention"] {
        let page = folder.pipe("", &format!("{command} -q --engine original"));
        let page = page.code(0).stdout;
        assert!(!page.contains("of them only with ID merge"), "{page}");
    }
}

#[test]
fn nothing_depends_on_the_order_of_clean_events() {
    let folder = Folder::new();
    let clean = folder
        .run("generate --workload web-login --events 3000 -q")
        .ok();
    for engine in ["simplified", "original", "legacy"] {
        let page = folder
            .pipe(&*clean, &format!("order -q --engine {engine}"))
            .code(0)
            .stdout;
        assert!(
            page.contains("No answer depends on the order of arrival."),
            "{page}"
        );
    }
}

#[cfg(feature = "store")]
#[test]
fn a_store_is_asked_by_its_log() {
    let events = [login("phone", "ben"), login("phone", "ada")].concat();
    let folder = Folder::with(&[("events", &events)]);
    folder
        .run("ingest people events --engine simplified -q")
        .code(0);
    let report = order(&folder, "--store people");
    let pair = &report["examples"][0]["pairs"][0];
    assert_eq!(
        pair["if"],
        json!({"entry": 2, "insert_id": "ada", "source": pair["if"]["source"]})
    );
    assert_eq!(report["dependent_events"], Value::Null);
    let page = folder.run("order -q --store people").code(0).stdout;
    assert!(
        page.contains("if entry 2, $insert_id ada came before entry 1"),
        "{page}"
    );
    assert!(
        !page.contains("event)") && !page.contains("their events"),
        "{page}"
    );
    folder.run("order events --store people").code(2);
    folder.run("order events").code(2);
}
