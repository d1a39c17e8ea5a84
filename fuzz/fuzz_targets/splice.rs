//! Any bytes as an event: writes the answer onto it and reads it back.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::ENGINES;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for engine in ENGINES {
        fuzz::splice(bytes, engine);
    }
});
