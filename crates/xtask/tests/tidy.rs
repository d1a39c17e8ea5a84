//! Checks the structure of this repository. A failure says what to do.

use std::path::Path;

use idmerge_xtask::tidy::{self, MayName};

/// The libraries that benchmarks may use.
const LIBRARIES: &[&str] = &[
    "adapters",
    "core",
    "state",
    "simplified",
    "original",
    "legacy",
    "conformance",
    "engines",
    "events",
    "shared",
    "store",
    "workloads",
];

/// Which packages of this tree a package may depend on: (folder, normal, dev). Engines never depend
/// on each other, not even in tests; the suite depends on no engine; core depends on nothing.
const MAY_NAME: &[MayName<'_>] = &[
    ("core", &[], &[]),
    ("state", &["core"], &[]),
    ("simplified", &["core", "state"], &["conformance"]),
    ("original", &["core", "state"], &["conformance"]),
    ("legacy", &["core", "state"], &["conformance"]),
    (
        "engines",
        &["core", "legacy", "original", "simplified"],
        &[],
    ),
    ("conformance", &["core", "events"], &["state"]),
    ("events", &["core"], &["simplified", "original"]),
    ("adapters", &["core", "events"], &["simplified", "original"]),
    ("analysis", &["core", "events"], &[]),
    ("tables", &["core", "events"], &[]),
    ("columns", &["core", "engines", "events", "tables"], &[]),
    (
        "lint",
        &["core", "engines", "state"],
        &["events", "workloads"],
    ),
    (
        "store",
        &["core", "disk"],
        &["conformance", "legacy", "simplified", "original"],
    ),
    ("disk", &[], &[]),
    ("ingest", &["core", "engines", "events", "store"], &[]),
    ("spill", &[], &[]),
    (
        "shared",
        &["core", "state"],
        &["conformance", "engines", "legacy", "original", "simplified"],
    ),
    ("workloads", &[], &[]),
    ("profiles", &["core"], &[]),
    (
        "project",
        &[
            "analysis", "core", "disk", "engines", "events", "profiles", "shared", "store",
        ],
        &["workloads"],
    ),
    ("wire", &["core", "events"], &[]),
    (
        "server",
        &[
            "adapters", "analysis", "core", "engines", "project", "store", "wire",
        ],
        &["events"],
    ),
    (
        "migrate",
        &["core", "engines", "events", "spill", "state", "wire"],
        &["conformance"],
    ),
    // Compares the engines, so it belongs to none of them.
    (
        "differential",
        &[
            "core",
            "conformance",
            "engines",
            "simplified",
            "original",
            "events",
        ],
        &["workloads"],
    ),
    (
        "cli",
        &[
            "adapters",
            "analysis",
            "columns",
            "core",
            "engines",
            "simplified",
            "original",
            "legacy",
            "events",
            "ingest",
            "lint",
            "migrate",
            "server",
            "spill",
            "store",
            "tables",
            "workloads",
        ],
        &[],
    ),
    ("xtask", &[], &[]),
    ("benches", LIBRARIES, &[]),
    (
        "fuzz",
        &[
            "adapters",
            "core",
            "state",
            "conformance",
            "differential",
            "wire",
        ],
        &[],
    ),
    (
        "python",
        &[
            "analysis", "cli", "columns", "core", "engines", "events", "ingest", "lint", "store",
            "tables",
        ],
        &[],
    ),
];

/// The packages that are not published.
const INTERNAL: &[&str] = &["benches", "differential", "fuzz", "python", "xtask"];

/// Rules, or all rules of a series, that no vector can show: (rule or series, why).
const NO_VECTORS: &[(&str, &str)] = &[
    ("IN-3", "a vector is an event, not a line of a file"),
    ("IN-4", "a vector is an event, not a line of a file"),
    (
        "IN-6",
        "a vector is an event, not a file; crates/cli/tests/cli/forms.rs",
    ),
    ("IN-7", "a vector is UTF-8; crates/wire/tests/senders.rs"),
    ("IN-8", "a vector is UTF-8; crates/wire/tests/senders.rs"),
    (
        "IN-9",
        "a vector is an event, not a form; crates/wire/tests/senders.rs",
    ),
    (
        "AR-1",
        "a vector has no requests; crates/server/tests/server/order.rs",
    ),
    (
        "AR-2",
        "a vector has no repetitions; crates/project/tests/project/replaced.rs",
    ),
    (
        "LP-1",
        "a vector has no profiles; crates/project/tests/project/legacy.rs",
    ),
    (
        "LP-2",
        "a vector has no profiles; crates/project/tests/project/legacy.rs",
    ),
    (
        "LE-1",
        "a vector has no erasures; crates/legacy/tests/deletion.rs, crates/store/tests/store/erasure.rs",
    ),
    (
        "LG",
        "a vector has no withdrawals; crates/store/tests/store/withdrawal.rs, crates/server/tests/server/retract.rs",
    ),
    (
        "P",
        "a vector has no profiles; crates/profiles/src/merge.rs, crates/project/tests/project/merged_profiles.rs",
    ),
    (
        "AR-3",
        "a vector is an event, not a file; crates/cli/tests/cli/again.rs",
    ),
    (
        "M",
        "a vector is for one engine; crates/migrate/tests/migration",
    ),
    (
        "A",
        "a vector is an event, not a record of another product; crates/adapters/tests",
    ),
    (
        "E",
        "a vector has no erasures; crates/store/tests/store/erasure.rs, crates/project/tests/project/erasure.rs",
    ),
    (
        "F",
        "a vector has no funnels; crates/analysis/tests, crates/cli/tests/cli/funnel.rs, crates/server/tests/server/funnel.rs",
    ),
];

