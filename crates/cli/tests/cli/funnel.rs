//! `funnel`, `uniques` and `retention` on files, with figures worked out by hand from rules F-1 to F-8.

use std::fs;

use serde_json::{Value, json};

use crate::run::{Done, Folder, gzip};

const SHOP: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/web-shop.ndjson"
);

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");

/// Ada reads on a device, signs up two hours later on it, and buys as herself; ben only reads.
const EVENTS: &str = r#"
{"event":"View","properties":{"$device_id":"D1","time":1780300800,"path":"/blog"}}
{"event":"View","properties":{"$user_id":"ben","time":1780300801,"path":"/"}}
{"event":"Sign Up","properties":{"$device_id":"D1","$user_id":"ada","time":1780308000}}
{"event":"Buy","properties":{"$user_id":"ada","time":1780387200,"sum":20}}
{"event":"Buy","properties":{"$user_id":"ada","sum":20}}
{"event":"Buy","properties":{"time":1780387200}}
"#;

#[track_caller]
fn json_of(done: Done) -> Value {
    serde_json::from_str(&done.ok()).unwrap()
}

/// The users at each step, with and without merge.
fn users(answer: &Value) -> Vec<(u64, u64)> {
    let steps = answer["steps"].as_array().unwrap();
    let of = |step: &Value, key: &str| step[key].as_u64().unwrap();
    let pair = |step: &Value| (of(step, "users"), of(step, "users_without_merge"));
    steps.iter().map(pair).collect()
}

#[test]
fn f_8_the_json_has_the_names_of_the_server() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let done =
        folder.shell("idmerge funnel in --engine simplified --steps View 'Sign Up' Buy --json");
    let expected = json!({
        "steps": [
            {"event": "View", "users": 2, "conversion": 1.0, "conversion_from_previous": 1.0,
             "median_ms": null, "p90_ms": null, "users_without_merge": 2,
             "conversion_without_merge": 1.0, "difference": 0},
            {"event": "Sign Up", "users": 1, "conversion": 0.5, "conversion_from_previous": 0.5,
             "median_ms": 7_200_000, "p90_ms": 7_200_000, "users_without_merge": 0,
             "conversion_without_merge": 0.0, "difference": 1},
            {"event": "Buy", "users": 1, "conversion": 0.5, "conversion_from_previous": 1.0,
             "median_ms": 79_200_000, "p90_ms": 79_200_000, "users_without_merge": 0,
             "conversion_without_merge": 0.0, "difference": 1},
        ],
        "events_without_time": 1,
        "events_without_id": 1,
    });
    assert_eq!(done.stderr, "");
    assert_eq!(json_of(done), expected);
}

#[test]
fn f_1_every_form_of_input_and_every_source_of_identities_gives_the_same() {
    let folder = Folder::with(&[("in", EVENTS)]);
    folder.write("in.gz", gzip(EVENTS));
    let array: Vec<Value> = EVENTS
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    folder.write("array", serde_json::to_string_pretty(&array).unwrap());
    let steps = "--steps View 'Sign Up' Buy --json";
    let expected = json_of(folder.shell(&format!("idmerge funnel in --engine simplified {steps}")));
    for input in ["in.gz", "array", "- < in", "in --order-by event"] {
        let line = format!("idmerge funnel {input} --engine simplified {steps}");
        let done = folder.shell(&line);
        // An event without a user has the field `event` too, so `--order-by` refuses none.
        assert_eq!(json_of(done), expected, "{input}");
    }
    #[cfg(feature = "store")]
    {
        folder
            .run("ingest people in --engine simplified --quiet")
            .ok();
        let done = folder.shell(&format!("idmerge funnel in --store people {steps}"));
        assert_eq!(json_of(done), expected);
    }
}

#[test]
fn f_1_in_legacy_an_event_has_the_user_of_its_arrival() {
    // Without an ID merge the visit stays with the device: the alias counts for later events alone.
    let events = r#"
{"event":"View","properties":{"distinct_id":"D1","time":1}}
{"event":"$create_alias","properties":{"distinct_id":"D1","alias":"ada","time":2}}
{"event":"Sign Up","properties":{"distinct_id":"ada","time":3}}
{"event":"View","properties":{"distinct_id":"ben","time":1}}
{"event":"$create_alias","properties":{"distinct_id":"D2","alias":"ben","time":2}}
{"event":"Sign Up","properties":{"distinct_id":"ben","time":3}}
"#;
    let folder = Folder::with(&[("in", events)]);
    let done = folder.shell("idmerge funnel in --engine legacy --steps View 'Sign Up' --json");
    // Ada's sign-up is D1's at its arrival; ben's view was ben's and his sign-up is D2's.
    assert_eq!(users(&json_of(done)), [(2, 2), (1, 1)]);
}

