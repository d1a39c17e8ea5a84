//! Locks of which no panic makes an error.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whoever panicked while holding the lock has changed nothing: the end of the log changes in one
/// step, when all is safe.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
