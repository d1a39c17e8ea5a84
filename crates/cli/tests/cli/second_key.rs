//! `--order-by` given twice (A-6, M-4): equal records are in the order of the second field.

use crate::run::Folder;

/// An event with both IDs, which links them in Simplified.
fn event(user: &str, processed: &str, time: &str) -> String {
    format!(
        r#"{{"event":"A","properties":{{"$device_id":"D","$user_id":"{user}","mp_processing_time_ms":{processed},"time":{time},"$insert_id":"{user}"}}}}"#
    ) + "\n"
}

const BOTH: &str = "--order-by mp_processing_time_ms --order-by time";

#[test]
fn a_6_of_equal_first_fields_the_second_one_counts_and_then_the_order_of_arrival() {
    // The place of each in the wanted order, as the number of the user.
    let events = [
        event("U5", "2", "\"2024-05-01\""),
        event("U2", "1", "10"),
        event("U0", "-1", "99"),
        event("U3", "1", "10"),
        event("U4", "2", "7"),
        event("U1", "1", "9.5"),
    ];
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|event| event.split("\"U").nth(1).unwrap()[..1].to_owned());
    let folder = Folder::with(&[
        ("a", &events[..3].concat()),
        ("b", &events[3..].concat()),
        ("sorted", &sorted.concat()),
    ]);
    for command in [
        "resolve {} -q",
        "clusters {} -q",
        "mappings {} -q",
        "uniques {} -q --by event",
    ] {
        let run = |inputs: &str, more: &str| {
            let command = command.replace("{}", inputs);
            folder
                .run(&format!("{command} --engine simplified {more}"))
                .ok()
        };
        assert_eq!(run("a b", BOTH), run("sorted", ""), "{command}");
    }
    let ingest = |inputs: &str, store: &str, more: &str| {
        folder
            .run(&format!(
                "ingest {store} {inputs} --engine simplified {more}"
            ))
            .code(0);
        folder.run(&format!("clusters --store {store}")).ok()
    };
    assert_eq!(ingest("a b", "one", BOTH), ingest("sorted", "other", ""));
}

#[test]
fn m_4_a_migration_is_in_the_order_of_both_fields() {
    let lines = [
        event("bob", "2", "7"),
        event("eve", "1", "10"),
        event("ada", "1", "9"),
    ];
    let sorted = [&*lines[2], &lines[1], &lines[0]].concat();
    let folder = Folder::with(&[("in", &lines.concat()), ("sorted", &sorted)]);
    let migrate = |input: &str, more: &str, output: &str| {
        let command =
            format!("migrate {input} --from original --to simplified -o {output} -q {more}");
        folder.run(&command).ok();
        ["events.ndjson", "links.ndjson", "mapping.csv"]
            .map(|file| folder.read(&format!("{output}/{file}")))
    };
    let wanted = migrate("sorted", "", "wanted");
    assert_eq!(migrate("in", BOTH, "found"), wanted);
    assert!(wanted[2].contains("$device:D,ada"), "{}", wanted[2]);
    // The first field alone leaves the device to the one who came first.
    let first = migrate("in", "--order-by mp_processing_time_ms", "first");
    assert!(first[2].contains("$device:D,eve"), "{}", first[2]);
}

#[test]
fn a_6_a_record_without_the_second_field_is_refused() {
    let without = r#"{"event":"A","properties":{"$user_id":"U","mp_processing_time_ms":1}}"#;
    let folder = Folder::with(&[("in", &(event("U1", "1", "1") + without + "\n"))]);
    folder
        .run(&format!(
            "resolve in -q --strict --engine simplified {BOTH}"
        ))
        .code(1)
        .says("\"time\" is missing, and --order-by sorts by it");
}
