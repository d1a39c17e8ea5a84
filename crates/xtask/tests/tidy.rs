//! Holds this tree to the rules of the house. What a failure says is what to do.

use std::path::Path;

use idmerge_xtask::failure::Failure;
use idmerge_xtask::tidy::{self, MayName};

/// The libraries that are for everybody.
const LIBRARIES: &[&str] = &[
    "core",
    "state",
    "simplified",
    "original",
    "conformance",
    "events",
    "shared",
    "store",
    "workloads",
];

/// Which siblings a package may name: (folder, normal, dev). Engines never name each other, not
/// even in tests; the suite names no engine; core names nobody.
const MAY_NAME: &[MayName<'_>] = &[
    ("core", &[], &[]),
    ("state", &["core"], &[]),
    ("simplified", &["core", "state"], &["conformance"]),
    ("original", &["core", "state"], &["conformance"]),
    ("conformance", &["core", "events"], &[]),
    ("events", &["core"], &["simplified", "original"]),
    (
        "store",
        &["core"],
        &["conformance", "simplified", "original"],
    ),
    ("shared", &["core"], &["simplified", "original"]),
    ("workloads", &[], &[]),
    ("profiles", &["core"], &[]),
    (
        "project",
        &[
            "core",
            "events",
            "original",
            "profiles",
            "simplified",
            "store",
        ],
        &["workloads"],
    ),
    ("wire", &["core"], &[]),
    (
        "server",
        &["core", "original", "project", "store", "wire"],
        &[],
    ),
    // Both engines side by side, and so outside of both.
    (
        "differential",
        &["core", "conformance", "simplified", "original", "events"],
        &["workloads"],
    ),
    (
        "cli",
        &[
            "core",
            "simplified",
            "original",
            "events",
            "server",
            "store",
            "workloads",
        ],
        &[],
    ),
    ("xtask", &[], &[]),
    ("benches", LIBRARIES, &[]),
    (
        "fuzz",
        &["core", "state", "conformance", "differential", "wire"],
        &[],
    ),
];

/// Rules that no vector can show: (rule, why).
const NO_VECTORS: &[(&str, &str)] = &[
    ("IN-3", "a vector is an event, not a line of a file"),
    ("IN-4", "a vector is an event, not a line of a file"),
];

/// A longer file has more than one subject.
const LINES_MAX: usize = 600;

/// Longer files: (file, why it is one).
const LONG_FILES: &[(&str, &str)] = &[];

/// What belongs to an issue and not to a file. In two parts each, so that this file passes.
const WORDS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[track_caller]
fn assert_none(complaints: Result<Vec<String>, Failure>) {
    let complaints = complaints.unwrap_or_else(|failure| vec![failure.to_string()]);
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}

#[test]
fn packages_name_only_whom_they_may() {
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
fn files_are_short() {
    assert_none(tidy::long_files(root(), LINES_MAX, LONG_FILES));
}

#[test]
fn what_is_public_is_documented() {
    assert_none(tidy::undocumented(root()));
}

#[test]
fn sources_have_no_loose_ends() {
    assert_none(tidy::words(root(), WORDS));
}
