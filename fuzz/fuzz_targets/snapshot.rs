//! Any bytes as a snapshot, as they come and in a frame with a right checksum.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::{original, simplified};
use idmerge_fuzz::framed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    fuzz::snapshot(bytes, simplified);
    fuzz::snapshot(bytes, original);
    fuzz::snapshot(
        &framed(bytes, idmerge_core::RuleBook::Simplified),
        simplified,
    );
    fuzz::snapshot(&framed(bytes, idmerge_core::RuleBook::Original), original);
});
