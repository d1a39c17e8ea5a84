//! The forms of an input (IN-6): lines, one array, objects in a row; and files that are none of these.

use crate::run::{Folder, event, event_names, gzip, text_of, zstd};

const VISIT: &str =
    r#"{"event": "V", "properties": {"distinct_id": "$device:d1", "$device_id": "d1"}}"#;
const LOGIN: &str =
    r#"{"event": "L", "properties": {"distinct_id": "u1", "$device_id": "d1", "$user_id": "u1"}}"#;
const CLUSTER: &str = "{\"canonical\":\"u1\",\"members\":[\"u1\",\"$device:d1\"]}\n";

/// The same object over several lines.
fn pretty(object: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(object).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

/// A visit and a login, in each form that is not NDJSON.
fn forms() -> Vec<String> {
    let (visit, login) = (pretty(VISIT), pretty(LOGIN));
    vec![
        format!("[{VISIT}, {LOGIN}]"),
        format!("[\n{VISIT},\n{LOGIN}\n]\n"),
        format!("\u{feff}\r\n [\r\n{VISIT}\r\n,{LOGIN}\r\n]\r\n\r\n"),
        format!("[\n{visit},\n{login}\n]"),
        format!("[{}]", format!("{visit},{login}").replace('\n', "\r\n")),
        format!("[{VISIT}]\n[{LOGIN}]\n"),
        format!("[{VISIT}][{LOGIN}]"),
        format!("[{visit}]\u{feff}[{login}] \r\n\u{feff}\n"),
        format!("[]\n[ \n] [{VISIT}]\n\u{feff}[]\r\n[{LOGIN}][]"),
        format!("{visit}\n{login}\n"),
        format!("{visit}{login}"),
        format!("\u{feff}{visit}\n\u{feff}{login}\n\u{feff}\n"),
        format!("{VISIT}{LOGIN}"),
        format!("{VISIT} {LOGIN}\n"),
        format!("{visit}\n{LOGIN}\n"),
    ]
}

/// The text without white space; in these tests no string has any.
fn squeezed(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.replace(char::is_whitespace, ""));
    lines.map(|line| line + "\n").collect()
}

#[test]
fn in_6_every_form_gives_the_same_events_through_every_command() {
    let lines = Folder::new();
    let expected = lines.pipe(
        format!("{VISIT}\n{LOGIN}\n"),
        "resolve -q --strict --engine simplified",
    );
    let expected = squeezed(&expected.ok());
    for form in forms() {
        for bytes in [form.clone().into_bytes(), gzip(&form), zstd(&form)] {
            let folder = Folder::new();
            folder.write("in", &bytes);
            let args = "resolve -q --strict --engine simplified";
            let resolved = folder.run(&format!("{args} in")).ok();
            assert_eq!(squeezed(&resolved), expected, "{form}");
            assert_eq!(folder.pipe(&*bytes, args).ok(), resolved, "{form}");
            let args = "clusters -q --engine simplified";
            assert_eq!(folder.run(&format!("{args} in")).ok(), CLUSTER);
            assert_eq!(folder.pipe(&*bytes, args).ok(), CLUSTER);
            let args = "cluster u1 -q --engine simplified in";
            assert_eq!(folder.run(args).ok(), CLUSTER);
            #[cfg(feature = "store")]
            {
                folder.run("ingest st in -q --engine simplified").ok();
                assert_eq!(folder.run("clusters --store st").ok(), CLUSTER);
                let args = "resolve in -q --strict --store st";
                assert_eq!(folder.run(args).ok(), resolved);
            }
        }
    }
}

#[test]
fn in_4_byte_order_marks_of_any_length_do_not_end_an_input() {
    let marks = "\u{feff}".repeat(90_000);
    let row = format!("{}\n{marks}{LOGIN}\n", pretty(VISIT));
    for text in [format!("[{VISIT},\n{marks}{LOGIN}]"), row] {
        let folder = Folder::with(&[("in", &text)]);
        let resolved = folder.run("resolve in -q --strict --engine simplified");
        assert_eq!(event_names(&resolved.ok()), ["V", "L"]);
        #[cfg(feature = "store")]
        {
            folder.run("ingest st in -q --engine simplified").ok();
            assert_eq!(folder.run("clusters --store st").ok(), CLUSTER);
            folder
                .run("ingest st in")
                .code(0)
                .says("taken before             2");
        }
        // An error of the input behind them is reported.
        let compressed = gzip(&text[..text.rfind(LOGIN).unwrap()]);
        folder.write("cut", &compressed[..compressed.len() - 9]);
        folder.run("resolve cut -q --engine simplified").code(1);
    }
}

