//! Any bytes as a request to each endpoint that takes records.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    idmerge_wire::fuzz::request(bytes);
});
