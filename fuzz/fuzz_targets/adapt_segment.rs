//! Any bytes as records of Segment.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    idmerge_adapters::fuzz::record(idmerge_adapters::Format::Segment, bytes);
});