#[test]
fn in_6_only_line_breaks_outside_strings_go() {
    let object = "{\r\n  \"event\" :\t\"a\\n[]{},b\",\n\n  \"properties\": {\"distinct_id\": \"\", \"x\": [1,\r\n 2]}}";
    let line = "{  \"event\" :\t\"a\\n[]{},b\",  \"properties\": {\"distinct_id\": \"\", \"x\": [1, 2]}}\n";
    for text in [object.to_owned(), format!("[{object}\n]")] {
        let out = Folder::new().pipe(text, "resolve -q --strict --engine simplified");
        assert_eq!(out.ok(), line);
    }
}

#[test]
fn in_6_the_first_value_settles_the_form_once() {
    let (a, b) = (event("a"), event("b"));
    // After a whole line that is one object, each line is alone: a pretty-printed object is refused.
    let text = format!("{a}{}\n[{}]\n{b}", pretty(&b), a.trim());
    let folder = Folder::with(&[("in", &text)]);
    let args = "resolve in -q --engine simplified --refused refused";
    assert_eq!(event_names(&folder.run(args).ok()), ["a", "b"]);
    assert_eq!(folder.read("refused").lines().count(), 7);
    // A broken first line does not make a row of the lines after it.
    for start in [
        "{\"event\":\"a\",\"properties\":{\n",
        "{\"event\":\"a\n",
        "{]\n",
        "[1]\n",
    ] {
        let out = Folder::new().pipe(format!("{start}{b}"), "resolve -q --engine simplified");
        assert_eq!(event_names(&out.ok()), ["b"], "{start}");
    }
    // Each input has its own form.
    let folder = Folder::with(&[
        ("1", &format!("[{}]", a.trim())),
        ("2", &b),
        ("3", &pretty(&a)),
    ]);
    let out = folder
        .run("resolve 1 2 3 -q --strict --engine simplified")
        .ok();
    assert_eq!(event_names(&out), ["a", "b", "a"]);
}

#[test]
fn in_6_a_bad_element_is_refused_alone_and_named_by_its_record_and_first_line() {
    let (a, b) = (event("a"), event("b"));
    let (a, b) = (a.trim(), b.trim());
    let text = format!("[{a},\n5,\n\"x\", null,\n{{\"event\":\n7}},\n[{a}],\n{b}]");
    let folder = Folder::with(&[("in", &text)]);
    let args = "resolve in -q --engine simplified";
    let done = folder.run(args).code(0);
    assert_eq!(event_names(&done.stdout), ["a", "b"]);
    done.says("idmerge: 5 records were refused:")
        .says("in, record 2 (line 2): \"5\" is not")
        .says("in, record 4 (line 3): \"null\" is not")
        .says("in, record 5 (line 4): \"event\" must be a string, but is \"7\"")
        .says("in, record 6 (line 6): ");
    folder.run(&format!("{args} --refused refused")).ok();
    let refused = folder.read("refused");
    let records: Vec<_> = refused.lines().collect();
    assert!(records[0].starts_with("{\"line\":2,\"record\":2,\"file\":\"in\","));
    assert!(records[3].starts_with("{\"line\":4,\"record\":5,\"file\":\"in\","));
    assert!(
        records[3].ends_with("\"event\":{\"event\":7}}"),
        "{}",
        records[3]
    );
    folder.run(&format!("{args} --strict")).code(1);
    // In a row as well.
    let text = format!("{}\n5 true\n{{\"event\":7}}\n{b}\n", pretty(a));
    let done = Folder::new()
        .pipe(text, "resolve -q --engine simplified")
        .code(0);
    assert_eq!(event_names(&done.stdout), ["a", "b"]);
    done.says("-, record 2 (line 7): \"5\" is not")
        .says("-, record 4 (line 8): ");
}

