//! Hostile input: each gives a clear error or a refused line, and memory is bounded.

use crate::run::{Folder, event, event_names, gzip, zstd};

/// Nested arrays.
fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[test]
fn in_1_a_hundred_thousand_nested_arrays_are_refused() {
    let deep = nested(100_000);
    let folder = Folder::new();
    // As the whole line, in a property that is read, as `event`, and not closed.
    let lines = [
        format!("{deep}\n"),
        format!("{{\"event\":\"A\",\"properties\":{{\"$user_id\":{deep}}}}}\n"),
        format!("{{\"event\":{deep},\"properties\":{{}}}}\n"),
        format!("{}\n", "[".repeat(100_000)),
        format!(
            "{{\"event\":\"A\",\"properties\":{}\n",
            "{\"a\":".repeat(100_000)
        ),
        event("next"),
    ];
    folder.write("in", lines.concat());
    folder
        .run("resolve in -q --engine simplified -o out --refused refused")
        .ok();
    assert_eq!(folder.read("out"), event("next"));
    let refused = folder.read("refused");
    let records: Vec<_> = refused.lines().collect();
    let rules = ["IN-1", "ID-3", "IN-1", "IN-1", "IN-1"];
    assert_eq!(records.len(), rules.len());
    for (record, rule) in records.iter().zip(rules) {
        assert!(
            record.contains(&format!("\"rule\":\"{rule}\"")),
            "{record:.200}"
        );
    }
    // Nothing is lost.
    assert!(records[0].ends_with(&format!("\"event\":{deep}}}")));
    assert!(records[3].ends_with(&format!("\"text\":\"{}\"}}", "[".repeat(100_000))));
}

#[test]
fn w_6_a_hundred_thousand_nested_arrays_in_a_property_that_is_not_read_are_kept() {
    let line = event("A").replace("\"\"}", &format!("\"\",\"a\":{}}}", nested(100_000)));
    for engine in ["simplified", "original"] {
        let out = Folder::new()
            .pipe(&*line, &format!("resolve -q --engine {engine}"))
            .ok();
        assert!(out == line);
    }
}

#[test]
fn in_1_bytes_that_are_not_text_are_refused() {
    let folder = Folder::new();
    let mut lines = Vec::new();
    for bad in [
        &b"\xff"[..],
        b"\xc3",         // half a character
        b"\xed\xa0\x80", // half a surrogate pair
        b"\xc0\xaf",     // overlong encoding
        b"\0",
    ] {
        lines.extend_from_slice(b"{\"event\":\"");
        lines.extend_from_slice(bad);
        lines.extend_from_slice(b"\",\"properties\":{}}\n");
    }
    lines.extend_from_slice(b"\0\n\0\0\0\n");
    lines.extend_from_slice(event("next").as_bytes());
    // Text in another encoding, UTF-16.
    lines.extend("\u{feff}{}\n".encode_utf16().flat_map(u16::to_le_bytes));
    folder.write("in", lines);
    folder
        .run("resolve in -q --engine original -o out --refused refused")
        .ok();
    assert_eq!(event_names(&folder.read("out")), ["next"]);
    let refused = folder.read("refused");
    let records: Vec<_> = refused.lines().collect();
    assert!(
        records
            .iter()
            .all(|record| record.contains("\"rule\":\"IN-1\""))
    );
    let base64: Vec<_> = records
        .iter()
        .map(|record| record.contains("\"base64\""))
        .collect();
    // A NUL is text, but not JSON. The line feed of UTF-16 is in the middle of a character.
    assert_eq!(
        base64,
        [true, true, true, true, false, false, false, true, false]
    );
    assert!(records[6].contains("\"text\":\"\\u0000\\u0000\\u0000\""));
}

#[test]
fn an_escaped_nul_is_a_character_like_any_other() {
    let line =
        "{\"event\":\"A\",\"properties\":{\"$user_id\":\"a\\u0000b\",\"$device_id\":\"D\"}}\n";
    let clusters = Folder::new()
        .pipe(line, "clusters --engine simplified")
        .ok();
    assert_eq!(
        clusters,
        "{\"canonical\":\"a\\u0000b\",\"members\":[\"a\\u0000b\",\"$device:D\"]}\n"
    );
}

