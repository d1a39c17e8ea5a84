//! Any bytes as an event, read as the oracle reads it.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{original, simplified};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::event(bytes, simplified);
    fuzz::event(bytes, original);
});
