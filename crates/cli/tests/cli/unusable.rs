//! More inputs without one usable event, and exports that break off (IN-6).

use crate::forms::unusable;
use crate::run::{Folder, event, event_names, gzip};

const SEGMENT: &str = r#"{"type":"track","event":"A","userId":"u1","anonymousId":"a1","messageId":"m","properties":{"x":1}}"#;

#[test]
fn in_6_the_body_of_a_request_says_where_its_records_are() {
    let a = event("a").trim().to_owned();
    let filling = "x".repeat(100_000);
    for (text, says) in [
        (
            format!("{{\"batch\":[{a},{a}]}}\n"),
            "its records are in the array \"batch\" of an object: take them out, as with `jq -c '.batch[]'`",
        ),
        (
            format!("{{\n  \"data\": [\n    {a},\n    {a}\n  ]\n}}\n"),
            "array \"data\" of an object: take them out, as with `jq -c '.data[]'`",
        ),
        (
            format!("{{\"batch\":[{a}]}}\n{{\"batch\":[{a}]}}\n"),
            ".batch[]",
        ),
        // The array does not fit into what is read to find out.
        (
            format!("{{\"a\":1,\"batch\":[{a},{{\"b\":\"{filling}\"}}]}}"),
            ".batch[]",
        ),
        (
            format!("{{\"batch\":[{SEGMENT}],\"sentAt\":\"2026\"}}\n"),
            "in the array \"batch\" of an object, and look like Segment JSON",
        ),
        (
            "{\"request\":\"/api/2.0/export\",\"error\":\"Unauthorized\"}\n".to_owned(),
            "it is the response to a request that failed, with the error \"Unauthorized\"",
        ),
        (
            "{\"error\":1}\n".to_owned(),
            "line 1: \"event\" must be a string, but is missing",
        ),
    ] {
        unusable(text.as_bytes(), says);
    }
    // After the advice, the events are read.
    let folder = Folder::with(&[("in", &format!("{a}\n{a}\n"))]);
    assert_eq!(
        event_names(&folder.run("resolve in -q --engine simplified").ok()).len(),
        2
    );
}

#[test]
fn in_6_more_kinds_of_files_are_named() {
    let text = event("a");
    let utf_16 = |to_bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    };
    let utf_32 = |to_bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
        text.chars().flat_map(|c| to_bytes(c.into())).collect()
    };
    unusable(&utf_16(u16::to_le_bytes), "`iconv -f UTF-16LE -t UTF-8`");
    unusable(&utf_16(u16::to_be_bytes), "`iconv -f UTF-16BE -t UTF-8`");
    unusable(&utf_32(u32::to_le_bytes), "`iconv -f UTF-32LE -t UTF-8`");
    unusable(
        &gzip(utf_32(u32::to_be_bytes)),
        "`iconv -f UTF-32BE -t UTF-8`",
    );
    unusable(b"\x5d\0\0\x80\0\xff\xff\xff", "lzma");
    unusable(b"\x1f\x9d\x90\x7b", "gzip -d");
    unusable(b"\xff\x06\0\0sNaPpY\x01", "Snappy");
    unusable(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1abc", "an Excel workbook");
}

#[test]
fn in_6_an_archive_that_holds_its_files_uncompressed_is_named() {
    let events = event("a") + &event("b") + &event("c");
    let mut zip =
        b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\xa1\xb2\xc3\xd4\x99\0\0\0\x99\0\0\0\x02\0\0\0in"
            .to_vec();
    zip.extend_from_slice(events.as_bytes());
    zip.extend_from_slice(b"PK\x01\x02\x14\x03\x14\0in");
    unusable(&zip, "it looks like a zip archive: unpack it");
    let mut tar = vec![0; 512];
    tar[..2].copy_from_slice(b"in");
    tar[257..262].copy_from_slice(b"ustar");
    tar.extend_from_slice(events.as_bytes());
    unusable(&tar, "it looks like a tar archive: unpack it");
    // The events of an archive are not taken, and those of the files before it are.
    let folder = Folder::with(&[("good", &event("d"))]);
    folder.write("events.zip", zip);
    let args = "resolve good events.zip --engine simplified";
    let done = folder
        .run(args)
        .code(1)
        .says("events.zip: none of its events");
    assert_eq!(done.stdout, "");
}

