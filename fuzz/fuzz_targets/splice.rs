//! Any bytes as an event, with the answer written onto it.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{original, simplified};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::splice(bytes, simplified);
    fuzz::splice(bytes, original);
});
