//! The destination of output: stdout, or a file that is replaced only on success.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::run::{Folder, event, wait};

const RESOLVE: &str = "resolve in -q --engine simplified";

#[track_caller]
fn folder() -> Folder {
    Folder::with(&[("in", &event("a"))])
}

#[test]
fn a_file_gets_the_same_output_as_stdout() {
    let folder = folder();
    assert_eq!(folder.run(RESOLVE).ok(), event("a"));
    assert_eq!(folder.run(&format!("{RESOLVE} -o out")).ok(), "");
    assert_eq!(folder.read("out"), event("a"));
    assert_eq!(folder.names(), ["in", "out"]);
}

#[test]
fn an_existing_file_is_replaced() {
    let folder = folder();
    folder.write("out", event("old").repeat(9));
    folder.run(&format!("{RESOLVE} --output=out")).ok();
    assert_eq!(folder.read("out"), event("a"));
    assert_eq!(folder.names(), ["in", "out"]);
}

#[test]
fn a_name_that_promises_another_form_is_wrong_usage() {
    let folder = folder();
    for (args, name) in [
        ("resolve in --engine simplified -o", "out.bz2"),
        ("resolve in --engine simplified -o", "out.ndjson.ZIP"),
        ("resolve in --engine simplified -o", "out.tsv"),
        ("mappings in --engine simplified -o", "out.tsv.gz"),
        (
            "resolve in --engine simplified -o out --refused",
            "refused.xz",
        ),
        ("clusters in --engine original -o", "out.tar.zst"),
    ] {
        let done = folder.run(&format!("{args} {name}")).code(2);
        let done = done
            .says(&format!("cannot write {name}: ."))
            .says("What can be written is text, compressed if the name ends with .gz or .zst");
        assert_eq!(
            done.stderr.contains(".csv"),
            !args.ends_with("refused"),
            "{}",
            done.stderr
        );
    }
    assert_eq!(folder.names(), ["in"]);
    for name in ["zip", "out.zip.ndjson", "day.1"] {
        folder.run(&format!("{RESOLVE} -o {name}")).ok();
        assert_eq!(folder.read(name), event("a"));
    }
}

#[test]
fn a_dash_is_stdout() {
    let folder = folder();
    assert_eq!(folder.run(&format!("{RESOLVE} -o -")).ok(), event("a"));
    folder.write("in", "x\n".to_owned() + &event("a"));
    let refused = folder.run(&format!("{RESOLVE} --refused - -o out")).ok();
    assert!(refused.starts_with("{\"line\":1,"), "{refused}");
    assert_eq!(folder.names(), ["in", "out"]);
}

#[test]
fn an_output_may_not_replace_an_input() {
    let folder = folder();
    fs::create_dir(folder.path("far")).unwrap();
    fs::hard_link(folder.path("in"), folder.path("hard")).unwrap();
    for option in ["--output", "--refused"] {
        for name in ["in", "./in", "far/../in", "hard"] {
            let says = format!(
                "error: {option} names the INPUT in, which it would replace; name another file\n"
            );
            let done = folder.run(&format!("{RESOLVE} {option} {name}")).code(2);
            assert_eq!(done.says(&says).stdout, "");
            assert_eq!(folder.read("in"), event("a"));
        }
    }
    assert_eq!(folder.names(), ["far", "hard", "in"]);
}

#[test]
fn a_failed_run_leaves_no_file_and_changes_none() {
    let folder = folder();
    folder.write("out", "old\n");
    let gzip = crate::run::gzip(event("a").repeat(10_000));
    folder.write("cut", &gzip[..gzip.len() / 2]);
    for inputs in ["in missing", "in .", "in cut"] {
        let args = format!("resolve {inputs} -q --engine simplified -o out --refused refused");
        assert_eq!(folder.run(&args).code(1).stdout, "");
        assert_eq!(folder.read("out"), "old\n", "{inputs}");
        assert_eq!(folder.names(), ["cut", "in", "out"], "{inputs}");
    }
    // Nothing goes to stdout either before everything has been read.
    assert_eq!(
        folder
            .run("resolve in cut -q --engine simplified")
            .code(1)
            .stdout,
        ""
    );
}

