//! The destination of output: stdout, or a file that is replaced only on success.

use std::io::{BufRead, BufReader};
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
fn a_dash_is_stdout() {
    let folder = folder();
    assert_eq!(folder.run(&format!("{RESOLVE} -o -")).ok(), event("a"));
    folder.write("in", "x\n".to_owned() + &event("a"));
    let refused = folder.run(&format!("{RESOLVE} --refused - -o out")).ok();
    assert!(refused.starts_with("{\"line\":1,"), "{refused}");
    assert_eq!(folder.names(), ["in", "out"]);
}

#[test]
fn the_input_may_be_the_output() {
    let folder = folder();
    folder.write("in", event("a").repeat(20_000) + "x\n");
    folder
        .run(&format!("{RESOLVE} -o in --refused refused"))
        .ok();
    assert!(folder.read("in") == event("a").repeat(20_000));
    assert_eq!(folder.names(), ["in", "refused"]);
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
    std::fs::create_dir(folder.path("folder")).unwrap();
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

#[test]
fn refused_lines_may_not_replace_an_input() {
    let folder = folder();
    let says = "error: --refused names an INPUT, which it would replace\n";
    for refused in ["in", "./in"] {
        let done = folder
            .run(&format!("{RESOLVE} --refused {refused}"))
            .code(2);
        assert_eq!(done.says(says).stdout, "");
        assert_eq!(folder.read("in"), event("a"));
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
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::run::mkfifo;

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