#[test]
fn f_1_other_products_and_tables_are_read() {
    let calls = r#"
{"type":"track","event":"View","anonymousId":"D1","messageId":"m1","timestamp":"2026-06-01T10:00:00Z","properties":{}}
{"type":"track","event":"Sign Up","anonymousId":"D1","userId":"ada","messageId":"m2","timestamp":"2026-06-01T11:00:00Z","properties":{}}
"#;
    let table = "cookie,email,what,at\nD1,,View,2026-06-01T10:00:00Z\nD1,ada,Sign Up,2026-06-01T11:00:00Z\n";
    let folder = Folder::with(&[("calls", calls), ("table.csv", table)]);
    for input in [
        "calls --from segment",
        "table.csv --from csv --map device=cookie,user=email,event=what,time=at",
    ] {
        let line = format!(
            "idmerge funnel {input} --engine simplified --quiet --steps View 'Sign Up' --json"
        );
        assert_eq!(
            users(&json_of(folder.shell(&line))),
            [(1, 1), (1, 0)],
            "{input}"
        );
    }
}

#[test]
fn f_7_odd_names_and_conditions() {
    let events = r#"
{"event":"Clicked [CTA]","properties":{"$user_id":"u","time":1,"Item Name":"a \"b\", [c]"}}
{"event":"🍎 kaufen","properties":{"$user_id":"u","time":2,"n":1}}
{"event":"a\tb","properties":{"$user_id":"u","time":3}}
"#;
    let folder = Folder::with(&[("in", events)]);
    for (steps, expected) in [
        ("'Clicked [CTA]' '🍎 kaufen'", vec![1, 1]),
        (
            r#"'Clicked [CTA][Item Name == "a \"b\", [c]"]' '🍎 kaufen[n <= 1]'"#,
            vec![1, 1],
        ),
        ("'🍎 kaufen [n > 1]' 'Clicked [CTA]'", vec![0, 0]),
        ("'Clicked [CTA]' \"$(printf 'a\\tb')\"", vec![1, 1]),
    ] {
        let line =
            format!("idmerge funnel in --engine simplified --grace 0 --json --steps {steps}");
        let answer = json_of(folder.shell(&line));
        let users: Vec<_> = users(&answer).into_iter().map(|(with, _)| with).collect();
        assert_eq!(users, expected, "{steps}");
    }
    // What controls a terminal is not written to it.
    let done = folder.shell("idmerge funnel in --engine simplified --steps \"$(printf 'a\\tb')\"");
    assert!(done.ok().contains("1 a\u{fffd}b"));
}

#[test]
fn f_8_a_name_that_never_occurs_is_warned_of() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let shell = |steps: &str| {
        folder.shell(&format!(
            "idmerge funnel in --engine simplified --steps {steps}"
        ))
    };
    shell("view Signup 'Buy[sum > 99]' in")
        .code(0)
        .says("no event has the name \"view\"; did you mean 'View'")
        .says("no event has the name \"Signup\"; did you mean 'Sign Up'")
        .says("no event with an ID fits the step Buy[sum > 99]")
        .says("it is a file: INPUT comes before --steps");
    shell("'Buy[sum = 20]'")
        .code(0)
        .says(r#""= 20" does not begin with =="#)
        .says("F-7");
    assert_eq!(shell("View Buy").code(0).stderr, "");
}

#[test]
fn f_8_a_step_that_never_occurs_is_warned_of_among_many_names() {
    // More names than the program remembers.
    let event =
        |n| format!("{{\"event\":\"e{n}\",\"properties\":{{\"$user_id\":\"u\",\"time\":1}}}}\n");
    let many: String = (0..12_000).map(event).collect();
    let nobodys = r#"{"event":"Solo","properties":{"time":1}}"#;
    let folder = Folder::with(&[("many", &many), ("in", &format!("{EVENTS}{nobodys}\n"))]);
    for (input, step) in [("many", "Nope"), ("in", "Solo")] {
        let done = folder.run(&format!(
            "funnel {input} --engine simplified --steps {step}"
        ));
        let says = format!("no event with an ID fits the step {step}");
        done.code(0).says(&says);
    }
}

#[test]
fn f_8_every_step_of_the_longest_funnel_has_a_line() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let steps = "View ".repeat(99);
    for form in ["", "--svg", "--html"] {
        let args = format!("--engine simplified {form} --steps {steps} Buy");
        let text = folder.run(&format!("funnel in {args}")).ok();
        assert!(text.contains("100 Buy"), "{text}");
    }
}

