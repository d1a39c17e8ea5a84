//! `migrate`: the order of its input, tables of one's own, and the comparison with the source's own count.

use serde_json::{Value, json};

use crate::migrate::values;
use crate::run::Folder;

const D1: &str = "00000001-0000-4000-8000-000000000000";
const D2: &str = "00000002-0000-4000-8000-000000000000";

/// Lines of two users on shared devices, in the order of `received`.
fn received() -> Vec<String> {
    let line = |received: u64, name: &str, mut properties: Value| {
        properties["time"] = json!(1_700_000_000 + received % 7);
        properties["$insert_id"] = json!(format!("line-{received}"));
        properties["received"] = json!(received);
        format!("{}\n", json!({"event": name, "properties": properties}))
    };
    let both = |user: &str, device: &str| json!({"distinct_id": user, "$user_id": user, "$device_id": device});
    vec![
        line(1, "View", json!({"distinct_id": D1, "$device_id": D1})),
        line(2, "Log In", both("bob", D1)),
        line(
            3,
            "$identify",
            json!({"$identified_id": "ada", "$anon_id": D2}),
        ),
        line(4, "Log In", both("ada", D1)),
        line(5, "View", json!({"distinct_id": D2, "$device_id": D2})),
        line(6, "Log In", both("bob", D2)),
        line(7, "Buy", json!({"distinct_id": "ada"})),
    ]
}

#[test]
fn m_4_order_by_gives_what_a_sorted_input_gives() {
    let lines = received();
    let sorted = lines.concat();
    // Two files, each backwards.
    let back = |lines: &[String]| lines.iter().rev().cloned().collect::<String>();
    let without =
        "{\"event\":\"View\",\"properties\":{\"distinct_id\":\"eve\",\"time\":1700000000}}\n";
    let folder = Folder::with(&[
        ("sorted", &sorted),
        ("late", &format!("{}{without}", back(&lines[3..]))),
        ("early", &back(&lines[..3])),
    ]);
    for to in ["simplified", "original"] {
        let migrate = |input: &str, folder_name: &str| {
            let command =
                format!("migrate {input} --from original --to {to} -o {folder_name}-{to}");
            folder.run(&command).ok();
        };
        migrate("sorted", "a");
        migrate("late early --order-by received", "b");
        // The lines are not sorted by accident.
        migrate("late early", "c");
        let read =
            |folder_name: &str, file: &str| folder.read(&format!("{folder_name}-{to}/{file}"));
        for file in ["links.ndjson", "events.ndjson", "mapping.csv"] {
            assert_eq!(read("b", file), read("a", file), "{file}");
        }
        assert_ne!(read("c", "mapping.csv"), read("a", "mapping.csv"));
        let [refused] = &values(&read("b", "refused.ndjson"))[..] else {
            panic!("one line has no field to sort by");
        };
        assert_eq!(
            (&refused["file"], &refused["line"]),
            (&json!("late"), &json!(5))
        );
        assert_eq!(refused["rule"], "A-6");
        let report: Value = serde_json::from_str(&read("b", "report.json")).unwrap();
        assert_eq!(report["events"]["refused"], 1);
    }
}

#[test]
fn m_18_evidence_of_a_sorted_input_names_its_file_and_line() {
    let lines = received();
    let folder = Folder::with(&[("b", &lines[3..].concat()), ("a", &lines[..3].concat())]);
    folder
        .run("migrate b a --from original --to simplified -o new --order-by received")
        .ok();
    let cases = values(&folder.read("new/conflicts.ndjson"));
    // D1 is Bob's (line 2 of a), and line 1 of b names Ada; D2 is Ada's (line 3 of a), and line 3 of b names Bob.
    let mut places: Vec<_> = cases
        .iter()
        .flat_map(|case| {
            assert_eq!(case["kind"], "contradicted");
            let evidence = case["evidence"].as_array().unwrap().iter();
            evidence.map(|it| format!("{} {}", it["file"].as_str().unwrap(), it["line"]))
        })
        .collect();
    places.sort();
    assert_eq!(places, ["a 2", "a 3", "b 1", "b 3"]);
}

