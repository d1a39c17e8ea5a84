//! Any bytes as records of a table of one's own.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    idmerge_adapters::fuzz::record(idmerge_adapters::Format::Csv, bytes);
});
