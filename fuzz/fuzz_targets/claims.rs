//! Any bytes as claims: compares the engines with the oracle.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{original, simplified};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::claims(bytes, simplified);
    fuzz::claims(bytes, original);
});