#[test]
fn m_13_a_table_of_ones_own() {
    let table = "cookie,email,what,when\n\
                 d1,,View,2023-11-14T22:13:20Z\n\
                 d1,ada@example.com,Log In,2023-11-14T22:13:21Z\n\
                 d1,bob@example.com,Log In,2023-11-14T22:13:22Z\n";
    let folder = Folder::with(&[("in", table)]);
    let migrate = "migrate in --from csv --to simplified -o new";
    folder.run(migrate).code(2).says("--map user=");
    folder
        .run(&format!(
            "{migrate} --map user=email,device=cookie,event=what,time=when"
        ))
        .ok();
    let rows = "distinct_id,resolved_distinct_id\n$device:d1,ada@example.com\n";
    assert_eq!(folder.read("new/mapping.csv"), rows);
    let [case] = &values(&folder.read("new/conflicts.ndjson"))[..] else {
        panic!("one device has two users");
    };
    assert_eq!(
        (&case["kind"], &case["chosen"]),
        (&json!("contradicted"), &json!("ada@example.com"))
    );
    // The header is line 1.
    assert_eq!(case["evidence"][1]["line"], 4);
    let wrong = "migrate in --from original --to simplified -o other --map user=email";
    folder.run(wrong).code(2).says("--map needs --from csv");
}

#[test]
fn m_13_the_options_of_a_product() {
    let row = format!(
        "{{\"id\":\"r1\",\"anonymous_id\":\"{D1}\",\"user_id\":\"ada\",\"timestamp\":\"2023-11-14T22:13:20Z\"}}\n"
    );
    let folder = Folder::with(&[("in", &format!("{row}{row}"))]);
    folder
        .run("migrate in --from segment --table identifies --to simplified -o new")
        .ok();
    assert_eq!(
        folder.read("new/mapping.csv"),
        format!("distinct_id,resolved_distinct_id\n$device:{D1},ada\n")
    );
}

#[test]
fn m_19_amplitude_counts_anonymous_events_for_the_last_user() {
    let event = |at: u64, user: Option<&str>, device: &str, person: u64| {
        let event = json!({
            "event_type": "View", "user_id": user, "device_id": device, "amplitude_id": person, "uuid": format!("e{at}"),
            "event_time": format!("2023-11-14 22:13:{at:02}.000000"), "app": 1,
        });
        format!("{event}\n")
    };
    let events = [
        event(1, None, D1, 7),
        event(2, Some("ada@x"), D1, 7),
        event(3, None, D1, 7),
        event(4, Some("bob@x"), D1, 8),
        // Theirs: Bob's, here Ada's.
        event(5, None, D1, 8),
        event(6, None, D1, 8),
        event(7, Some("ada@x"), D2, 7),
        event(8, None, D2, 7),
    ];
    let folder = Folder::with(&[("in", &events.concat())]);
    let done = folder.run(
        "migrate in --from amplitude --to simplified -o new --compare source_person --order-by event_time",
    );
    done.says("reattributed             2 events")
        .says("elsewhere                2 events")
        .ok();
    let report: Value = serde_json::from_str(&folder.read("new/report.json")).unwrap();
    assert_eq!(report["events"]["reattributed"], 2);
    assert_eq!(
        report["compare"],
        json!({
            "field": "source_person", "events": 8, "without_field": 0,
            "persons": {"theirs": 2, "ours": 2}, "split": 1, "joined": 1, "events_elsewhere": 2,
            "differences": [{"theirs": "8", "ours": "ada@x", "events": 2}],
        })
    );
    let done = folder.run(
        "migrate in --from amplitude --to simplified -o other --compare nope --order-by event_time",
    );
    let done = done.code(0).says(
        "warning: no event that is written has the property \"nope\", which --compare names, so nothing was compared",
    );
    assert!(!done.stderr.contains("elsewhere"), "{}", done.stderr);
}

#[test]
fn m_6_a_table_of_persons_joins_the_ids_of_a_person() {
    let view = |id: &str| {
        format!(
            "{{\"event\":\"View\",\"properties\":{{\"distinct_id\":\"{id}\",\"time\":1700000000}}}}\n"
        )
    };
    let csv =
        format!("distinct_id,person_id,is_deleted\n{D1},p1,0\n{D2},p1,1\nada,p1,0\n{D2},p2,0\n");
    let row = |id: &str, person: &str, is_deleted: u8| {
        format!(
            "{}\n",
            json!({"distinct_id": id, "person_id": person, "is_deleted": is_deleted})
        )
    };
    let ndjson = [
        row(D1, "p1", 0),
        row(D2, "p1", 1),
        row("ada", "p1", 0),
        row(D2, "p2", 0),
    ]
    .concat();
    let folder = Folder::with(&[
        ("in", &[view(D1), view(D2)].concat()),
        ("csv", &csv),
        ("ndjson", &ndjson),
    ]);
    for mapping in ["csv", "ndjson"] {
        let migrate = format!(
            "migrate in --from original --to simplified -o {mapping}-new --mapping {mapping}"
        );
        folder.run(&migrate).ok();
        assert_eq!(
            folder.read(&format!("{mapping}-new/mapping.csv")),
            format!("distinct_id,resolved_distinct_id\n$device:{D1},ada\n")
        );
    }
}