#[test]
fn in_6_events_with_the_word_of_tar_at_its_place_are_events() {
    let text = event(&("x".repeat(246) + "mustard"));
    assert_eq!(&text[257..262], "ustar");
    let done = Folder::new().pipe(&*text, "resolve -q --engine simplified");
    assert_eq!(done.ok(), text);
}

#[test]
fn in_6_a_compressed_file_of_0_bytes_was_cut_off() {
    for (name, format) in [("in.ndjson.gz", "gzip"), ("in.zst", "zstd")] {
        let folder = Folder::with(&[(name, ""), ("empty", "")]);
        let says = format!("cannot read {name}: it has 0 bytes, but {format} data is never empty");
        for command in ["resolve", "clusters", "cluster U1"] {
            let args = format!("{command} empty {name} --engine simplified");
            let done = folder.run(&args).code(1).says(&says);
            assert_eq!(done.stdout, "");
        }
        folder.run(&format!("inspect {name}")).code(1).says(&says);
        #[cfg(feature = "store")]
        folder
            .run(&format!("ingest st {name} --engine simplified"))
            .code(1)
            .says(&says);
        // An empty file, and compressed data that holds nothing, are empty inputs.
        folder.write("holds-nothing.gz", gzip(""));
        let args = "resolve empty holds-nothing.gz -q --strict --engine simplified";
        assert_eq!(folder.run(args).ok(), "");
    }
}

#[test]
fn in_6_an_export_in_an_array_that_breaks_off_anywhere_is_incomplete() {
    let (a, b) = (event("a"), event("b"));
    let (a, b) = (a.trim(), b.trim());
    let last = "export terminated early";
    for (text, events, refused) in [
        // A tool has closed the array.
        (format!("[\n{a},\n{b}\n{last}\n]\n"), 2, 0),
        (format!("[\n{a},\n{b},\n{last}\n]"), 2, 0),
        // In the middle of a record.
        (format!("[\n{a},\n{{\"event\":\"b\",\"prop\n{last}\n"), 1, 1),
        (format!("[\n{a},\n{{\"event\":\"b\",\n{last}"), 1, 1),
        (
            format!("[\n{a},\n{{\"event\":\"b\",\"n\":12\n{last}\n"),
            1,
            1,
        ),
        (
            format!("[\n{a},\n{{\"event\":\"{}\n{last}\n", "x".repeat(300_000)),
            1,
            1,
        ),
    ] {
        let folder = Folder::with(&[("in", &text)]);
        for command in ["resolve in -q", "clusters in -q", "inspect in --quiet"] {
            let engine = if command.starts_with("inspect") {
                ""
            } else {
                "--engine simplified"
            };
            let done = folder.run(&format!("{command} {engine}")).code(1);
            assert_eq!(done.stdout, "", "{text:.300}");
            done.says("idmerge: in: the export is incomplete: its last line is");
        }
        let args = "resolve in -q --engine simplified --allow-incomplete --refused refused";
        assert_eq!(
            event_names(&folder.run(args).ok()).len(),
            events,
            "{text:.300}"
        );
        assert_eq!(
            folder.read("refused").lines().count(),
            refused,
            "{text:.300}"
        );
    }
    // Not at the start of a line, or not at the end: broken syntax.
    for text in [
        format!("[\n{a},\nx{last}\n"),
        format!("[\n{a},\n{last}\n{b}\n]"),
    ] {
        let done = Folder::new()
            .pipe(text, "resolve -q --engine simplified")
            .code(0);
        done.says("1 record was refused");
    }
}
