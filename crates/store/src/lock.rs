//! Locking that ignores poison.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ignores that a thread panicked with the lock: what these locks guard changes in one step, after
/// everything that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
