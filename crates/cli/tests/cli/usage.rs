//! Arguments: help, and what is wrong usage.

use crate::run::Folder;

/// Nothing is written, and stderr says what is wrong.
#[track_caller]
fn wrong(args: &str, says: &str) {
    let folder = Folder::with(&[("in", "")]);
    let done = folder.run(args).code(2);
    assert_eq!(done.stdout, "");
    done.says(says).says("try '--help'");
    assert_eq!(folder.names(), ["in"]);
}

#[test]
fn wrong_usage_is_told_and_has_exit_code_2() {
    wrong("frobnicate", "unrecognized subcommand 'frobnicate'");
    wrong("resolve in", "--engine <ENGINE>");
    wrong(
        "resolve in --engine",
        "a value is required for '--engine <ENGINE>'",
    );
    wrong(
        "resolve in --engine both",
        "[possible values: simplified, original]",
    );
    wrong(
        "resolve in --engine simplified --frob",
        "unexpected argument '--frob'",
    );
    wrong(
        "resolve in --engine original -o a -o b",
        "cannot be used multiple times",
    );
    wrong(
        "resolve in --engine original -o",
        "a value is required for '--output <FILE>'",
    );
    wrong(
        "clusters in --engine original --refused r",
        "unexpected argument '--refused'",
    );
    wrong(
        "clusters in --engine original --strict",
        "unexpected argument '--strict'",
    );
    wrong("cluster --engine original", "<ID>");
    wrong(
        "resolve - in - --engine original",
        "stdin can be read only once, but - is given twice",
    );
}

#[test]
fn settings_have_their_bounds() {
    let original = "resolve in --engine original";
    wrong(
        &format!("{original} --max-cluster-ids 0"),
        "0 is not in 1..=4294967295",
    );
    wrong(
        &format!("{original} --max-cluster-ids many"),
        "invalid digit",
    );
    wrong(
        &format!("{original} --max-line-bytes -1"),
        "unexpected argument '-1'",
    );
    wrong(&format!("{original} --max-line-bytes 1e6"), "invalid digit");
    wrong(
        &format!("{original} --anon-id-format uuid"),
        "uuid_v4, guid and sdk",
    );
    let generate = "generate --workload cap --events";
    wrong("generate --events 1", "--workload <NAME>");
    wrong("generate --workload cap", "--events <N>");
    wrong(
        "generate --workload zap --events 1",
        "web-login, identify, shared-device and cap",
    );
    wrong(&format!("{generate} 1.5"), "invalid digit");
    wrong(&format!("{generate} 1 --seed x"), "invalid digit");
}

#[test]
fn settings_of_original_are_no_settings_of_simplified() {
    for command in ["resolve in", "clusters in", "cluster U1 in"] {
        for setting in ["--max-cluster-ids 500", "--anon-id-format uuid_v4"] {
            let says = "is a setting of --engine original; leave it out with --engine simplified";
            wrong(&format!("{command} --engine simplified {setting}"), says);
        }
    }
}

#[test]
fn help_is_no_error_and_has_examples() {
    let folder = Folder::new();
    for command in ["", "resolve", "clusters", "cluster", "generate"] {
        let help = folder.run(&format!("{command} --help")).ok();
        let (_, example) = help.split_once("Example").unwrap();
        assert!(
            example.contains(&format!("\n  idmerge {command}")),
            "{help}"
        );
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        assert_eq!(folder.run(&format!("help {command}")).ok(), help);
    }
    let done = folder.run("").code(2).says("Usage: idmerge <COMMAND>");
    assert_eq!(done.stdout, "");
    let version = folder.run("--version").ok();
    assert_eq!(
        version,
        concat!("idmerge ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_first_example_of_clusters_is_true() {
    let folder = Folder::with(&[(
        "events.ndjson",
        r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1"}}
{"event":"A","properties":{"$device_id":"D2","$user_id":"U1"}}
"#,
    )]);
    let help = folder.run("clusters --help").ok();
    let mut lines = help
        .lines()
        .skip_while(|line| !line.starts_with("Example"))
        .skip(1);
    let command = lines
        .next()
        .unwrap()
        .trim()
        .strip_prefix("idmerge ")
        .unwrap();
    assert_eq!(
        folder.run(command).ok().trim(),
        lines.next().unwrap().trim()
    );
}
