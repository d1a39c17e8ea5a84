//! [`Published`]: a value that one thread replaces while others read it.
#![allow(
    unsafe_code,
    reason = "`arc-swap`, whose interface is safe, takes three times as long: each load has two atomic exchanges"
)]

use std::fmt;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{Atomic, Guard, Owned};

/// A value that is replaced while other threads read it. Readers take no lock and never wait. A value that was replaced
/// is dropped once nobody reads it any more, by any thread that uses a `Published`.
///
/// ```
/// use idmerge_state::{Published, pin};
///
/// let published = Published::new("before".to_owned());
/// let pin = pin();
/// let before = published.now(&pin);
/// published.replace("after".to_owned());
/// assert_eq!((before.as_str(), published.now(&pin).as_str()), ("before", "after"));
/// ```
pub struct Published<T> {
    /// Never null.
    value: Atomic<T>,
}

/// What this thread reads of any [`Published`] stays as long as it has this.
pub struct Pin(Guard);

/// Keeps what this thread reads from now on, until the result is dropped. Hold it for one answer or a few: what is
/// replaced meanwhile, by any thread, is kept too. It costs most of what a lock costs that nobody else wants; a second
/// one, while the thread has one, costs little.
#[inline]
#[must_use]
pub fn pin() -> Pin {
    Pin(crossbeam_epoch::pin())
}

impl<T: Send + Sync + 'static> Published<T> {
    /// Publishes a value.
    pub fn new(value: T) -> Self {
        Self {
            value: Atomic::new(value),
        }
    }

    /// The latest value. Whoever sees it sees what was written before it was published.
    #[inline]
    pub fn now<'p>(&'p self, pin: &'p Pin) -> &'p T {
        let value = self.value.load(Ordering::Acquire, &pin.0);
        // SAFETY: the pointer is never null, and its value was written before it was stored (`Release`). The value is
        // dropped in three places: after `replace`, when no thread has a pin that it had then; in `drop`, which needs
        // the whole `Published`, and this borrows it.
        unsafe { value.deref() }
    }

    /// Publishes another value.
    pub fn replace(&self, value: T) {
        let pin = pin();
        let before = self.value.swap(Owned::new(value), Ordering::AcqRel, &pin.0);
        // SAFETY: nobody can load it any more, and whoever has loaded it has a pin. The value can be dropped by another
        // thread: it is `Send`.
        unsafe { pin.0.defer_destroy(before) };
        pin.0.flush();
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        let value = std::mem::replace(&mut self.value, Atomic::null());
        // SAFETY: nobody else has this `Published`, so nobody else has the pointer, which is not null. Values before it
        // were replaced, and have pointers of their own.
        drop(unsafe { value.into_owned() });
    }
}

impl<T> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").finish_non_exhaustive()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_value_is_dropped_once_nobody_reads_it() {
        let values: Vec<_> = (0..200).map(Arc::new).collect();
        let published = Published::new(values[0].clone());
        let first = pin();
        let before = published.now(&first);
        for value in &values[1..] {
            published.replace(value.clone());
        }
        assert_eq!((**before, **published.now(&first)), (0, 199));
        assert_eq!(Arc::strong_count(&values[0]), 2);
        drop(first);
        // Each pin moves the others on a little.
        let is_dropped = (0..50_000_000).any(|_| {
            pin().0.flush();
            thread::yield_now();
            Arc::strong_count(&values[0]) == 1
        });
        assert!(is_dropped);
        drop(published);
        assert_eq!(Arc::strong_count(&values[199]), 1);
    }
}
