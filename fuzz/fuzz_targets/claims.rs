//! Any bytes as claims: compares the engines with the oracle.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{legacy, original, simplified};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::claims(bytes, simplified);
    fuzz::claims(bytes, original);
    fuzz::claims(bytes, legacy);
});
