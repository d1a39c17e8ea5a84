//! Any bytes as an event: compares the reading with that of the oracle.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::ENGINES;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for engine in ENGINES {
        fuzz::event(bytes, engine);
    }
});
