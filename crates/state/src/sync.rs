//! What threads share memory by: of the standard library, or of a program that tries all orders of what they do.

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A cell with the interface of `loom`.
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    #[inline]
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<U>(&self, read: impl FnOnce(*const T) -> U) -> U {
        read(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<U>(&self, write: impl FnOnce(*mut T) -> U) -> U {
        write(self.0.get())
    }
}
