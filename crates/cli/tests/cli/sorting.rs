//! `--order-by` (A-6): the records of all inputs are sorted before anything else reads them.

use crate::run::{Folder, gzip, zstd};

/// An event with both IDs, which links them in Simplified.
fn event(user: &str, time: &str) -> String {
    format!(
        r#"{{"event":"A","properties":{{"$device_id":"D","$user_id":"{user}","time":{time},"of":"{user}"}}}}"#
    ) + "\n"
}

#[test]
fn a_6_the_records_of_all_inputs_are_taken_in_the_order_of_a_field() {
    let times = ["30", "7.5", "7", "30", "100", "7.25", "\"8\"", "7"];
    let events: Vec<_> = times
        .iter()
        .enumerate()
        .map(|(number, time)| event(&format!("U{number}"), time))
        .collect();
    // Equal times stay in the order of the inputs.
    let sorted: String = [2, 7, 5, 1, 6, 0, 3, 4]
        .map(|number| &*events[number])
        .concat();
    let folder = Folder::new();
    folder.write("a", events[..3].concat());
    folder.write("b.gz", gzip(events[3..6].concat()));
    folder.write("c", format!("[{}]", events[6..].join(",\n\n")));
    folder.write("sorted", &sorted);
    for engine in ["simplified", "original", "legacy"] {
        for command in ["resolve", "clusters", "mappings", "cluster U2"] {
            let wanted = folder
                .run(&format!("{command} sorted -q --engine {engine}"))
                .ok();
            let found = folder.run(&format!(
                "{command} a b.gz c -q --strict --engine {engine} --order-by time"
            ));
            assert_eq!(found.ok(), wanted, "{command}, {engine}");
        }
    }
    let found = folder.pipe(
        events.concat(),
        "resolve - -q --engine simplified --order-by properties.time",
    );
    let wanted = folder.run("resolve sorted -q --engine simplified").ok();
    assert_eq!(found.ok(), wanted);
    // In the order of arrival, the device belongs to another user.
    let unsorted = folder.run("clusters a b.gz c -q --engine simplified").ok();
    assert!(unsorted.contains("\"canonical\":\"U0\""), "{unsorted}");
}

#[test]
fn a_6_records_of_other_products_and_rows_of_tables_are_sorted_too() {
    let folder = Folder::new();
    let call = |user: &str, received: &str| {
        format!(
            r#"{{"type":"track","event":"A","anonymousId":"D","userId":"{user}","messageId":"m{user}","receivedAt":"{received}"}}"#
        ) + "\n"
    };
    let calls =
        call("U1", "2024-05-01T12:00:00.000001Z") + &call("U2", "2024-05-01T14:00:00+02:00");
    folder.write("calls", &calls);
    folder.write(
        "rows",
        "user,device,at\nU1,D,2024-05-02\n\"U\n2\",D,2024-05-01\n",
    );
    for from in ["--from segment", "--from auto"] {
        let of =
            format!("clusters calls -q --strict --engine simplified {from} --order-by receivedAt");
        assert_eq!(
            folder.run(&of).ok(),
            "{\"canonical\":\"U2\",\"members\":[\"U2\",\"$device:D\"]}\n"
        );
    }
    let of = "clusters rows -q --strict --engine simplified --from csv --map user=user,device=device,event='A' \
              --order-by at";
    assert_eq!(
        folder.run(of).ok(),
        "{\"canonical\":\"U\\n2\",\"members\":[\"U\\n2\",\"$device:D\"]}\n"
    );
}

#[test]
fn a_6_a_refusal_names_the_place_that_the_record_came_from() {
    let folder = Folder::new();
    let bad_id = r#"{"event":"A","properties":{"$user_id":true,"time":1}}"#;
    let no_time = r#"{"event":"A","properties":{"$user_id":"U"}}"#;
    folder.write(
        "a",
        event("U1", "5") + "\n" + no_time + "\n" + bad_id + "\n",
    );
    folder.write(
        "b",
        format!(
            "[{},\n{{\"event\":\n\"A\",\"properties\":{{\"time\":{{}}}}}},\n{bad_id}]",
            event("U2", "3").trim()
        ),
    );
    folder.write("c", "{\"event\":\n");
    let run =
        folder.run("resolve a b -o out --engine simplified --order-by time --refused refused");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let refused = folder.read("refused");
    let place = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        (
            line["file"].as_str().unwrap().to_owned(),
            line["line"].as_u64().unwrap(),
            line["rule"].as_str().unwrap().to_owned(),
        )
    };
    let places: Vec<_> = refused.lines().map(place).collect();
    let wanted = [
        ("a", 3, "A-6"),
        ("b", 2, "A-6"),
        ("a", 4, "ID-3"),
        ("b", 4, "ID-3"),
    ];
    let wanted = wanted.map(|(file, line, rule)| (file.to_owned(), line, rule.to_owned()));
    assert_eq!(places, wanted, "{refused}");
    assert!(
        refused.contains("\\\"time\\\" is missing, and --order-by sorts by it"),
        "{refused}"
    );
    assert!(refused.contains("\\\"time\\\" is \\\"{}\\\""), "{refused}");

    let run = folder.run("resolve a -o out --strict --engine simplified --order-by time");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    // If no record of an input has the field, that is an error (IN-6).
    let run = folder.run("clusters a --engine simplified --order-by received");
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("\"received\" is missing"),
        "{}",
        run.stderr
    );
    let run = folder.run("clusters c --engine simplified --order-by time");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    folder.write(
        "calls",
        "{\"type\":\"track\",\"userId\":\"U\",\"messageId\":\"m\"}\n",
    );
    for from in ["segment", "auto"] {
        let of = format!("clusters calls --engine simplified --from {from} --order-by received");
        folder
            .run(&of)
            .code(1)
            .says("\"received\" is missing, and --order-by sorts by it");
    }
}

