//! Arrays that follow each other, as `cat mon.json tue.json` writes them, and arrays without anything in them (IN-6).

use crate::run::{Folder, event, event_names, gzip};

const RESOLVE: &str = "resolve in -q --engine simplified";

#[test]
fn in_6_records_are_numbered_over_all_arrays() {
    let a = event("a");
    let a = a.trim();
    let text = format!("[{a},\n{a}]\n\u{feff}[{a},\n5]\n[]\n[\n\"x\",{a}]\n");
    let folder = Folder::with(&[("in", &text)]);
    let done = folder.run(RESOLVE).code(0);
    assert_eq!(event_names(&done.stdout).len(), 4);
    done.says("2 records were refused")
        .says("in, record 4 (line 4): \"5\" is not")
        .says("in, record 5 (line 7): \"\\\"x\\\"\" is not");
}

#[test]
fn in_6_what_follows_an_array_and_is_none_is_refused_and_loses_nothing_before() {
    let a = event("a");
    let a = a.trim();
    for rest in ["{\"b\":1}", ",", "]", "x", "[", "5"] {
        let folder = Folder::with(&[("in", &format!("[{a}]\n[{a}]\n{rest}"))]);
        let done = folder.run(RESOLVE).code(0);
        assert_eq!(event_names(&done.stdout).len(), 2, "{rest}");
        done.says("1 record was refused");
    }
}

#[test]
fn in_6_arrays_of_many_blocks_keep_their_order() {
    // The borders of blocks and of what is read at a time fall on each byte between two arrays.
    let filling = "x".repeat(700);
    let array = |n: usize| {
        let first = event(&format!("{n}{filling}"));
        let second = event(&n.to_string());
        let between = ["", "\n", "\u{feff}", " \r\n\u{feff}", "[]", "\n[ ]\u{feff}"][n % 6];
        format!("[{},{}]{between}", first.trim(), second.trim())
    };
    let text: String = (0..3_000).map(array).collect();
    for bytes in [text.clone().into_bytes(), gzip(&text)] {
        let folder = Folder::new();
        folder.write("in", bytes);
        let names = event_names(&folder.run(&format!("{RESOLVE} --strict")).ok());
        assert_eq!(names.len(), 6_000);
        for (n, names) in names.chunks(2).enumerate() {
            assert!(names[0].starts_with(&format!("{n}x")) && names[1] == n.to_string());
        }
    }
}

#[test]
fn in_6_the_last_array_of_several_can_be_incomplete() {
    let a = event("a");
    let a = a.trim();
    let text = format!("[{a}]\n[{a},\nexport terminated early\n");
    let folder = Folder::with(&[("in", &text)]);
    folder.run(RESOLVE).code(1).says("the export is incomplete");
    let done = folder.run(&format!("{RESOLVE} --strict --allow-incomplete"));
    assert_eq!(event_names(&done.ok()).len(), 2);
}

#[test]
fn in_6_an_empty_array_is_an_input_without_events() {
    for text in [
        "[]",
        "[]\n",
        "[ \n ]",
        "\u{feff}[\r\n]\r\n",
        "[][]\n\u{feff}[]",
    ] {
        for bytes in [text.as_bytes().to_vec(), gzip(text)] {
            let folder = Folder::with(&[("good", &event("a"))]);
            folder.write("in", &bytes);
            for args in ["in", "in good", "good in"] {
                let args = format!("resolve {args} -q --strict --engine simplified");
                let out = folder.run(&args).ok();
                assert_eq!(event_names(&out).len(), usize::from(args.contains("good")));
            }
            folder
                .run("clusters good in -q --engine legacy --strict")
                .ok();
            folder
                .run("resolve in --from segment --engine original -q --strict")
                .ok();
            #[cfg(feature = "store")]
            folder.run("ingest st in --engine simplified --strict").ok();
        }
    }
    // It does not settle the form of what follows: lines stay lines.
    let folder = Folder::with(&[("in", &format!("[]\n{}{}", event("a"), event("b")))]);
    let done = folder.run(RESOLVE).code(0).says("line 1: ");
    assert_eq!(event_names(&done.stdout), ["a", "b"]);
}

#[test]
fn a_8_the_product_is_found_behind_an_empty_array() {
    let call = r#"{"type":"track","event":"A","userId":"u1","messageId":"m"}"#;
    Folder::new()
        .pipe(
            format!("[]\n[{call}]"),
            "resolve --from auto --engine simplified",
        )
        .code(0)
        .says("read as segment (A-8)");
}

#[cfg(feature = "store")]
#[test]
fn ar_3_arrays_that_are_put_behind_a_known_input_are_new() {
    let link = |device: &str| {
        format!(r#"{{"event":"L","properties":{{"$device_id":"{device}","$user_id":"u1"}}}}"#)
    };
    let monday = format!("[{},\n{}]", link("d1"), link("d2"));
    let folder = Folder::with(&[("in", &monday)]);
    folder.run("ingest st in -q --engine simplified").ok();
    let both = format!("{monday}\n\u{feff}[{}]\n", link("d3"));
    folder.write("in", &both);
    let summary = folder.run("ingest st in -q --summary json").code(0).stderr;
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(
        (&summary["events"], &summary["events_taken_before"]),
        (&1.into(), &2.into()),
        "{summary}"
    );
    folder
        .run("ingest st in -q --summary json")
        .code(0)
        .says("\"events_taken_before\":3");
    let cluster = r#"{"canonical":"u1","members":["u1","$device:d1","$device:d2","$device:d3"]}"#;
    assert_eq!(
        folder.run("clusters --store st").ok(),
        format!("{cluster}\n")
    );
}