#[test]
fn in_6_after_broken_syntax_the_rest_is_one_refused_record() {
    let (a, b) = (event("a"), event("b"));
    let (a, b) = (a.trim(), b.trim());
    let pretty_a = pretty(a);
    for (start, rest, line) in [
        (format!("[{a},\n"), format!("{{\"event\" 5}},\n{b}]"), 2),
        (format!("[{a},\n"), format!("oops,{b}]"), 2),
        (format!("[{a}\n"), format!("{b}]\n"), 2),
        (format!("[{a},\n"), "{\"event\":\"b\",\"prop".to_owned(), 2),
        (format!("[{a},\n"), "]\n".to_owned(), 2),
        (format!("[{a},\n"), String::new(), 2),
        (format!("[{a}\n"), String::new(), 2),
        (format!("[{a}]\n"), format!("{b}[{b}]"), 2),
        (format!("[{a}]\n["), String::new(), 2),
        (format!("{pretty_a}\n"), format!("oops\n{b}\n{b}"), 7),
        (
            format!("{pretty_a}\n"),
            format!("{{\"event\":\"x\ny\"}}{b}\n"),
            7,
        ),
    ] {
        let folder = Folder::new();
        folder.write("in", start.clone() + &rest);
        let args = "resolve in -q --engine simplified";
        let done = folder.run(args).code(0);
        assert_eq!(event_names(&done.stdout), ["a"], "{rest}");
        done.says("1 record was refused:")
            .says(&format!("in, record 2 (line {line}): "))
            .says("(IN-6)");
        folder.run(&format!("{args} --refused refused")).ok();
        let refused = folder.read("refused");
        assert_eq!(refused.lines().count(), 1);
        assert_eq!(text_of(&refused, "rule"), "IN-6");
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text_of(&refused, "base64"));
        assert_eq!(String::from_utf8(bytes.unwrap()).unwrap(), rest);
        folder.run(&format!("{args} --strict")).code(1);
        folder.run("clusters in -q --engine simplified").ok();
    }
}

#[test]
fn in_3_counts_a_record_of_an_array() {
    let (a, long) = (event("a"), event(&"b".repeat(100)));
    let (a, long) = (a.trim(), long.trim());
    let folder = Folder::with(&[("in", &format!("[{a},\n{long},\n{a},{long}]"))]);
    let args = "resolve in -q --engine simplified --max-line-bytes 80";
    let done = folder.run(args).code(0);
    assert_eq!(event_names(&done.stdout), ["a", "a"]);
    done.says("in, record 2 (line 2): the record has more than 80 bytes, the limit of --max-line-bytes (IN-3)")
        .says("in, record 4 (line 3): ");
}

#[test]
fn in_7_an_element_that_is_not_utf_8_is_refused_alone() {
    let a = event("a");
    for (start, between, end) in [("[", ",", "]"), ("", "\n", "\n")] {
        let text = [start, a.trim(), between, "{\"event\":\""].concat();
        let mut bytes = text.into_bytes();
        bytes.push(0xff);
        bytes.extend(
            ["\",\"properties\":{}}", between, a.trim(), end]
                .concat()
                .bytes(),
        );
        let done = Folder::new()
            .pipe(bytes, "resolve -q --engine simplified")
            .code(0);
        assert_eq!(event_names(&done.stdout), ["a", "a"]);
        done.says("not UTF-8 from byte 10 on; save or send the text as UTF-8");
    }
}

#[test]
fn in_6_an_array_of_many_blocks_keeps_its_order_and_counts() {
    let lines: Vec<_> = (0..20_000)
        .map(|n| match n % 1_000 {
            7 => format!("{{\"bad\":\n{n}}}\n"),
            8 => event(&"x".repeat(400_000)),
            _ => event(&n.to_string()),
        })
        .collect();
    let array = format!("[\n{}]", lines.join(","));
    let folder = Folder::with(&[("in", &array)]);
    let args = "resolve in -q --engine simplified --refused refused --max-line-bytes 300000";
    let out = folder.run(args).ok();
    let expected = (0..20_000).filter(|n| !matches!(n % 1_000, 7 | 8));
    let expected: Vec<_> = expected.map(|n: u64| n.to_string()).collect();
    assert!(event_names(&out) == expected);
    let refused = folder.read("refused");
    let starts: Vec<_> = (0..20_000_u64)
        .filter(|n| matches!(n % 1_000, 7 | 8))
        .collect();
    assert_eq!(refused.lines().count(), starts.len());
    for (n, record) in starts.iter().zip(refused.lines()) {
        // Each bad record before it has one line more.
        let line = n + 2 + (n + 992) / 1_000;
        let start = format!("{{\"line\":{line},\"record\":{},", n + 1);
        assert!(record.starts_with(&start), "{n}: {record:.80}");
    }
}