#[test]
fn in_6_an_input_of_which_no_event_can_be_used_fails_the_run() {
    let folder = Folder::with(&[
        ("good", &event("U1", "1")),
        // An event without `properties`, and one whose ID is at the top of the record.
        (
            "flat",
            "{\"event\":\"A\",\"distinct_id\":\"U\",\"time\":2}\n",
        ),
        (
            "top",
            "{\"event\":\"A\",\"userId\":\"U\",\"properties\":{\"time\":3}}\n",
        ),
        ("empty", ""),
    ]);
    for engine in ["simplified", "original", "legacy"] {
        for command in ["resolve", "clusters"] {
            for (input, says) in [
                ("flat", "flat: none of its events can be used"),
                (
                    "top",
                    "top: no event of it has an ID where idmerge reads it",
                ),
            ] {
                let command =
                    format!("{command} good {input} -q --engine {engine} --order-by time");
                let run = folder.run(&command).code(1).says(says);
                assert_eq!(run.stdout, "", "{command}");
            }
            let command = format!("{command} good empty -q --engine {engine} --order-by time");
            folder.run(&command).ok();
        }
    }
}

#[test]
fn wrong_arguments_are_named_before_anything_is_sorted() {
    let folder = Folder::with(&[("in", &event("U1", "1"))]);
    for (arguments, code, says) in [
        ("--max-cluster-ids 5", 2, "is not a setting of"),
        ("--from csv", 2, "--from csv needs the columns"),
        ("--as mixpanel", 2, "name it with --from"),
        ("--from ga4 --as mixpanel", 1, "not for ga4 (A-4)"),
    ] {
        for command in ["resolve", "clusters", "mappings", "cluster U1"] {
            // Sorting would fail.
            let command = format!("{command} in --engine simplified --order-by none {arguments}");
            folder.run(&command).code(code).says(says);
        }
    }
}

#[test]
fn in_1_a_space_that_json_does_not_have_is_refused_as_without_sorting() {
    let event = event("U1", "1");
    let event = event.trim_end();
    let lines = [
        format!(" \t{event} \r"),
        format!("\u{a0}{event}"),
        format!("{event}\u{a0}"),
        format!("\u{c}{event}"),
    ];
    let folder = Folder::with(&[("in", &lines.join("\n"))]);
    let resolve = "resolve in --engine simplified --refused refused";
    let wanted = folder.run(resolve).ok();
    let refused = folder.read("refused");
    assert_eq!(refused.lines().count(), 3, "{refused}");
    let found = folder.run(&format!("{resolve} --order-by time")).ok();
    assert_eq!((found, folder.read("refused")), (wanted, refused));
}

/// 100 MB of records, in 80 MB: 32 MiB of them and what every run needs.
#[cfg(target_os = "linux")]
#[test]
fn a_6_sorting_takes_bounded_memory() {
    let folder = Folder::new();
    let padding = "x".repeat(200_000);
    let event = |number: u32| {
        let time = number * 7_919 % 500;
        format!(
            r#"{{"event":"A","properties":{{"$user_id":"U{number}","time":{time},"p":"{padding}"}}}}"#
        ) + "\n"
    };
    let all: String = (0..500).map(event).collect();
    folder.write("in.zst", zstd(all));
    let run = folder.shell(
        "ulimit -d 80000 || exit 9\n\
         idmerge resolve in.zst -q --strict --engine simplified --order-by time | cut -c 1-70",
    );
    let times: Vec<u32> = run
        .ok()
        .lines()
        .map(|line| {
            let time = line.split("\"time\":").nth(1).unwrap();
            let digits = time.find(|character: char| !character.is_ascii_digit());
            time[..digits.unwrap()].parse().unwrap()
        })
        .collect();
    assert_eq!(times, (0..500).collect::<Vec<_>>());
}