/// Files that name rules that are not there: (file, reason).
const MADE_UP_RULES: &[(&str, &str)] = &[
    ("CONTRIBUTING.md", "shows how to add a rule"),
    (
        "crates/differential/tests/divergences.rs",
        "its tests need a rule that is not there",
    ),
    (
        "crates/xtask/src/tidy/citations.rs",
        "its tests have a book of their own",
    ),
    (
        "crates/xtask/src/tidy/rules.rs",
        "its tests have a book of their own",
    ),
];

/// A longer file of a `src` folder has more than one subject.
const SRC_LINES_MAX: usize = 500;

/// The limit of other files, such as tests.
const LINES_MAX: usize = 600;

/// Files that are longer: (file, reason).
const LONG_FILES: &[(&str, &str)] = &[];

/// A folder with more files has inner folders.
const FOLDER_FILES_MAX: usize = 10;

/// Folders with more files: (folder, reason).
const FLAT_FOLDERS: &[(&str, &str)] = &[];

/// Notes that belong in an issue. Each is in two parts, so that this file passes.
const WORDS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Larger circles make files that cannot be understood one at a time.
const CIRCLE_FILES_MAX: usize = 2;

/// A longer function does more than one thing.
const FUNCTION_LINES_MAX: usize = 60;

/// Functions that are longer: (file, function, reason).
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[(
    "crates/original/src/engine.rs",
    "weigh",
    "lists the guardrails of a claim, in order",
)];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[track_caller]
fn assert_none(complaints: anyhow::Result<Vec<String>>) {
    let complaints = complaints.unwrap_or_else(|error| vec![format!("{error:#}")]);
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}

#[test]
fn packages_depend_only_on_what_they_may() {
    assert_none(tidy::siblings(root(), MAY_NAME));
}

#[test]
fn packages_are_named_by_their_folders() {
    assert_none(tidy::package_names(root()));
}

#[test]
fn manifests_inherit() {
    assert_none(tidy::inheritance(root()));
}

#[test]
fn packages_can_be_published() {
    assert_none(tidy::publishing(root(), INTERNAL));
}

#[test]
fn the_architecture_mentions_every_package() {
    assert_none(tidy::architecture(root()));
}

#[test]
fn every_rule_has_a_test() {
    assert_none(tidy::untested_rules(root()));
}

#[test]
fn every_rule_has_vectors_from_both_sides() {
    assert_none(tidy::rules_and_vectors(root(), NO_VECTORS));
}

#[test]
fn every_rule_that_is_cited_is_there() {
    assert_none(tidy::unknown_rules(root(), MADE_UP_RULES));
}

#[test]
fn every_source_file_that_a_document_names_is_there() {
    assert_none(tidy::missing_files(root()));
}

#[test]
fn files_are_short() {
    assert_none(tidy::long_files(
        root(),
        SRC_LINES_MAX,
        LINES_MAX,
        LONG_FILES,
    ));
}

#[test]
fn folders_have_inner_folders() {
    assert_none(tidy::flat_folders(root(), FOLDER_FILES_MAX, FLAT_FOLDERS));
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    assert_none(tidy::circles(root(), CIRCLE_FILES_MAX));
}

#[test]
fn functions_are_short() {
    assert_none(tidy::long_functions(
        root(),
        FUNCTION_LINES_MAX,
        LONG_FUNCTIONS,
    ));
}

#[test]
fn public_items_are_documented() {
    assert_none(tidy::undocumented(root()));
}

#[test]
fn sources_have_no_loose_ends() {
    assert_none(tidy::words(root(), WORDS));
}
