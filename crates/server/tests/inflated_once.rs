//! A short compressed body is decompressed once. Each decompression allocates its window.
//!
//! One test, because it counts what its process allocates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs a server on a thread"
)]

mod support;

use std::alloc::System;
use std::io::Read as _;

use cap::Cap;
use flate2::read::MultiGzDecoder;
use idmerge_engines::Model;
use support::{Running, gzip};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const REQUESTS: usize = 200;

/// The bytes that are allocated, and freed, by doing something many times.
fn allocated(mut act: impl FnMut()) -> usize {
    // The first time opens connections and makes buffers.
    act();
    let before = ALLOCATOR.total_allocated();
    (0..REQUESTS).for_each(|_| act());
    ALLOCATOR.total_allocated() - before
}

#[test]
fn a_short_compressed_body_is_decompressed_once() {
    let event = r#"[{"event":"A","properties":{"token":"TOK","distinct_id":"U"}}]"#;
    let compressed = gzip(event);

    let by_itself = allocated(|| {
        let mut text = Vec::new();
        let mut decoder = MultiGzDecoder::new(&compressed[..]);
        decoder.read_to_end(&mut text).unwrap();
    });
    let server = Running::of(Model::Original);
    let of_requests =
        |body: &[u8]| allocated(|| assert_eq!(server.send("POST", "/track", &[], body).body, "1"));
    let (plain, gzip) = (of_requests(event.as_bytes()), of_requests(&compressed));
    let added = gzip.saturating_sub(plain);
    assert!(
        added < by_itself * 3 / 2,
        "{added} bytes for decompressing; {by_itself} when it is done once"
    );
}