#[test]
fn an_input_that_is_missing_or_a_folder_is_an_error() {
    let folder = Folder::new();
    for command in ["resolve", "clusters", "cluster U1"] {
        let run = |input| folder.run(&format!("{command} {input} --engine original"));
        run("missing")
            .code(1)
            .says("idmerge: cannot open missing: ");
        run(".").fails_with("cannot open .: is a directory; name the files in it, as in ./*");
    }
    // All inputs are found before any is read.
    folder.write("in", event("a"));
    let done = folder.run("resolve in missing --engine original").code(1);
    assert_eq!(done.stdout, "");
}

/// Checks the error for compressed data that is damaged.
#[track_caller]
fn broken(bytes: &[u8], says: &str) {
    let folder = Folder::new();
    folder.write("in", bytes);
    let wrong = "data is damaged, cut off or followed by other data: ";
    for args in [
        "resolve in -q --engine simplified -o out --refused refused",
        "clusters in -q --engine simplified",
    ] {
        let done = folder.run(args).code(1).says(says).says(wrong);
        assert_eq!((done.stdout.as_str(), done.stderr.lines().count()), ("", 1));
    }
    let done = folder.pipe(bytes, "resolve -q --engine simplified").code(1);
    done.says(wrong).says("idmerge: cannot read - after line ");
    assert_eq!(folder.names(), ["in"]);
}

#[test]
fn gzip_that_is_cut_off_anywhere_is_an_error() {
    let whole = gzip(event("a").repeat(1_000) + &event("b"));
    for bytes in [
        2,
        3,
        9,
        10,
        11,
        whole.len() / 2,
        whole.len() - 8,
        whole.len() - 1,
    ] {
        broken(&whole[..bytes], "its gzip data");
    }
}

#[test]
fn zstd_that_is_cut_off_anywhere_is_an_error() {
    let whole = zstd(event("a").repeat(1_000) + &event("b"));
    for bytes in [4, 5, whole.len() / 2, whole.len() - 1] {
        broken(&whole[..bytes], "its zstd data");
    }
}

#[test]
fn garbage_behind_compressed_data_is_an_error() {
    let text = event("a").repeat(3);
    for garbage in [
        &b"x"[..],
        b"garbage that is longer than a header",
        &[0; 512],
    ] {
        // Zeros after gzip are padding (IN-6).
        if garbage[0] != 0 {
            broken(
                &[&gzip(&text), garbage].concat(),
                "cannot read in after line 3: its gzip data",
            );
            broken(
                &[&gzip(&text), &vec![0; 512], garbage].concat(),
                "cannot read in after line 3: its gzip data",
            );
        }
        broken(
            &[&zstd(&text), garbage].concat(),
            "cannot read in after line 3: its zstd data",
        );
    }
}

