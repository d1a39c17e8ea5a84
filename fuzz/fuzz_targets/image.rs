//! Any pieces as an image.
#![no_main]

use idmerge_conformance::fuzz;
use idmerge_differential::ENGINES;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for engine in ENGINES {
        fuzz::image(bytes, engine);
    }
});
