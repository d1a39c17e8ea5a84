//! Any bytes as records of Amplitude.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    idmerge_adapters::fuzz::record(idmerge_adapters::Format::Amplitude, bytes);
});