#[test]
fn f_8_wrong_arguments_exit_with_code_2() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let hundred = "A ".repeat(101);
    for (args, says) in [
        ("--steps", "a value is required for '--steps <STEP>...'"),
        ("", "--steps <STEP>..."),
        (
            &*format!("--steps {hundred}"),
            "there are 101 steps; give 1 to 100 (F-8)",
        ),
        ("--steps A --window 0", "more than 0 and at most 366d (F-8)"),
        (
            "--steps A --window 367d",
            "more than 0 and at most 366d (F-8)",
        ),
        ("--steps A --window 7", "give a whole number with a unit"),
        ("--steps A --grace 1w", "give a whole number with a unit"),
        (
            "--steps A --from-date 2026-02-30",
            "give a date, as in 2026-01-31",
        ),
        (
            "--steps A --from-date 2026-02-02 --to-date 2026-02-01",
            "swap them",
        ),
        ("--steps A --between 1,2", "--exclude <STEP>"),
        (
            "--steps A B --exclude X --between 2,3",
            "give two of the 2 steps (F-6)",
        ),
        (
            "--steps A B --exclude X --between 2",
            "give the numbers of two steps",
        ),
        (
            "--steps A --hold a --hold b --hold c --hold d",
            "hold at most 3 (F-6)",
        ),
        ("--steps A --touch first", "--by <PROPERTY>"),
        ("--steps A --who 2", "give a number from 1 to 1"),
        ("--steps A --who 1 --svg", "leave --svg or --html out"),
        ("--steps A --json --csv", "cannot be used with"),
        (
            "--steps A --count totals --reentry optimized",
            "choose one (F-4)",
        ),
    ] {
        let done = folder.shell(&format!("idmerge funnel in --engine simplified {args}"));
        assert_eq!(done.code(2).says(says).stdout, "", "{args}");
    }
    let done = folder.shell("idmerge funnel in --engine simplified --steps A -o in");
    done.code(2).says("--output names the INPUT in");
    let done = folder.shell("idmerge funnel missing --engine simplified --steps A");
    done.code(1).says("missing");
}

#[test]
fn f_8_who_stopped_at_a_step() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let who = |args: &str| {
        let line =
            format!("idmerge funnel in --engine simplified --steps View 'Sign Up' Buy {args}");
        folder.shell(&line).ok()
    };
    assert_eq!(who("--who 1"), "ben\n");
    assert_eq!(who("--who View"), "ben\n");
    assert_eq!(who("--who 2"), "");
    assert_eq!(who("--who 3 --csv"), "distinct_id\nada\n");
    assert_eq!(
        who("--who Buy --json"),
        "{\"step\":3,\"distinct_ids\":[\"ada\"]}\n"
    );
}

#[test]
fn f_8_values_of_a_property_have_lines() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let by = |args: &str| {
        let line = format!(
            "idmerge funnel in --engine simplified --steps View 'Sign Up' --by path {args}"
        );
        folder.shell(&line).ok()
    };
    assert_eq!(
        by("--csv"),
        "value,users,converted,conversion,users_without_merge,converted_without_merge,\
         conversion_without_merge,difference\n\
         /,1,0,0.0,1,0,0.0,0\n\
         /blog,1,1,1.0,1,0,0.0,1\n"
    );
    let text = by("--touch last");
    assert!(text.contains("\n/blog  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒"), "{text}");
}

