//! `--order-by` (A-6) of `ingest` and `inspect`, and inputs of which nothing can be used (IN-6) with `--from` and
//! `--store`.

use crate::run::Folder;

/// An event with both IDs, which links them in Simplified.
fn event(user: &str, time: u32) -> String {
    format!(
        r#"{{"event":"A","properties":{{"$device_id":"D","$user_id":"{user}","time":{time},"$insert_id":"i-{user}"}}}}"#
    ) + "\n"
}

fn call(user: &str, second: u32) -> String {
    format!(
        r#"{{"type":"track","event":"A","anonymousId":"D","userId":"{user}","messageId":"m-{user}","receivedAt":"2024-05-01T12:00:{second:02}Z"}}"#
    ) + "\n"
}

fn new_entries(summary: &str) -> u64 {
    let summary: serde_json::Value = serde_json::from_str(summary.trim()).unwrap();
    summary["new_entries"].as_u64().unwrap()
}

#[test]
fn a_6_ingest_takes_the_records_in_the_order_of_a_field_and_only_once() {
    for (a, b, from) in [
        (event("U3", 3) + &event("U1", 1), event("U2", 2), "time"),
        (
            call("U3", 3) + &call("U1", 1),
            call("U2", 2),
            "receivedAt --from segment",
        ),
    ] {
        let folder = Folder::with(&[("a", &a), ("b", &b)]);
        let ingest = format!("ingest people a b --strict --summary json --order-by {from}");
        let of = |run: crate::run::Done| new_entries(&run.code(0).stderr);
        let taken = of(folder.run(&format!("{ingest} --engine simplified")));
        assert!(taken > 0);
        let clusters = folder.run("clusters --store people").ok();
        assert_eq!(
            clusters,
            "{\"canonical\":\"U1\",\"members\":[\"U1\",\"$device:D\"]}\n"
        );
        // The sorted records are one input, which is known by its content (AR-3).
        assert_eq!(of(folder.run(&ingest)), 0);
        assert_eq!(folder.run("clusters --store people").ok(), clusters);
        // Without the argument the device belongs to the user that comes first.
        let engine = ingest.replace("people", "others") + " --engine simplified";
        let unsorted = engine
            .replace("--order-by receivedAt", "")
            .replace("--order-by time", "");
        folder.run(&unsorted).code(0);
        let clusters = folder.run("clusters --store others").ok();
        assert!(clusters.contains("\"canonical\":\"U3\""), "{clusters}");
    }
}

#[test]
fn a_6_inspect_reads_the_records_in_the_order_of_a_field() {
    // In order of time, the device is never shown with another user than before.
    let unsorted = event("U1", 1) + &event("U2", 3) + &event("U1", 2);
    let sorted = event("U1", 1) + &event("U1", 2) + &event("U2", 3);
    let wanted = Folder::with(&[("in", &sorted)]);
    let folder = Folder::with(&[("in", &unsorted)]);
    for format in ["text", "json"] {
        let inspect = format!("inspect in -q --format {format}");
        let wanted = wanted.run(&inspect).ok();
        let found = folder.run(&format!("{inspect} --order-by time")).ok();
        assert_eq!(found, wanted);
        assert_ne!(folder.run(&inspect).ok(), wanted);
    }
}

#[test]
fn in_6_each_input_is_judged_alone_whatever_the_command_and_the_sender() {
    let folder = Folder::with(&[
        ("good", &event("U", 1)),
        (
            "flat",
            "{\"event\":\"A\",\"distinct_id\":\"U\",\"time\":2}\n",
        ),
        ("calls", &call("U", 1)),
        (
            "kinds",
            "{\"type\":\"track\",\"userId\":true,\"receivedAt\":\"2024-05-01\"}\n{\"userId\":\"U\",\"receivedAt\":\"2024-05-02\"}\n",
        ),
        // Passed over, which is no mistake.
        (
            "deletes",
            "{\"type\":\"delete\",\"userId\":\"U\",\"receivedAt\":\"2024-05-01\"}\n",
        ),
    ]);
    folder.run("ingest people good -q --engine simplified").ok();
    let of_events = "--order-by time";
    let of_calls = "--order-by receivedAt --from";
    for (command, rest) in [
        ("resolve good flat", format!("--store people {of_events}")),
        (
            "ingest new good flat",
            format!("--engine simplified {of_events}"),
        ),
        ("inspect good flat", of_events.to_owned()),
        (
            "resolve calls kinds",
            format!("--store people {of_calls} segment"),
        ),
        (
            "resolve calls kinds",
            format!("--engine simplified {of_calls} segment"),
        ),
        (
            "clusters calls kinds",
            format!("--engine original {of_calls} auto"),
        ),
        (
            "ingest new calls kinds",
            format!("--engine simplified {of_calls} auto"),
        ),
        ("inspect calls kinds", format!("{of_calls} segment")),
    ] {
        let bad = command.rsplit(' ').next().unwrap();
        let run = folder.run(&format!("{command} -q {rest}"));
        let says = format!("{bad}: none of its events can be used (IN-6)");
        assert_eq!(run.code(1).says(&says).stdout, "", "{command} {rest}");
        // As without sorting.
        let unsorted = rest
            .replace("--order-by time", "")
            .replace("--order-by receivedAt", "");
        folder
            .run(&format!("{command} -q {unsorted}"))
            .code(1)
            .says(&says);
    }
    for command in ["resolve", "ingest new2", "clusters"] {
        let command = format!("{command} calls deletes -q --engine simplified {of_calls} segment");
        folder.run(&command).ok();
    }
}
