//! Any lines as the events of a stream: each is read as it is alone.
#![no_main]

use idmerge_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::stream(bytes));
