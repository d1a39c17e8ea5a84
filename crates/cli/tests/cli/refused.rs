//! Refused lines: they are kept whole with the reason, and are not in the output.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::run::{Folder, event, event_names};

/// Resolves the lines and returns the file of refused lines.
#[track_caller]
fn refused(engine: &str, lines: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    // An input of refused lines alone is an error (IN-6).
    folder.write(
        "in",
        [lines.as_ref(), b"\n", event("a").as_bytes()].concat(),
    );
    let args = format!("resolve in -q --engine {engine} -o out --refused refused");
    let done = folder.run(&args).code(0);
    assert_eq!(done.stderr, "");
    assert_eq!(folder.read("out"), event("a"));
    folder.read("refused")
}

#[test]
fn in_1_json_that_is_not_an_event_is_written_unchanged() {
    assert_eq!(
        refused(
            "simplified",
            r#"[1]
{"properties":{}}
  {"event":7, "properties":{}}
{"event":"A"}
{"event":"A","properties":[ {} ]}
"#
        ),
        r#"{"line":1,"file":"in","error":"\"[1]\" is not a JSON object with \"event\" and \"properties\" (IN-1)","rule":"IN-1","event":[1]}
{"line":2,"file":"in","error":"\"event\" must be a string, but is missing (IN-1)","rule":"IN-1","event":{"properties":{}}}
{"line":3,"file":"in","error":"\"event\" must be a string, but is \"7\" (IN-1)","rule":"IN-1","event":{"event":7, "properties":{}}}
{"line":4,"file":"in","error":"\"properties\" must be an object, but is missing (IN-1)","rule":"IN-1","event":{"event":"A"}}
{"line":5,"file":"in","error":"\"properties\" must be an object, but is \"[ {} ]\" (IN-1)","rule":"IN-1","event":{"event":"A","properties":[ {} ]}}
"#
    );
}

#[test]
fn in_1_a_line_that_is_not_json_is_written_as_text() {
    for text in [
        "hello \"you\"",
        "{\"event\":\"A\",\"properties\":{}}}",
        "{\"event\":\"A\"",
        "nul",
        "é",
    ] {
        let refused = refused("original", format!("  {text}\t\n"));
        let (start, rest) = refused.split_once(": ").unwrap();
        assert_eq!(start, "{\"line\":1,\"file\":\"in\",\"error\":\"not JSON");
        let text = serde_json::to_string(text).unwrap();
        let end = format!(" (IN-1)\",\"rule\":\"IN-1\",\"text\":{text}}}\n");
        assert!(rest.ends_with(&end), "{rest}");
    }
}

/// The rule of each refused line, and the property that its error begins with.
#[track_caller]
fn rules(engine: &str, properties: &[&str]) -> Vec<(String, String)> {
    let lines: Vec<_> = properties
        .iter()
        .map(|properties| match properties.split_once(' ') {
            Some((name, properties)) => {
                format!("{{\"event\":\"{name}\",\"properties\":{{{properties}}}}}\n")
            }
            None => format!("{{\"event\":\"A\",\"properties\":{{{properties}}}}}\n"),
        })
        .collect();
    let refused = refused(engine, lines.concat());
    let found: Vec<_> = refused.lines().collect();
    assert_eq!(found.len(), lines.len(), "{refused}");
    let rule = |(line, record): (&String, &&str)| {
        let event = format!("\"event\":{}}}", line.trim_end());
        assert!(record.ends_with(&event), "{record} {event}");
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        let (rule, error) = (
            record["rule"].as_str().unwrap(),
            record["error"].as_str().unwrap(),
        );
        assert!(error.ends_with(&format!("({rule})")), "{error}");
        (error.split(' ').next().unwrap().to_owned(), rule.to_owned())
    };
    lines.iter().zip(&found).map(rule).collect()
}

fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(property, rule): &(&str, &str)| ((*property).to_owned(), (*rule).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn id_7_a_refused_event_names_property_and_rule_in_simplified() {
    let too_long = format!("\"$user_id\":\"{}\"", "x".repeat(256));
    assert_eq!(
        rules(
            "simplified",
            &[
                r#""$user_id":"undefined""#,
                r#""$user_id":"U1","$device_id":1.5"#,
                r#""$device_id":"$device:""#,
                r#""distinct_id":"$device:NULL""#,
                r#""distinct_id":["x"]"#,
                r#""$user_id":18446744073709551616"#,
                // The IDs of an event that never links are checked too.
                r#"$identify "$user_id":true,"$device_id":"D1""#,
                &too_long,
            ]
        ),
        expected(&[
            ("$user_id", "ID-4"),
            ("$device_id", "ID-3"),
            ("$device_id", "ID-5"),
            ("distinct_id", "ID-4"),
            ("distinct_id", "ID-3"),
            ("$user_id", "ID-3"),
            ("$user_id", "ID-3"),
            ("$user_id", "ID-2"),
        ])
    );
}

#[test]
fn id_7_a_refused_event_names_property_and_rule_in_original() {
    assert_eq!(
        rules(
            "original",
            &[
                r#""distinct_id":0"#,
                r#""distinct_id":"$device:$device:x""#,
                r#"$identify "$identified_id":"U1""#,
                r#"$identify "$anon_id":"x""#,
                r#"$identify "$identified_id":"U1","$anon_id":{}"#,
                r#"$create_alias "distinct_id":"U1""#,
                r#"$create_alias "alias":"U1""#,
                r#"$merge "$distinct_ids":["a"]"#,
                r#"$merge "$distinct_ids":["a",null]"#,
                r#"$merge "distinct_id":"a""#,
                r#"$merge "$distinct_ids":["a","N/A"]"#,
            ]
        ),
        expected(&[
            ("distinct_id", "ID-4"),
            ("distinct_id", "O-1"),
            ("$anon_id", "O-3"),
            ("$identified_id", "O-3"),
            ("$anon_id", "ID-3"),
            ("alias", "O-4"),
            ("distinct_id", "O-4"),
            ("$distinct_ids", "O-5"),
            ("$distinct_ids", "O-5"),
            ("$distinct_ids", "O-5"),
            ("$distinct_ids", "ID-4"),
        ])
    );
}

#[test]
fn id_7_a_refused_event_links_nothing() {
    let folder = Folder::with(&[(
        "in",
        r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"null"}}
{"event":"B","properties":{"$device_id":"D1","$user_id":"U2"}}
"#,
    )]);
    assert_eq!(
        folder.run("clusters in --engine simplified").ok(),
        "{\"canonical\":\"U2\",\"members\":[\"U2\",\"$device:D1\"]}\n"
    );
}

#[test]
fn in_1_a_line_that_is_not_utf_8_is_written_as_base64() {
    let line = b"{\"event\":\"\xff\",\"properties\":{}} ";
    let base64 = BASE64.encode(line);
    assert_eq!(
        refused("original", line),
        format!(
            "{{\"line\":1,\"file\":\"in\",\"error\":\"not UTF-8 from byte 10 on; save or send the text as UTF-8 (IN-1)\",\"rule\":\"IN-1\",\"base64\":\"{base64}\"}}\n"
        )
    );
}

#[test]
fn in_3_a_line_that_is_too_long_is_written_as_base64() {
    let folder = Folder::new();
    let long = "x".repeat(300_001);
    folder.write("in", format!("{long}\n{}{long}", event("a")));
    let limit = "--max-line-bytes 100";
    folder
        .run(&format!(
            "resolve in -q {limit} --engine original -o out --refused refused"
        ))
        .ok();
    assert_eq!(folder.read("out"), event("a"));
    let base64 = BASE64.encode(long);
    let record = |line| {
        format!(
            "{{\"line\":{line},\"file\":\"in\",\"error\":\"the line has more than 100 bytes, the limit of --max-line-bytes (IN-3)\",\"rule\":\"IN-3\",\"base64\":\"{base64}\"}}\n"
        )
    };
    assert!(folder.read("refused") == record(1) + &record(3));
}

#[test]
fn line_numbers_count_within_each_file_and_include_blank_lines() {
    let folder = Folder::with(&[
        ("1", &format!("no\n{}", event("a"))),
        ("2", &format!("\n{}\nno\n", event("a"))),
    ]);
    folder.write("3.gz", crate::run::gzip("\nno\n".to_owned() + &event("a")));
    let args = "resolve 1 2 - 3.gz -q --engine simplified -o out --refused refused";
    folder
        .pipe("\r\nno\r\n".to_owned() + &event("a"), args)
        .ok();
    let places: Vec<_> = folder
        .read("refused")
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["text"], "no");
            (
                record["file"].as_str().unwrap().to_owned(),
                record["line"].as_u64().unwrap(),
            )
        })
        .collect();
    let place = |file: &str, line| (file.to_owned(), line);
    assert_eq!(
        places,
        [
            place("1", 1),
            place("2", 4),
            place("-", 2),
            place("3.gz", 2)
        ]
    );
}

