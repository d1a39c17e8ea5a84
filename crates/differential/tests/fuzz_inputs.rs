//! Runs the fuzz bodies without a fuzzer: over its seeds, and over inputs that it found.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and saved inputs are files"
)]

use std::fs;
use std::path::Path;

use idmerge_conformance::{EngineSettings, fuzz};
use idmerge_differential::{ENGINES, original, seeds};

/// The body of a fuzz target, for each engine.
fn run(target: &str, bytes: &[u8]) {
    for engine in ENGINES {
        match target {
            "event" => fuzz::event(bytes, engine),
            "splice" => fuzz::splice(bytes, engine),
            "claims" => fuzz::claims(bytes, engine),
            "snapshot" => fuzz::snapshot(bytes, engine),
            "image" => fuzz::image(bytes, engine),
            "stream" => fuzz::stream(bytes),
            other => unreachable!("there is no fuzz target {other}"),
        }
    }
}

#[test]
fn seeds_pass() {
    let seeds = seeds().unwrap();
    for target in ["event", "splice", "stream", "claims", "snapshot", "image"] {
        assert!(seeds.iter().filter(|seed| seed.target == target).count() > 10);
    }
    for seed in seeds {
        run(seed.target, &seed.bytes);
    }
}

#[test]
fn inputs_that_a_fuzzer_found_pass() {
    let regressions = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fuzz/regressions"
    ));
    for target in fs::read_dir(regressions).unwrap() {
        let target = target.unwrap();
        // The folder also has a README.
        if target.path().is_dir() {
            for input in fs::read_dir(target.path()).unwrap() {
                let bytes = fs::read(input.unwrap().path()).unwrap();
                run(target.file_name().to_str().unwrap(), &bytes);
            }
        }
    }
}

#[test]
#[should_panic(expected = "wanted")]
fn a_wrong_engine_is_noticed() {
    let one_more = |settings: &EngineSettings| {
        original(&EngineSettings {
            max_cluster_ids: settings.max_cluster_ids + 1,
            ..settings.clone()
        })
    };
    // A limit of 3, and three merges that make a cluster of four IDs.
    fuzz::claims(&[3, 3, 0x01, 3, 0x23, 3, 0x02], one_more);
}
