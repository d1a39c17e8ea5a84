//! Inputs: files, stdin and pipes, in order, compressed or not.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::Stdio;

use crate::run::{Folder, event, event_names, gzip, run, wait, zstd};

/// The names of the events that `resolve` writes.
#[track_caller]
fn resolved(folder: &Folder, inputs: &str) -> Vec<String> {
    event_names(
        &folder
            .run(&format!("resolve {inputs} -q --engine simplified"))
            .ok(),
    )
}

const LOGIN: &str = r#"{"event":"L","properties":{"$device_id":"D1","$user_id":"U1"}}"#;
const VISIT: &str = r#"{"event":"V","properties":{"$device_id":"D1","distinct_id":"U1"}}"#;

#[test]
fn several_files_are_one_stream_in_the_order_given() {
    let folder = Folder::with(&[("1", &event("a")), ("2", &event("b")), ("3", &event("c"))]);
    assert_eq!(resolved(&folder, "3 1 2"), ["c", "a", "b"]);
    assert_eq!(resolved(&folder, "1 1"), ["a", "a"]);
}

#[test]
fn the_end_of_a_file_ends_its_last_line() {
    let folder = Folder::with(&[("1", event("a").trim_end()), ("2", &event("b"))]);
    assert_eq!(resolved(&folder, "1 2"), ["a", "b"]);
}

#[test]
fn s_9_a_login_in_a_later_file_counts_for_an_earlier_one() {
    let folder = Folder::with(&[("1", VISIT), ("2", LOGIN)]);
    let out = folder.run("resolve 1 2 -q --engine simplified").ok();
    assert!(out.starts_with(VISIT.strip_suffix("}}").unwrap()), "{out}");
    assert!(out.contains("\"$is_reshuffled\":true"), "{out}");
}

#[test]
fn s_5_the_order_of_files_decides_whose_a_device_is() {
    let other = LOGIN.replace("U1", "U2");
    let folder = Folder::with(&[("1", LOGIN), ("2", &other)]);
    let cluster = |inputs| {
        folder
            .run(&format!("clusters {inputs} --engine simplified"))
            .ok()
    };
    assert_eq!(
        cluster("1 2"),
        "{\"canonical\":\"U1\",\"members\":[\"U1\",\"$device:D1\"]}\n"
    );
    assert_eq!(
        cluster("2 1"),
        "{\"canonical\":\"U2\",\"members\":[\"U2\",\"$device:D1\"]}\n"
    );
}

#[test]
fn stdin_is_read_if_no_input_or_a_dash_is_given() {
    let folder = Folder::with(&[("1", &event("a")), ("2", &event("b"))]);
    let names = |args: &str| {
        let args = format!("resolve {args} -q --engine simplified");
        event_names(&folder.pipe(event("in"), &args).ok())
    };
    assert_eq!(names(""), ["in"]);
    assert_eq!(names("-"), ["in"]);
    assert_eq!(names("1 - 2"), ["a", "in", "b"]);
    assert_eq!(names("1"), ["a"]);
}

#[test]
fn stdin_gives_the_same_output_as_a_file() {
    let folder = Folder::new();
    folder
        .run("generate --workload shared-device --events 2000 -o in")
        .ok();
    for command in ["resolve", "clusters"] {
        for engine in ["simplified", "original"] {
            let args = format!("--engine {engine} -q");
            let from_file = folder.run(&format!("{command} in {args}")).ok();
            let from_stdin = folder
                .pipe(folder.read("in"), &format!("{command} {args}"))
                .ok();
            assert!(from_file == from_stdin, "{command} {args}");
            assert!(!from_file.is_empty());
        }
    }
}

