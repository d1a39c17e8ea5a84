//! Any bytes as a snapshot, unchanged and in a valid frame.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{legacy, original, simplified};
use idmerge_fuzz::framed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::snapshot(bytes, simplified);
    fuzz::snapshot(bytes, original);
    fuzz::snapshot(bytes, legacy);
    fuzz::snapshot(
        &framed(bytes, idmerge_core::RuleBook::Simplified),
        simplified,
    );
    fuzz::snapshot(&framed(bytes, idmerge_core::RuleBook::Original), original);
    fuzz::snapshot(&framed(bytes, idmerge_core::RuleBook::Legacy), legacy);
});