#[test]
fn compressed_data_that_was_changed_is_an_error() {
    let text: String = (0..1_000).map(|n| event(&format!("{n}"))).collect();
    let mut gzip = gzip(&text);
    let middle = gzip.len() / 2;
    gzip[middle] ^= 0x10;
    broken(&gzip, "its gzip data");
    broken(b"\x1f\x8bgarbage, garbage, garbage", "its gzip data");
    broken(
        b"\x28\xb5\x2f\xfdgarbage, garbage, garbage",
        "its zstd data",
    );
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;

    use super::*;

    /// Shell code that limits the memory for data to 30 MB, less than any of these inputs. The code of the
    /// program, which is longer with debug information, does not count.
    const LITTLE_MEMORY: &str = "ulimit -d 30000 || exit 9";

    #[test]
    fn in_3_a_line_of_1_gib_is_refused() {
        let folder = Folder::new();
        // A sparse file of NULs.
        let file = File::create(folder.path("in")).unwrap();
        file.set_len(1024 * 1024 * 1024).unwrap();
        let clusters = "idmerge clusters in -q --engine original";
        let done = folder
            .shell(&format!("{LITTLE_MEMORY}; {clusters}"))
            .code(1);
        assert_eq!(done.stdout, "");
        done.says("in: none of its events can be used (IN-6); line 1: the line has more than 16777216 bytes, the limit of --max-line-bytes (IN-3)");
    }

    #[test]
    fn in_3_a_long_line_costs_no_memory_even_if_decompressed_and_written() {
        let folder = Folder::new();
        let part = zstd(vec![b' '; 4 * 1024 * 1024]);
        let end = zstd("\n".to_owned() + &event("next"));
        folder.write("in", [part.repeat(24), end].concat());
        let resolve = "idmerge resolve in -q --engine original --refused refused";
        let done = folder.shell(&format!("{LITTLE_MEMORY}; {resolve}"));
        assert_eq!(done.ok(), event("next"));
        let refused = folder.path("refused").metadata().unwrap().len();
        assert!(refused > 96 * 1024 * 1024 * 4 / 3, "{refused}");
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_events() {
        let folder = Folder::new();
        let filling = "x".repeat(1024 * 1024);
        let line = event("A").replace("\"\"}", &format!("\"\",\"a\":\"{filling}\"}}"));
        folder.write("in", zstd(line.repeat(60)));
        for resolve in ["idmerge resolve in", "cat in | idmerge resolve"] {
            let resolve = format!("{resolve} -q --engine original -o out");
            folder.shell(&format!("{LITTLE_MEMORY}; {resolve}")).ok();
            let bytes = folder.path("out").metadata().unwrap().len();
            assert_eq!(bytes, 60 * line.len() as u64);
        }
    }

    #[test]
    fn stdin_may_be_closed() {
        let done = Folder::new().shell("idmerge clusters --engine original <&-");
        assert_eq!(done.ok(), "");
    }

    #[test]
    fn stdin_may_be_a_directory() {
        let done = Folder::new().shell("idmerge clusters --engine original < .");
        done.fails_with("cannot open -: is a directory");
    }

    /// Shell code that limits files to this many blocks of 512 bytes. It stands in for a full disk:
    /// writes fail at the same calls, with a similar error.
    fn little_room(blocks: u32) -> String {
        format!("trap '' XFSZ; ulimit -f {blocks} || exit 9")
    }

    const NO_ROOM: &str = "File too large";

    #[test]
    fn a_full_disk_is_an_error() {
        let folder = Folder::with(&[
            ("in", &event("a")),
            ("bad", &("x\n".to_owned() + &event("a"))),
        ]);
        let login = r#"{"event":"L","properties":{"$device_id":"D1","$user_id":"U1"}}"#;
        folder.write("link", login);
        for args in [
            "resolve in -q --engine simplified",
            "clusters link --engine simplified",
            "cluster U1 in --engine simplified",
            "generate --workload cap --events 100",
        ] {
            let line = format!("{}; idmerge {args} > full", little_room(0));
            let done = folder.shell(&line).code(1);
            done.says(&format!("idmerge: cannot write stdout: {NO_ROOM}"));
        }
        // More than the output buffer holds.
        let generate = "idmerge generate --workload cap --events 20000 > full";
        let done = folder.shell(&format!("{}; {generate}", little_room(8)));
        let done = done.code(1);
        done.says(&format!("idmerge: cannot write stdout: {NO_ROOM}"));
        let new = folder.path("").canonicalize().unwrap().join("new");
        for args in [
            "resolve in -q --engine simplified -o new",
            "resolve in bad -q --engine simplified --refused new",
            "generate --workload cap --events 100 -o new",
            "generate --workload cap --events 9 --truth new",
        ] {
            let done = folder.shell(&format!("{}; idmerge {args}", little_room(0)));
            let done = done.code(1);
            done.says(&format!(
                "idmerge: cannot write {}: {NO_ROOM}",
                new.display()
            ));
        }
        assert!(!new.exists());
        assert!(!folder.names().iter().any(|name| name.starts_with('.')));
    }

    #[test]
    fn a_closed_or_full_stderr_changes_nothing() {
        let folder = Folder::with(&[("in", &(event("a") + "x\n"))]);
        for stderr in ["2> full", "2>&-"] {
            let resolve = format!("idmerge resolve in --engine simplified {stderr}");
            let done = folder.shell(&format!("{}; {resolve}", little_room(0)));
            assert_eq!(done.ok(), event("a"));
        }
        assert_eq!(folder.read("full"), "");
    }
}
