//! Any bytes as a snapshot, unchanged and in a valid frame.
#![no_main]

use idmerge_conformance::{EngineSettings, fuzz};
use idmerge_differential::ENGINES;
use idmerge_fuzz::framed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for engine in ENGINES {
        fuzz::snapshot(bytes, engine);
        let rule_book = engine(&EngineSettings::default()).rule_book();
        fuzz::snapshot(&framed(bytes, rule_book), engine);
    }
});