#[test]
fn an_output_path_that_cannot_be_written_is_reported_before_anything_is_read() {
    let folder = folder();
    fs::create_dir(folder.path("folder")).unwrap();
    for (place, says) in [
        ("folder", "cannot write folder: is a directory"),
        ("folder/", "cannot write folder/: is a directory"),
        (".", "cannot write .: is a directory"),
        ("new/", "cannot write new/: not a directory"),
        ("none/out", "cannot write none/out: "),
        ("in/out", "cannot write in/out: "),
    ] {
        for args in [
            format!("resolve missing -q --engine simplified -o {place}"),
            format!("resolve missing -q --engine simplified --refused {place}"),
            format!("generate --workload cap --events 1000000000000 -o {place}"),
            format!("generate --workload cap --events 1000000000000 -o out --truth {place}"),
        ] {
            let done = folder.run(&args).code(1).says(says);
            assert_eq!(done.stdout, "");
        }
    }
    assert_eq!(folder.names(), ["folder", "in"]);
}

#[test]
fn two_outputs_may_not_go_to_one_file() {
    let folder = folder();
    folder.write("there", "");
    for (one, other) in [
        ("new", "new"),
        ("new", "./new"),
        ("there", "./there"),
        ("-", "-"),
    ] {
        let says = "error: --output and --refused name the same file\n";
        folder
            .run(&format!("{RESOLVE} -o {one} --refused {other}"))
            .code(2)
            .says(says);
        let says = "error: --output and --truth name the same file\n";
        let generate = "generate --workload cap --events 1";
        folder
            .run(&format!("{generate} -o {one} --truth {other}"))
            .code(2)
            .says(says);
    }
    folder.run(&format!("{RESOLVE} --refused -")).code(2);
    folder
        .run("generate --workload cap --events 1 --truth -")
        .code(2);
    assert_eq!(folder.names(), ["in", "there"]);
}

/// The content of a compressed file, with another decoder than that of the program.
#[track_caller]
fn unpacked(folder: &Folder, name: &str) -> String {
    let file = fs::File::open(folder.path(name)).unwrap();
    let mut text = String::new();
    if name.to_lowercase().ends_with("gz") {
        let mut decoder = flate2::read::GzDecoder::new(file);
        decoder.read_to_string(&mut text).unwrap();
        // One member, since some readers stop after the first.
        assert_eq!(decoder.into_inner().read(&mut [0]).unwrap(), 0);
    } else {
        text = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    }
    text
}

#[test]
fn an_output_is_compressed_by_its_name() {
    let folder = folder();
    folder
        .run("generate -q --workload web-login --events 2000 -o in --truth people")
        .ok();
    let plain = folder.run(RESOLVE).ok();
    let clusters = "clusters in -q --engine simplified";
    let plain_clusters = folder.run(clusters).ok();
    folder.write("bad", "x\n".repeat(300) + &event("a"));
    let refused = "resolve bad -q --engine simplified -o good --refused";
    folder.run(&format!("{refused} refused")).ok();
    for end in ["gz", "zst", "GZ", "Zst"] {
        let generate = format!(
            "generate -q --workload web-login --events 2000 -o in.{end} --truth people.{end}"
        );
        folder.run(&generate).ok();
        assert!(unpacked(&folder, &format!("in.{end}")) == folder.read("in"));
        assert_eq!(
            unpacked(&folder, &format!("people.{end}")),
            folder.read("people")
        );
        // The compressed file is read back.
        let read_back = format!("resolve in.{end} -q --engine simplified -o out.{end}");
        folder.run(&read_back).ok();
        assert!(unpacked(&folder, &format!("out.{end}")) == plain, "{end}");
        let size = |name: &str| fs::metadata(folder.path(name)).unwrap().len();
        assert!(size(&format!("out.{end}")) * 4 < plain.len() as u64);
        folder.run(&format!("{clusters} -o c.{end}")).ok();
        assert_eq!(unpacked(&folder, &format!("c.{end}")), plain_clusters);
        folder.run(&format!("{refused} refused.{end}")).ok();
        assert_eq!(
            unpacked(&folder, &format!("refused.{end}")),
            folder.read("refused")
        );
    }
    // A name without anything before the end is not an end.
    folder.run(&format!("{RESOLVE} -o .gz")).ok();
    assert!(folder.read(".gz") == plain);
}

