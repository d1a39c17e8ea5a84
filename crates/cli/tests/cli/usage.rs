//! Help, and errors in the arguments.

use crate::run::{Folder, run};

/// Nothing is written, and stderr has this error.
#[track_caller]
fn wrong(args: &str, says: &str) {
    let folder = Folder::with(&[("in", "")]);
    let done = folder.run(args).code(2);
    assert_eq!(done.stdout, "");
    done.says(says).says("try '--help'");
    assert_eq!(folder.names(), ["in"]);
}

#[test]
fn wrong_usage_is_reported_with_exit_code_2() {
    wrong("frobnicate", "unrecognized subcommand 'frobnicate'");
    wrong("resolve in", "--engine <ENGINE>");
    wrong(
        "resolve in --engine",
        "a value is required for '--engine <ENGINE>'",
    );
    wrong(
        "resolve in --engine both",
        "[possible values: simplified, original, legacy]",
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
        "generate --workload cap --events 1 --refused r",
        "unexpected argument '--refused'",
    );
    wrong(
        "generate --workload cap --events 1 --strict",
        "unexpected argument '--strict'",
    );
    wrong("cluster --engine original", "<ID>");
    wrong(
        "resolve - in - --engine original",
        "stdin can be read only once, but - is given twice",
    );
}

#[test]
fn a_missing_engine_lists_the_models_and_how_to_choose() {
    for args in [
        "resolve in",
        "clusters in",
        "cluster U1 in",
        #[cfg(feature = "store")]
        "ingest store in",
        #[cfg(feature = "store")]
        "store simulate store",
        #[cfg(feature = "serve")]
        "serve --data data",
    ] {
        for says in [
            "--engine simplified: A device belongs to the first user who logs in on it",
            "--engine original: $identify, $create_alias and $merge join IDs",
            "`idmerge inspect FILE` says which of them fits",
        ] {
            wrong(args, says);
        }
    }
    let done = Folder::new()
        .run("cluster in --engine simplified --frob")
        .code(2);
    assert!(!done.stderr.contains("inspect"), "{}", done.stderr);
    // The advice is not given for another argument.
    let done = Folder::new().run("cluster --engine simplified").code(2);
    assert!(!done.stderr.contains("inspect"), "{}", done.stderr);
}

#[test]
fn settings_have_bounds() {
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
        "uuid_v4, guid or sdk",
    );
    let generate = "generate --workload cap --events";
    wrong("generate --events 1", "--workload <NAME>");
    wrong("generate --workload cap", "--events <N>");
    wrong(
        "generate --workload zap --events 1",
        "[possible values: web-login, identify, shared-device, cap]",
    );
    wrong(&format!("{generate} 1.5"), "invalid digit");
    wrong(&format!("{generate} 1 --seed x"), "invalid digit");
}

#[test]
fn settings_of_original_are_rejected_for_simplified() {
    for command in ["resolve in", "clusters in", "cluster U1 in"] {
        for setting in ["--max-cluster-ids 500", "--anon-id-format uuid_v4"] {
            let says = "is not a setting of --engine simplified; leave it out";
            wrong(&format!("{command} --engine simplified {setting}"), says);
        }
    }
}

const COMMANDS: &[&str] = &[
    "",
    "resolve",
    "clusters",
    "cluster",
    "funnel",
    "uniques",
    "retention",
    "inspect",
    "lint",
    "order",
    "generate",
    #[cfg(feature = "store")]
    "ingest",
    #[cfg(feature = "serve")]
    "serve",
    "help",
    "completions",
    "man",
    #[cfg(feature = "store")]
    "store",
    #[cfg(feature = "store")]
    "store info",
    #[cfg(feature = "store")]
    "store log",
    #[cfg(feature = "store")]
    "store explain",
    #[cfg(feature = "store")]
    "store retract",
    #[cfg(feature = "store")]
    "store changes",
    #[cfg(feature = "store")]
    "store simulate",
    #[cfg(feature = "store")]
    "store as-of",
    #[cfg(feature = "store")]
    "store digest",
    #[cfg(feature = "store")]
    "store compare",
    #[cfg(feature = "store")]
    "store backup",
    #[cfg(feature = "store")]
    "store restore",
    #[cfg(feature = "store")]
    "store repair",
];

/// The help of a command on a terminal with this many columns.
#[track_caller]
fn help(folder: &Folder, command: &str, columns: usize) -> String {
    let mut program = folder.command(&format!("{command} --help"));
    program.env("COLUMNS", columns.to_string());
    run(program, "").ok()
}

#[test]
fn help_succeeds_and_has_examples() {
    let folder = Folder::new();
    for command in COMMANDS {
        let help = help(&folder, command, 100);
        let (_, example) = help.split_once("Example").unwrap();
        assert!(
            example.contains(&format!("\n  idmerge {command}")),
            "{help}"
        );
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
fn help_fits_the_terminal_and_wraps_no_example() {
    let folder = Folder::new();
    for command in COMMANDS {
        let examples = |help: &str| -> Vec<String> {
            let lines = help.lines().skip_while(|line| !line.starts_with("Example"));
            let indented = lines.filter(|line| line.starts_with("  "));
            indented.map(str::to_owned).collect()
        };
        let (narrow, wide) = (help(&folder, command, 80), help(&folder, command, 100));
        assert!(narrow.lines().all(|line| line.len() <= 80), "{narrow}");
        assert!(wide.lines().all(|line| line.len() <= 100), "{wide}");
        assert_eq!(examples(&narrow), examples(&wide));
    }
}

#[test]
fn help_rules_prints_the_rule_book() {
    let folder = Folder::new();
    let rules = folder.run("help rules").ok();
    assert!(rules.contains("**S-1**") && rules.contains("**IN-3**"));
    folder
        .run("help nonsense")
        .code(2)
        .says("unrecognized subcommand 'nonsense'");
    #[cfg(unix)]
    for args in ["help rules", "help resolve", "resolve --help"] {
        let done = folder.shell(&format!("idmerge {args} | head -n 1")).code(0);
        assert_eq!((done.stdout.lines().count(), done.stderr.as_str()), (1, ""));
    }
}

/// The error for a command or an option that this build leaves out.
#[cfg(not(feature = "serve"))]
fn left_out(args: &str, feature: &str) {
    let done = Folder::new().run(args).code(2);
    assert_eq!(done.stdout, "");
    done.says("this build of idmerge has no")
        .says(&format!("cargo install idmerge --features {feature}"));
}

#[test]
#[cfg(not(feature = "serve"))]
fn a_build_without_serve_names_the_feature() {
    left_out("serve", "serve");
    left_out("serve --data data --engine simplified", "serve");
}

#[test]
#[cfg(not(feature = "store"))]
fn a_build_without_store_names_the_feature() {
    left_out("ingest people - --engine simplified", "store");
    left_out("store explain people U1", "store");
    left_out("store", "store");
    left_out("resolve --store people", "store");
    left_out("cluster U1 --store people", "store");
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
