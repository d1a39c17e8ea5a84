//! Damaged data that makes the Parquet library panic is an error like any other.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in the Parquet library. A panic there is caught, and becomes an error: a program that
/// reports panics need not report it.
pub fn is_decoding() -> bool {
    IS_DECODING.get()
}

/// Calls the Parquet library, which panics on some damaged data. What it was called on must not be used again after
/// an error.
pub(super) fn decoding<T>(decode: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    IS_DECODING.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    IS_DECODING.set(false);
    decoded.unwrap_or_else(|cause| {
        let cause = match (cause.downcast_ref::<&str>(), cause.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (None, Some(text)) => text.as_str(),
            (None, None) => "unknown",
        };
        let message = format!("its Parquet data is damaged ({cause})");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    })
}
