//! Any bytes as an event: writes the answer onto it and reads it back.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{legacy, original, simplified};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::splice(bytes, simplified);
    fuzz::splice(bytes, original);
    fuzz::splice(bytes, legacy);
});
