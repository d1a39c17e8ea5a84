//! `migrate --from auto` (A-8).

use crate::run::Folder;

const CALLS: &str = r#"{"type":"track","event":"View","anonymousId":"5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e","messageId":"m1","timestamp":"2024-05-01T12:00:00Z","receivedAt":"2024-05-01T12:00:00Z"}
{"type":"identify","userId":"ada","anonymousId":"5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e","messageId":"m2","timestamp":"2024-05-01T12:01:00Z","receivedAt":"2024-05-01T12:01:00Z"}
"#;

/// Amplitude counts the second one for the last user of the device, and the first user is another.
const AMPLITUDE: &str = r#"{"amplitude_id":1,"event_type":"Log In","user_id":"ada","device_id":"d1","event_time":"2024-05-01 12:00:00","uuid":"u1"}
{"amplitude_id":2,"event_type":"Log In","user_id":"bob","device_id":"d1","event_time":"2024-05-01 12:01:00","uuid":"u2"}
{"amplitude_id":2,"event_type":"View","device_id":"d1","event_time":"2024-05-01 12:02:00","uuid":"u3"}
"#;

const EVENTS: &str =
    "{\"event\":\"A\",\"properties\":{\"distinct_id\":\"U1\",\"time\":1700000000}}\n";

fn files(folder: &Folder, name: &str) -> Vec<String> {
    ["links", "events", "conflicts"]
        .map(|file| format!("{name}/{file}.ndjson"))
        .into_iter()
        .chain([format!("{name}/mapping.csv"), format!("{name}/report.json")])
        .map(|file| folder.read(&file))
        .collect()
}

#[test]
fn a_8_a_migration_finds_out_which_product_the_records_are_of() {
    let folder = Folder::with(&[("segment", CALLS), ("amplitude", AMPLITUDE)]);
    for product in ["segment", "amplitude"] {
        for (more, kind) in [("", "plain"), ("--order-by timestamp", "sorted")] {
            if product == "amplitude" && kind == "sorted" {
                continue;
            }
            let migrate = |from: &str, name: &str| {
                let command =
                    format!("migrate {product} --from {from} --to simplified -o {name} {more}");
                folder.run(&command).code(0).stderr
            };
            let [auto, named] = ["auto", "named"].map(|name| format!("{name}-{product}-{kind}"));
            let said = migrate("auto", &auto);
            assert!(said.contains(&format!("read as {product}")), "{said}");
            migrate(product, &named);
            assert_eq!(files(&folder, &auto), files(&folder, &named), "{product}");
            let migration = folder.read(&format!("{auto}/migration.json"));
            assert!(
                migration.contains(&format!("\"from\": \"{product}\"")),
                "{migration}"
            );
        }
    }
    let report = folder.read("auto-amplitude-plain/report.json");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["events"]["reattributed"], 1, "{report}");
}

#[test]
fn a_8_stdin_too() {
    let folder = Folder::new();
    folder
        .pipe(CALLS, "migrate - --from auto --to simplified -o new")
        .code(0);
    assert!(
        folder
            .read("new/mapping.csv")
            .contains("$device:5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e,ada")
    );
}

#[test]
fn m_22_a_later_run_may_name_what_was_found_and_may_not_be_of_another_product() {
    let folder = Folder::with(&[("segment", CALLS), ("amplitude", AMPLITUDE)]);
    let migrate = |input: &str, from: &str| {
        folder.run(&format!(
            "migrate {input} --from {from} --to simplified -o new"
        ))
    };
    migrate("segment", "auto").code(0);
    let first = files(&folder, "new");
    for from in ["segment", "auto"] {
        migrate("segment", from).code(0);
        assert_eq!(files(&folder, "new"), first);
    }
    migrate("amplitude", "auto")
        .code(2)
        .says("has an earlier migration with --from segment");
    assert_eq!(files(&folder, "new"), first);
}

#[test]
fn m_22_a_run_without_records_leaves_open_which_product_they_are_of() {
    let folder = Folder::with(&[("none", ""), ("segment", CALLS), ("amplitude", AMPLITUDE)]);
    let migrate = |input: &str, from: &str, name: &str| {
        folder.run(&format!(
            "migrate {input} --from {from} --to simplified -o {name}"
        ))
    };
    for from in ["auto", "segment"] {
        let new = format!("by-{from}");
        migrate("none", "auto", &new).code(0);
        migrate("segment", from, &new).code(0);
        assert!(folder.read(&format!("{new}/mapping.csv")).contains("ada"));
        // Once it is known, it stays.
        migrate("none", "auto", &new).code(0);
        migrate("amplitude", "auto", &new)
            .code(2)
            .says("has an earlier migration with --from segment");
        migrate("segment", "auto", &new).code(0);
    }
}

#[test]
fn a_8_events_of_mixpanel_do_not_say_their_model() {
    let folder = Folder::with(&[("events", EVENTS)]);
    for more in ["", "--order-by time"] {
        folder
            .run(&format!(
                "migrate events --from auto --to simplified -o new {more}"
            ))
            .code(2)
            .says("do not say the model of their project")
            .says("--from original");
    }
}