#[test]
fn an_empty_output_is_compressed_too() {
    let folder = Folder::with(&[("in", "\n\n")]);
    for name in ["out.gz", "out.zst"] {
        folder.run(&format!("{RESOLVE} -o {name}")).ok();
        assert_eq!(unpacked(&folder, name), "");
        let again = folder.run(&format!("resolve {name} -q --engine original"));
        assert_eq!(again.ok(), "");
    }
}

#[test]
fn a_compressed_output_appears_whole_or_not_at_all() {
    let folder = folder();
    folder.write("out.zst", "old");
    for (args, code) in [
        ("resolve in missing -q --engine simplified -o out.zst", 1),
        (
            "resolve in -q --engine simplified -o out.zst --refused out.zst",
            2,
        ),
        ("resolve in -q --engine simplified -o in.gz/out.zst", 1),
    ] {
        folder.run(args).code(code);
        assert_eq!(folder.read("out.zst"), "old");
        assert_eq!(folder.names(), ["in", "out.zst"]);
    }
}

/// Reads one line of the program's stdout, and closes it.
#[track_caller]
fn one_line(folder: &Folder, args: &str) -> String {
    let mut command = folder.command(args);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let done = wait(child).code(0);
    assert_eq!(done.stderr, "");
    line
}

#[test]
fn a_reader_that_closes_stdout_early_is_not_an_error() {
    let folder = Folder::new();
    // Far more than the pipe and the buffers can hold.
    folder.write("in", event("a").repeat(60_000) + "x\n");
    assert_eq!(
        one_line(&folder, &format!("{RESOLVE} --refused refused")),
        event("a")
    );
    // The refused line is written anyway.
    assert_eq!(folder.read("refused").lines().count(), 1);

    let merge = |n| {
        format!(
            "{{\"event\":\"$merge\",\"properties\":{{\"$distinct_ids\":[\"a{n}\",\"b{n}\"]}}}}\n"
        )
    };
    folder.write("in", (0..50_000).map(merge).collect::<String>());
    assert_eq!(
        one_line(&folder, "clusters in -q --engine original"),
        "{\"canonical\":\"a0\",\"members\":[\"a0\",\"b0\"]}\n"
    );

    let generate = "generate -q --workload cap --events 1000000000000";
    assert!(one_line(&folder, generate).starts_with("{\"event\":"));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::run::mkfifo;

    /// Commands that write to stdout, one of each kind.
    const WRITERS: &[&str] = &[
        "resolve in -q --engine simplified",
        "clusters linked -q --engine simplified",
        "cluster x in -q --engine simplified",
        "generate -q --workload cap --events 9",
        "help rules",
        "help resolve",
        "--help",
        "resolve --help",
        "--version",
    ];

    const LINKED: &str = r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1"}}"#;

    #[test]
    fn a_closed_stdout_is_an_error() {
        let folder = folder();
        folder.write("linked", LINKED);
        for args in WRITERS {
            let done = folder.shell(&format!("idmerge {args} >&-"));
            done.fails_with("cannot write stdout: it is closed");
        }
        // An output that goes elsewhere needs no stdout, and a stdin or stderr that is closed is no error.
        folder.shell(&format!("idmerge {RESOLVE} -o out >&-")).ok();
        let done = folder.shell(&format!("idmerge {RESOLVE} 2>&- <&-"));
        assert_eq!(done.ok(), event("a"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_device_is_an_error() {
        let folder = folder();
        folder.write("linked", LINKED);
        for args in WRITERS {
            let done = folder.shell(&format!("idmerge {args} > /dev/full")).code(1);
            let says = "idmerge: cannot write stdout: No space left on device";
            assert!(done.stderr.contains(says), "{args}: {}", done.stderr);
        }
        for option in ["--output", "--refused"] {
            folder.write("in", event("a") + "x\n");
            let done = folder.run(&format!("{RESOLVE} {option} /dev/full")).code(1);
            done.says("cannot write /dev/full: No space left on device");
        }
    }

    #[test]
    fn an_output_may_not_replace_an_input_behind_a_link() {
        let folder = folder();
        symlink("in", folder.path("link")).unwrap();
        let says = "which it would replace";
        folder.run(&format!("{RESOLVE} -o link")).code(2).says(says);
        let done = folder.run("resolve link -q --engine simplified -o in");
        done.code(2).says(says);
        let done = folder.shell("idmerge resolve -q --engine simplified -o in < in");
        done.code(2).says("--output names the INPUT -, which");
        assert_eq!(folder.read("in"), event("a"));
    }

    fn mode(folder: &Folder, name: &str) -> u32 {
        fs::metadata(folder.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    }

    #[test]
    fn an_existing_file_keeps_its_permissions() {
        let folder = folder();
        for mode_before in [0o600, 0o640, 0o666, 0o755] {
            folder.write("out", "");
            let permissions = fs::Permissions::from_mode(mode_before);
            fs::set_permissions(folder.path("out"), permissions).unwrap();
            folder.run(&format!("{RESOLVE} -o out")).ok();
            assert_eq!(mode(&folder, "out"), mode_before);
        }
    }

    #[test]
    fn the_umask_applies_to_a_new_file() {
        let folder = folder();
        folder
            .shell(&format!("umask 027; idmerge {RESOLVE} -o out"))
            .ok();
        assert_eq!(mode(&folder, "out"), 0o640);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = folder();
        fs::create_dir(folder.path("far")).unwrap();
        folder.write("far/there", "old");
        // The second leads to the first, and that to a file that does not exist yet.
        symlink("far/new", folder.path("first")).unwrap();
        symlink("first", folder.path("second")).unwrap();
        symlink("far/there", folder.path("third")).unwrap();
        folder.run(&format!("{RESOLVE} -o second")).ok();
        folder.run(&format!("{RESOLVE} -o third")).ok();
        for link in ["first", "second", "third"] {
            assert!(folder.path(link).is_symlink(), "{link}");
            assert_eq!(folder.read(link), event("a"), "{link}");
        }
        assert_eq!(folder.read("far/new"), event("a"));
        assert_eq!(folder.read("far/there"), event("a"));
        assert_eq!(fs::read_dir(folder.path("far")).unwrap().count(), 2);
        // Two paths to one file are recognized through a link too.
        folder
            .run(&format!("{RESOLVE} -o far/new --refused second"))
            .code(2);
    }

    #[test]
    fn a_link_to_a_path_that_cannot_exist_is_an_error() {
        let folder = folder();
        symlink("two", folder.path("one")).unwrap();
        symlink("one", folder.path("two")).unwrap();
        folder
            .run(&format!("{RESOLVE} -o one"))
            .code(1)
            .says("cannot write one: ");
        symlink("none/out", folder.path("three")).unwrap();
        folder
            .run(&format!("{RESOLVE} -o three"))
            .code(1)
            .says("cannot write three: ");
        assert_eq!(folder.names(), ["in", "one", "three", "two"]);
        assert!(folder.path("one").is_symlink() && folder.path("three").is_symlink());
    }

    #[test]
    fn a_pipe_or_a_device_is_written_to_and_not_replaced() {
        let folder = folder();
        mkfifo(folder.path("pipe"));
        let done = folder.shell(&format!("cat pipe & idmerge {RESOLVE} -o pipe && wait"));
        assert_eq!(done.ok(), event("a"));
        assert_eq!(folder.names(), ["in", "pipe"]);
        // Both outputs may be discarded.
        folder
            .run(&format!("{RESOLVE} -o /dev/null --refused /dev/null"))
            .ok();
        // The form of path that a shell passes for `>(…)`.
        let done = folder.shell(&format!("idmerge {RESOLVE} -o /dev/fd/1 | cat"));
        assert_eq!(done.ok(), event("a"));
    }

    #[test]
    fn an_inherited_open_file_is_appended_to() {
        let folder = folder();
        folder.write("log", "before\n");
        folder
            .shell(&format!(
                "idmerge {RESOLVE} -o /dev/stdout >> log; echo after >> log"
            ))
            .ok();
        assert_eq!(folder.read("log"), format!("before\n{}after\n", event("a")));
        folder
            .shell(&format!("idmerge {RESOLVE} -o /dev/fd/3 3> new"))
            .ok();
        assert_eq!(folder.read("new"), event("a"));
    }
}