#[test]
fn f_7_values_are_written_as_they_are_equal() {
    let line = |value: &str| {
        format!(r#"{{"event":"View","properties":{{"$user_id":"u","time":1,"p":{value}}}}}"#)
    };
    let values = [
        "1e400",
        "10e399",
        "340282366920938463463374607431768211456",
        "340282366920938463463374607431768211457",
        "[1, 2]",
        "[1.0,2]",
        "\"1\"",
        "1",
    ];
    let folder = Folder::with(&[("in", &values.map(line).join("\n"))]);
    let funnel = "funnel in --engine simplified --steps View --by p --touch each --json";
    let answer = folder.run(funnel).ok();
    let rows = answer.split(r#"{"value":"#).skip(1);
    let mut values: Vec<&str> = rows
        .filter_map(|row| Some(row.split_once(",\"users\"")?.0))
        .collect();
    values.sort_unstable();
    assert_eq!(
        values,
        [
            "\"1\"",
            "1",
            "1e400",
            "340282366920938463463374607431768211456",
            "340282366920938463463374607431768211457",
            "[1,2]",
        ]
    );
}

#[test]
fn f_8_refused_lines_count_as_for_other_commands() {
    let folder = Folder::with(&[("in", &format!("{EVENTS}not json\n"))]);
    let funnel = "funnel in --engine simplified --steps View";
    folder.run(funnel).code(0).says("1 line was refused");
    let done = folder.run(&format!("{funnel} --strict")).code(1);
    assert_eq!(done.says("nothing was written").stdout, "");
    let done = folder.run("funnel in --engine simplified -o out --refused bad --steps View");
    assert_eq!(done.code(0).stderr, "");
    assert!(folder.read("bad").contains("IN-1"));
    assert!(folder.read("out").contains("View"));
}

#[test]
fn pictures_and_pages_are_well_formed_and_load_nothing() {
    let name = r#"<script>&'"</script>"#;
    let event = json!({"event": name, "properties": {"$user_id": "u", "time": 1}});
    let folder = Folder::with(&[("in", &event.to_string()), ("name", name)]);
    for form in ["--svg", "--html"] {
        let line = format!("idmerge funnel in --engine simplified --steps \"$(cat name)\" {form}");
        let page = folder.shell(&line).ok();
        assert!(!page.contains("<script>"), "{page}");
        assert!(
            page.contains("&lt;script&gt;&amp;&#39;&quot;&lt;/script&gt;"),
            "{page}"
        );
        for loads in ["src=", "href=", "url(", "@import"] {
            assert!(!page.contains(loads), "{page}");
        }
    }
}

#[test]
fn f_8_a_line_that_no_pass_holds_is_refused_once() {
    // A line beyond the limit is longer than a block, and the input is read twice.
    let long = "x".repeat(2 << 20);
    let folder = Folder::with(&[("in", &format!("{EVENTS}{long}\n"))]);
    for engine in ["simplified", "legacy"] {
        let args = "--max-line-bytes 100000 --max-refused 1 --steps View";
        let done = folder.run(&format!("funnel in --engine {engine} {args}"));
        done.code(0).says("1 line was refused");
    }
}

#[test]
fn uniques_and_retention_compare_with_and_without_merge() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let run =
        |command: &str| json_of(folder.run(&format!("{command} in --engine simplified --json")));
    let uniques = run("uniques --by event");
    let row = |event: &str, events: u64, users: u64, without: u64, each: f64| {
        json!({"event": event, "events": events, "users": users, "users_without_merge": without,
               "events_per_user": each})
    };
    assert_eq!(
        uniques["rows"],
        json!([
            row("View", 2, 2, 2, 1.0),
            row("Buy", 2, 1, 1, 2.0),
            row("Sign Up", 1, 1, 1, 1.0)
        ])
    );
    assert_eq!(
        uniques["total"],
        json!({"events": 5, "users": 2, "users_without_merge": 3, "events_per_user": 2.5})
    );
    let days = run("uniques --by day");
    assert_eq!(days["rows"][0]["day"], "2026-06-01");
    assert_eq!(days["rows"][1]["day"], "2026-06-02");
    assert_eq!(days["events_without_time"], 1);
    let retention = run("retention");
    assert_eq!(
        retention["cohorts"],
        json!([
            {"start": "2026-06-01", "users": 2, "users_without_merge": 3, "returned": [
                {"period": 1, "users": 1, "retention": 0.5, "users_without_merge": 1,
                 "retention_without_merge": 1.0 / 3.0}
            ]}
        ])
    );
    for command in ["uniques --by day", "uniques --by event", "retention"] {
        for form in ["", "--csv", "--svg", "--html"] {
            let text = folder
                .run(&format!("{command} in --engine simplified {form}"))
                .ok();
            assert!(text.lines().count() > 1, "{command} {form}");
        }
    }
}

#[test]
fn f_1_every_cohort_has_a_record() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let csv = folder.run("retention in --engine simplified --csv").ok();
    assert_eq!(
        csv,
        "start,period,users,returned,retention,users_without_merge,returned_without_merge\n\
         2026-06-01,0,2,2,1.0,3,3\n\
         2026-06-01,1,2,1,0.5,3,1\n"
    );
}

/// The output in the README below a command.
pub(crate) fn block_after(readme: &str, command: &str) -> String {
    let (_, after) = readme.split_once(command).unwrap();
    let (_, after) = after.split_once("```text\n").unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

#[test]
fn f_8_the_readme_answers_its_questions() {
    let readme = fs::read_to_string(README).unwrap();
    let folder = Folder::new();
    folder.write("web-shop.ndjson", fs::read(SHOP).unwrap());
    for command in [
        "idmerge funnel examples/web-shop.ndjson --engine simplified --steps 'Page View' 'Sign Up' Purchase",
        "idmerge funnel examples/web-shop.ndjson --engine simplified --steps 'Page View' 'Sign Up' --by '$current_url'",
    ] {
        let expected = block_after(&readme, command);
        let done = folder.shell(&command.replace("examples/", ""));
        assert_eq!(done.ok(), expected, "{command}");
    }
    let picture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/web-shop-funnel.svg"
    );
    let line = "idmerge funnel web-shop.ndjson --engine simplified --steps 'Page View' 'Sign Up' Purchase --svg";
    assert_eq!(
        folder.shell(line).ok(),
        fs::read_to_string(picture).unwrap()
    );
}