/// Checks that no command can use this file, and that nothing is written.
#[track_caller]
pub(crate) fn unusable(bytes: &[u8], says: &str) {
    let good = format!("{VISIT}\n{LOGIN}\n");
    let folder = Folder::with(&[("good", &good)]);
    folder.write("in", bytes);
    for args in [
        "resolve good in",
        "resolve in good",
        "resolve in",
        "clusters in good",
    ] {
        let done = folder
            .run(&format!("{args} -q --engine simplified"))
            .code(1);
        assert_eq!(done.stdout, "", "{args}");
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        done.says("idmerge: in: ").says(says);
    }
    let args = "resolve good in -q --engine simplified -o out --refused refused";
    folder.run(args).code(1);
    assert_eq!(folder.names(), ["good", "in"]);
    for args in ["inspect good in", "inspect in"] {
        let done = folder.run(args).code(1).says(says);
        assert_eq!(done.stdout, "");
    }
    folder
        .pipe(bytes, "clusters -q --engine original")
        .code(1)
        .says("idmerge: -: ")
        .says(says);
    #[cfg(feature = "store")]
    {
        folder
            .run("ingest st in good -q --engine simplified")
            .code(1)
            .says(says);
        // No store is left that has nothing and is fixed to an engine.
        assert!(!folder.path("st").exists());
        folder
            .run("ingest st good in -q --engine simplified")
            .code(1)
            .says(says);
        assert_eq!(folder.run("clusters --store st").ok(), CLUSTER);
        folder.run("resolve in -q --store st").code(1).says(says);
    }
}

#[cfg(feature = "store")]
#[test]
fn a_run_that_takes_nothing_leaves_no_new_store() {
    let folder = Folder::with(&[("good", LOGIN), ("bad", "PK\u{3}\u{4}"), ("lines", "x\n")]);
    std::fs::create_dir(folder.path("empty")).unwrap();
    for args in [
        "st bad good",
        "st lines",
        "st good lines --strict",
        "empty bad",
    ] {
        folder
            .run(&format!("ingest {args} --engine simplified"))
            .code(1);
        assert_eq!(folder.names(), ["bad", "empty", "good", "lines"], "{args}");
    }
    assert_eq!(std::fs::read_dir(folder.path("empty")).unwrap().count(), 0);
    // Another engine is still free to choose.
    folder.run("ingest st good --engine original").ok();
    // A store that was there stays, and so does one that has taken something.
    folder.run("ingest st bad").code(1);
    folder.run("clusters --store st").ok();
    folder
        .run("ingest other good bad --engine simplified")
        .code(1);
    assert_eq!(folder.run("clusters --store other").ok(), CLUSTER);
    folder.write("none", "");
    folder.run("ingest none-yet none --engine simplified").ok();
    assert_eq!(folder.run("clusters --store none-yet").ok(), "");
}