#[test]
fn a_redirected_file_is_read_from_its_current_position() {
    let folder = Folder::with(&[("in", &(event("a") + &event("b") + &event("c")))]);
    let mut file = File::open(folder.path("in")).unwrap();
    file.seek(SeekFrom::Start(event("a").len() as u64)).unwrap();
    let mut command = folder.command("resolve -q --engine simplified");
    let child = command
        .stdin(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    assert_eq!(event_names(&wait(child.spawn().unwrap()).ok()), ["b", "c"]);
}

#[test]
fn compression_is_detected_by_content_not_by_name() {
    let folder = Folder::new();
    folder.write("plain.gz", event("a"));
    folder.write("gzip.ndjson", gzip(event("b")));
    folder.write("zstd", zstd(event("c")));
    assert_eq!(
        resolved(&folder, "plain.gz gzip.ndjson zstd"),
        ["a", "b", "c"]
    );
}

#[test]
fn compressed_stdin_is_detected_too() {
    for bytes in [
        gzip(event("a") + &event("b")),
        zstd(event("a") + &event("b")),
    ] {
        let out = Folder::new()
            .pipe(bytes, "resolve -q --engine original")
            .ok();
        assert_eq!(event_names(&out), ["a", "b"]);
    }
}

#[test]
fn concatenated_compressed_parts_are_one_text() {
    let folder = Folder::new();
    // A line may begin in one part and end in the next.
    let text = event("a") + &event("b");
    let (one, two) = text.split_at(70);
    folder.write("gzip", [gzip(one), gzip(""), gzip(two)].concat());
    // A skippable frame comes first, as from parallel compressors.
    let skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec();
    folder.write("zstd", [skipped, zstd(one), zstd(""), zstd(two)].concat());
    assert_eq!(resolved(&folder, "gzip zstd"), ["a", "b", "a", "b"]);
}

#[test]
fn in_6_gzip_may_be_padded_with_zeros_and_have_several_members() {
    let folder = Folder::new();
    let (a, b) = (gzip(event("a")), gzip(event("b")));
    let padded = |zeros| [&a[..], &vec![0; zeros]].concat();
    for zeros in [1, 2, 511, 512, 10_240, 300_000] {
        folder.write("end", padded(zeros));
        assert_eq!(resolved(&folder, "end"), ["a"]);
        folder.write("between", [&padded(zeros), &b[..], &[0; 9]].concat());
        assert_eq!(resolved(&folder, "between"), ["a", "b"]);
        let args = "resolve -q --engine simplified";
        assert_eq!(folder.pipe(padded(zeros), args).ok(), event("a"));
    }
}

#[test]
fn many_members_are_one_text_from_a_file_and_from_a_pipe() {
    let folder = Folder::new();
    let workload = "generate --workload web-login --events 20000 -q";
    let text = folder.run(workload).ok();
    let command = "resolve -q --engine simplified";
    folder.write("plain", &text);
    let wanted = folder.run(&format!("{command} plain")).ok();
    // By the thousand in a run, as `bgzip` writes them, and longer than a run.
    for bytes in [500, 65_280, 1_000_000] {
        let compressed: Vec<_> = text.as_bytes().chunks(bytes).flat_map(gzip).collect();
        folder.write("gzip", &compressed);
        let out = folder.run(&format!("{command} gzip")).ok();
        assert!(out == wanted, "{bytes}");
        assert!(
            folder.pipe(compressed.clone(), command).ok() == wanted,
            "{bytes}"
        );

        let cut = compressed.len() - 5;
        folder.write("cut", &compressed[..cut]);
        let done = folder.run(&format!("{command} cut"));
        done.code(1)
            .says("its gzip data is damaged, cut off or followed by other data");
    }
}

#[test]
fn each_input_has_its_own_compression() {
    let folder = Folder::new();
    folder.write("1", gzip(event("a")));
    folder.write("2", event("b"));
    let args = "resolve 1 - 2 -q --engine simplified";
    let out = folder.pipe(zstd(event("in")), args).ok();
    assert_eq!(event_names(&out), ["a", "in", "b"]);
}

#[test]
fn an_empty_input_has_no_events() {
    let folder = Folder::new();
    folder.write("0", "");
    folder.write("0.gz", gzip(""));
    folder.write("0.zst", zstd(""));
    assert_eq!(
        folder
            .run("resolve 0 0.gz 0.zst -q --engine original -o out")
            .ok(),
        ""
    );
    assert_eq!(folder.read("out"), "");
    assert_eq!(folder.run("clusters --engine original").ok(), "");
}

#[test]
fn in_4_lines_end_with_lf_or_crlf_and_blank_lines_are_skipped() {
    let (a, b) = (
        event("a").trim_end().to_owned(),
        event("b").trim_end().to_owned(),
    );
    let lines = format!("\r\n\n{a}\r\n \t \n\n{b}\n\n");
    let done = Folder::new()
        .pipe(lines, "resolve -q --engine simplified")
        .code(0);
    // The text around an event is kept, its CR included.
    assert_eq!(
        (done.stdout, done.stderr),
        (format!("{a}\r\n{b}\n"), String::new())
    );
}

#[test]
fn in_4_a_byte_order_mark_at_the_start_of_a_line_is_skipped() {
    let folder = Folder::new();
    folder.write("1", "\u{feff}".to_owned() + &event("a"));
    folder.write("2", gzip("\u{feff}".to_owned() + &event("b")));
    folder.write("3", "\u{feff}");
    assert_eq!(
        folder.run("resolve 1 2 3 -q --engine simplified").ok(),
        event("a") + &event("b")
    );
    // As `cat` leaves it.
    folder.write(
        "4",
        "\n\u{feff}\u{feff}".to_owned() + &event("c") + "\u{feff}\r\n",
    );
    let args = "resolve 4 -q --strict --engine simplified";
    assert_eq!(folder.run(args).ok(), event("c"));
    // Anywhere else it is not white space.
    folder.write("5", event("a") + " \u{feff}" + &event("c"));
    folder
        .run("resolve 5 --engine simplified -q")
        .code(0)
        .says("5, line 2: not JSON");
}

#[test]
fn in_3_the_limit_of_a_line_is_a_setting_and_line_ends_do_not_count() {
    let line = event("a");
    let bytes = line.trim_end().len();
    let crlf = line.replace('\n', "\r\n");
    for (line, limit, code) in [
        (&line, bytes, 0),
        (&crlf, bytes, 0),
        (&line, bytes - 1, 1),
        (&crlf, bytes - 1, 1),
    ] {
        let args = format!("resolve -q --strict --engine original --max-line-bytes {limit}");
        let done = Folder::new().pipe(&**line, &args).code(code);
        if code == 1 {
            done.says(&format!(
                "line 1: the line has more than {limit} bytes, the limit of --max-line-bytes (IN-3)"
            ));
        }
    }
}

#[test]
fn in_3_a_line_may_have_16_mib() {
    let line = |bytes: usize| {
        let (start, end) = (
            "{\"event\":\"A\",\"properties\":{\"a\":\"",
            "\",\"distinct_id\":\"\"}}\n",
        );
        let filling = bytes + 1 - start.len() - end.len();
        start.to_owned() + &"x".repeat(filling) + end
    };
    let folder = Folder::new();
    let mib_16 = 16 * 1024 * 1024;
    folder.write("in", line(mib_16));
    folder.run("resolve in -q --engine original -o out").ok();
    assert!(folder.read("out") == folder.read("in"));
    folder.write("in", line(mib_16 + 1));
    let says =
        "line 1: the line has more than 16777216 bytes, the limit of --max-line-bytes (IN-3)";
    folder
        .run("resolve in -q --strict --engine original")
        .code(1)
        .says(says);
}

#[test]
fn the_copy_of_a_pipe_is_deleted() {
    let (folder, temporary) = (Folder::new(), Folder::new());
    let mut command = folder.command("resolve -q --engine simplified -o out");
    command.env("TMPDIR", temporary.path(""));
    run(command, event("a")).ok();
    assert_eq!(folder.names(), ["out"]);
    assert!(temporary.names().is_empty());
}

#[cfg(unix)]
#[test]
fn the_error_for_a_copy_that_cannot_be_written_names_the_folder() {
    let folder = Folder::new();
    let mut command = folder.command("resolve -q --engine simplified");
    command.env("TMPDIR", "/nowhere");
    let done = run(command, event("a")).code(1);
    assert_eq!(done.stdout, "");
    done.says("idmerge: cannot read -: it must be read twice, and its copy cannot be written to /nowhere: ");
    // A command that reads its input once needs no copy.
    let mut command = folder.command("clusters -q --engine simplified");
    command.env("TMPDIR", "/nowhere");
    run(command, event("a")).ok();
}

#[cfg(unix)]
mod unix {
    use std::process::Command;

    use super::*;
    use crate::run::mkfifo;

    #[test]
    fn one_writer_may_fill_several_named_pipes_one_after_another() {
        let folder = Folder::new();
        let (one, two) = (folder.path("1"), folder.path("2"));
        mkfifo(&one);
        mkfifo(&two);
        // More than a pipe can hold.
        let lines = event("a").repeat(10_000);
        folder.write("lines", &lines);
        let mut writer = Command::new("sh")
            .args(["-c", "cat lines > 1 && cat lines > 2"])
            .current_dir(folder.path(""))
            .spawn()
            .unwrap();
        let out = folder.run("resolve 1 2 -q --engine simplified").ok();
        assert!(writer.wait().unwrap().success());
        assert!(out == lines.repeat(2));
    }

    #[test]
    fn there_may_be_more_files_than_a_process_may_open_at_once() {
        let folder = Folder::new();
        for n in 0..100 {
            folder.write(&format!("in-{n}"), event("a"));
        }
        let done = folder.shell("ulimit -n 40; idmerge resolve in-* -q --engine simplified");
        assert_eq!(done.ok(), event("a").repeat(100));
    }

    #[test]
    fn reading_moves_the_position_of_redirected_stdin() {
        // The next program in a shell script reads on from there.
        let folder = Folder::with(&[("in", &event("a"))]);
        let mut file = File::open(folder.path("in")).unwrap();
        let mut command = folder.command("clusters -q --engine simplified");
        let child = command
            .stdin(file.try_clone().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        wait(child.spawn().unwrap()).ok();
        let mut rest = String::new();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}