#[test]
fn without_a_file_stderr_shows_the_number_and_the_first_five() {
    let run = |lines| {
        Folder::new()
            .pipe(lines, "resolve -q --engine simplified")
            .code(0)
    };
    let shown = |number: usize| {
        format!(
            "idmerge:   -, line {number}: \"properties\" must be an object, but is missing (IN-1)\n"
        )
    };
    let hint =
        "idmerge: `--refused FILE` writes them to a file; `idmerge help rules` prints the rules\n";

    let bad = "{\"event\":\"A\"}\n";
    let done = run(event("a") + bad + &event("b"));
    assert_eq!(event_names(&done.stdout), ["a", "b"]);
    assert_eq!(
        done.stderr,
        format!("idmerge: 1 line was refused:\n{}{hint}", shown(2))
    );

    let five: String = (1..=5).map(shown).collect();
    let done = run(bad.repeat(5) + &event("a"));
    assert_eq!(
        done.stderr,
        format!("idmerge: 5 lines were refused:\n{five}{hint}")
    );
    let done = run(bad.repeat(7) + &event("a"));
    assert_eq!(
        done.stderr,
        format!("idmerge: 7 lines were refused:\n{five}idmerge:   … and more\n{hint}")
    );
}

#[test]
fn the_file_is_empty_if_no_line_is_refused() {
    let folder = Folder::with(&[("in", &event("a")), ("refused", "of an earlier run\n")]);
    folder
        .run("resolve in -q --engine simplified --refused refused")
        .ok();
    assert_eq!(folder.read("refused"), "");
}

/// Of `count` lines that are refused, the first is line 2 of `in`.
fn excess(count: u64, option: &str) -> String {
    let were = match count {
        1 => "1 line was",
        _ => &format!("{count} lines were"),
    };
    format!(
        "{were} refused, so nothing was written ({option}); the first: in, line 2: \"properties\" must be \
         an object, but is missing (IN-1)"
    )
}

/// The commands that read events, with the options that they need.
const READERS: &[&str] = &[
    "resolve in --engine simplified",
    "clusters in --engine simplified",
    "cluster x in --engine simplified",
    "mappings in --engine simplified",
    "inspect in",
    "lint in --engine simplified",
    "order in --engine simplified",
];

#[test]
fn with_strict_only_refused_lines_are_written() {
    let bad = "{\"event\":\"A\"}\n";
    let folder = Folder::with(&[("in", &(event("a") + bad)), ("out", "old\n")]);
    for command in READERS {
        let args = format!("{command} --strict --refused refused");
        folder.run(&args).fails_with(&excess(1, "--strict"));
        assert_eq!(folder.read("refused").lines().count(), 1);
        if !command.starts_with("cluster ") && !command.starts_with("inspect") {
            let to_file = folder.run(&format!("{args} -o out"));
            to_file.fails_with(&excess(1, "--strict"));
        }
        assert_eq!(folder.read("out"), "old\n");
        assert_eq!(folder.names(), ["in", "out", "refused"]);
    }
    folder.write("in", event("a"));
    let done = folder.run("resolve in --strict -q --engine simplified");
    assert_eq!(done.ok(), event("a"));
}

#[test]
fn as_many_lines_as_allowed_may_be_refused() {
    let bad = "{\"event\":\"A\"}\n".repeat(3);
    let folder = Folder::with(&[("in", &(event("a") + &bad))]);
    for command in READERS {
        let run = |max: u64| {
            folder.run(&format!(
                "{command} -q --refused refused --max-refused {max}"
            ))
        };
        run(2).fails_with(&excess(3, "--max-refused 2"));
        run(0).fails_with(&excess(3, "--max-refused 0"));
        assert_eq!(folder.read("refused").lines().count(), 3);
        // `inspect` finds no ID in these events.
        let code = i32::from(command.starts_with("inspect"));
        run(3).code(code);
        folder
            .run(&format!(
                "{command} in --engine simplified --strict --max-refused 3"
            ))
            .code(2);
    }
}

#[test]
fn strict_allows_rejected_claims() {
    let lines = r#"{"event":"$merge","properties":{"$distinct_ids":["a","a"]}}"#;
    let done = Folder::new().pipe(lines, "resolve --strict -q --engine original");
    assert!(done.ok().contains("errSameIDs"));
}