#[test]
fn in_6_a_file_without_one_event_is_an_error_that_says_what_it_looks_like() {
    let text = event("a") + &event("b");
    let utf_16 = |mark: &str| (mark.to_owned() + &text).encode_utf16().collect::<Vec<_>>();
    let little = |mark| {
        utf_16(mark)
            .iter()
            .flat_map(|unit| unit.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let big = |mark| {
        utf_16(mark)
            .iter()
            .flat_map(|unit| unit.to_be_bytes())
            .collect::<Vec<_>>()
    };
    for mark in ["", "\u{feff}"] {
        unusable(&little(mark), "UTF-16");
        unusable(&big(mark), "UTF-16");
        unusable(&gzip(little(mark)), "UTF-16");
    }
    unusable(b"PK\x03\x04\x14\0\0\0\x08\0abc", "a zip archive");
    unusable(b"\xfd7zXZ\0\0\x04abc", "xz");
    unusable(b"BZh91AY&SYabc", "bzip2");
    unusable(
        &gzip(b"PAR1\x15\x04\x15\x10PAR1"),
        "Parquet that is compressed",
    );
    unusable(&gzip(gzip(&text)), "gzip");
    unusable(&zstd(gzip(&text)), "gzip");
    unusable(b"event,distinct_id,time\nA,u1,5\nB,u1,6\n", "CSV");
    unusable(b"\"event\";\"distinct_id\"\r\n\"A\";\"u1\"\r\n", "CSV");
    unusable(text.replace('\n', "\r").as_bytes(), "CR");
    unusable(b"<!DOCTYPE html>\n<html></html>\n", "HTML");
    unusable(b"[[]]\n", "none of its events can be used");
    unusable(b"hello\nworld\n", "line 1: not JSON");
    unusable(
        b"{\"event\":\"A\"}\n",
        "\"properties\" must be an object, but is missing",
    );
}

#[test]
fn in_6_json_of_other_senders_is_named() {
    let segment = r#"{"type":"track","event":"A","userId":"u1","anonymousId":"a1","messageId":"m","properties":{"x":1}}"#;
    let page =
        r#"{"type":"page","name":"A","anonymousId":"a1","messageId":"m","properties":{"x":1}}"#;
    let amplitude = r#"{"event_type":"A","user_id":"u1","device_id":"d1","event_properties":{}}"#;
    let posthog = r#"{"event":"A","distinct_id":"u1","uuid":"x","timestamp":"t","properties":{}}"#;
    for (json, name) in [
        (segment, "Segment"),
        (page, "Segment"),
        (amplitude, "Amplitude"),
        (posthog, "\"distinct_id\""),
    ] {
        for text in [
            format!("{json}\n{json}\n"),
            format!("[{json},\n{json}]"),
            pretty(json),
        ] {
            unusable(text.as_bytes(), name);
        }
    }
    unusable(segment.as_bytes(), "--from");
    unusable(amplitude.as_bytes(), "--from");
    // One event with an ID is enough.
    let text = format!("{segment}\n{LOGIN}\n");
    let out = Folder::new().pipe(text, "resolve -q --strict --engine simplified");
    assert_eq!(out.ok().lines().count(), 2);
    // Events without any ID, and without one at the top, are unattributed (W-7).
    let out = Folder::new().pipe(event("a"), "resolve -q --strict --engine simplified");
    assert_eq!(out.ok(), event("a"));
}

#[test]
fn in_6_only_blank_lines_count_as_empty() {
    for text in ["", "\n", " \t\r\n\n", "\u{feff}", "\u{feff}\r\n\u{feff}\n"] {
        for bytes in [text.as_bytes().to_owned(), gzip(text), zstd(text)] {
            let done = Folder::new().pipe(bytes, "resolve -q --strict --engine simplified");
            assert_eq!(done.ok(), "", "{text:?}");
        }
    }
}

#[test]
fn in_6_an_export_that_was_terminated_early_is_an_error_of_its_own() {
    let last = "export terminated early";
    let lines = event("a") + &event("b");
    let array = format!("[{},\n", lines.trim().replace('\n', ",\n"));
    let rows = pretty(&event("a")) + "\n" + &pretty(&event("b")) + "\n";
    for (start, names) in [(&lines, 2), (&array, 2), (&rows, 2), (&String::new(), 0)] {
        for (before, end) in [
            ("", ""),
            ("", "\n"),
            ("", "\r\n\n"),
            ("\u{feff}", "\n"),
            (" \t", "\n"),
            (" \u{feff}\u{feff} ", ""),
        ] {
            let text = format!("{start}{before}{last}{end}");
            for bytes in [text.clone().into_bytes(), gzip(&text)] {
                let folder = Folder::new();
                folder.write("in", &bytes);
                let done = folder.run("resolve in -q --engine simplified").code(1);
                assert_eq!(
                    (&*done.stdout, done.stderr.lines().count()),
                    ("", 1),
                    "{text}"
                );
                done.says("idmerge: in: the export is incomplete")
                    .says("--allow-incomplete");
                folder.run("clusters in -q --engine simplified").code(1);
                let args = "resolve -q --strict --engine simplified --allow-incomplete";
                let done = folder.run(&format!("{args} in")).code(0);
                assert_eq!(event_names(&done.stdout).len(), names);
                assert_eq!(event_names(&folder.pipe(bytes, args).ok()).len(), names);
                #[cfg(feature = "store")]
                {
                    folder
                        .run("ingest st in -q --engine simplified")
                        .code(1)
                        .says("incomplete");
                    folder
                        .run("ingest st in -q --engine simplified --allow-incomplete")
                        .ok();
                }
            }
        }
    }
    // Within a file it is a bad line like any other.
    let text = format!("{}{last}\n{}", event("a"), event("b"));
    let done = Folder::new()
        .pipe(text, "resolve -q --engine simplified")
        .code(0);
    done.says("1 line was refused");
}

#[test]
fn in_6_a_last_line_at_the_end_of_a_block_is_seen_too() {
    let last = "export terminated early\n";
    for block_bytes in [256 * 1024, 512 * 1024] {
        let mut text = event("a");
        let pad = block_bytes - text.len() - last.len() - event("").len();
        text += &event(&"x".repeat(pad));
        text += last;
        assert_eq!(text.len(), block_bytes);
        let done = Folder::new()
            .pipe(text, "clusters -q --engine simplified")
            .code(1);
        done.says("the export is incomplete");
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::{BufWriter, Write};

    use super::*;

    const LITTLE_MEMORY: &str = "ulimit -d 40000 || exit 9";

    #[test]
    fn in_6_memory_does_not_grow_with_an_array() {
        let folder = Folder::new();
        let filling = "x".repeat(1024 * 1024);
        let line = event("A").replace("\"\"}", &format!("\"\",\"a\":\"{filling}\"}}"));
        let element = zstd(format!("{},", line.trim()));
        let array = [
            zstd("["),
            element.repeat(60),
            zstd(format!("{}]", line.trim())),
        ];
        folder.write("array", array.concat());
        folder.write("row", zstd(line.replace('{', "{\n").repeat(61)));
        for (name, more) in [("array", 0), ("row", 0)] {
            for resolve in ["idmerge resolve NAME", "cat NAME | idmerge resolve"] {
                let resolve = resolve.replace("NAME", name);
                let resolve = format!("{resolve} -q --strict --engine original -o out");
                folder.shell(&format!("{LITTLE_MEMORY}; {resolve}")).ok();
                let bytes = folder.path("out").metadata().unwrap().len();
                assert_eq!(bytes, 61 * (line.len() + more) as u64);
            }
        }
        // Many small ones.
        let mut file = BufWriter::new(File::create(folder.path("many")).unwrap());
        file.write_all(b"[").unwrap();
        let element = format!("{},\n", event("small").trim());
        for _ in 0..600_000 {
            file.write_all(element.as_bytes()).unwrap();
        }
        write!(file, "{}]", event("small").trim()).unwrap();
        drop(file);
        let clusters = "idmerge clusters many -q --engine original";
        assert_eq!(
            folder.shell(&format!("{LITTLE_MEMORY}; {clusters}")).ok(),
            ""
        );
    }

    #[test]
    fn in_6_a_rest_or_an_element_of_any_length_costs_no_memory() {
        let folder = Folder::new();
        let spaces = zstd(vec![b' '; 4 * 1024 * 1024]);
        let a = event("a");
        let start = format!("[{},", a.trim());
        let long = [
            zstd(format!("{start}{{")),
            spaces.repeat(24),
            zstd(format!("}},{}]", a.trim())),
        ];
        let rest = [zstd(format!("{start}oops")), spaces.repeat(24)];
        let deep = [zstd(&start), zstd(vec![b'['; 4 * 1024 * 1024]).repeat(24)];
        for (bytes, names) in [(long.concat(), 2), (rest.concat(), 1), (deep.concat(), 1)] {
            folder.write("in", bytes);
            let resolve = "idmerge resolve in -q --engine original --refused refused";
            let done = folder.shell(&format!("{LITTLE_MEMORY}; {resolve}"));
            assert_eq!(event_names(&done.ok()).len(), names);
            let refused = folder.path("refused").metadata().unwrap().len();
            assert!(refused > 96 * 1024 * 1024 * 4 / 3, "{refused}");
        }
    }
}
