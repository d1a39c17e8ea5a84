//! Any bytes as an event: compares the reading with that of the oracle.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{legacy, original, simplified};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::event(bytes, simplified);
    fuzz::event(bytes, original);
    fuzz::event(bytes, legacy);
});
