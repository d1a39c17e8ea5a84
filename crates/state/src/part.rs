//! Memory of a fixed size that one thread appends to while others read what is there.
#![allow(
    unsafe_code,
    reason = "safe code has a lock, or one more atomic in each value, for what is written once"
)]

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use crate::sync::{AtomicUsize, Ordering, UnsafeCell};

/// Memory for a fixed number of values. They are written once, from the first one on, and do not change afterwards.
struct Part<T> {
    slots: Vec<Slot<T>>,
    /// So many slots have a value. Only the appender stores it, after the value.
    written: Apart<AtomicUsize>,
}

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// A value that shares no cache line with another one: it changes often, and what is next to it is read often.
#[repr(align(128))]
struct Apart<T>(T);

// SAFETY: a slot is written by the only appender while `written` does not count it, and nobody reads it then. From then
// on nobody writes it. So threads share it like a value that does not change.
unsafe impl<T: Send + Sync> Sync for Part<T> {}

impl<T: Copy> Part<T> {
    /// Whether the values before `end` are written. So many are known to be.
    #[inline]
    fn is_written(&self, end: usize, known: usize) -> bool {
        end <= known || end <= self.written.0.load(Ordering::Acquire)
    }

    /// The values at some places. So many are known to be written.
    #[inline]
    fn slice(&self, places: Range<usize>, known: usize) -> Option<&[T]> {
        let is_written = self.is_written(places.end, known);
        let slots = self.slots.get(places).filter(|_| is_written)?;
        #[cfg(loom)]
        slots.iter().for_each(|slot| slot.with(|_| ()));
        let first = slots.as_ptr().cast::<T>();
        // SAFETY: the slots have values: `written` counts them, now or when the caller was told, and was stored after
        // they were written. A slot has the layout of its value; with `loom`, no test reads several.
        Some(unsafe { std::slice::from_raw_parts(first, slots.len()) })
    }

    /// The value at a place. So many are known to be written.
    #[inline]
    fn get(&self, at: usize, known: usize) -> Option<&T> {
        let is_written = self.is_written(at + 1, known);
        let slot = self.slots.get(at).filter(|_| is_written)?;
        // SAFETY: as in `slice`.
        Some(slot.with(|value| unsafe { (*value).assume_init_ref() }))
    }
}

/// The end of a part, where values are added. There is one for each part.
pub(crate) struct Appender<T> {
    part: Arc<Part<T>>,
    /// So many values were written.
    len: usize,
}

/// A part, for those who read it.
pub(crate) struct PartView<T> {
    part: Arc<Part<T>>,
    /// So many values were written when the view was made. To read them, no reader looks at the number that changes.
    known: usize,
}

impl<T: Copy> Appender<T> {
    /// An empty part with room for so many values.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self::of_vec(Vec::with_capacity(capacity))
    }

    /// The values of a vector. There is room for as many as it has.
    pub(crate) fn of_vec(values: Vec<T>) -> Self {
        let len = values.len();
        Self {
            part: Arc::new(Part {
                slots: slots(values),
                written: Apart(AtomicUsize::new(len)),
            }),
            len,
        }
    }

    /// The number of values.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many values find room.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.part.slots.len()
    }

    /// Makes room for so many values more. If the part has a view, the values are copied into a new part, and the view
    /// shows the old one. Otherwise the system can move the memory without a copy.
    pub(crate) fn reserve(&mut self, more: usize) {
        let capacity = self.capacity() + more;
        match Arc::get_mut(&mut self.part) {
            Some(part) => {
                part.slots.reserve_exact(more);
                part.slots.resize_with(capacity, no_value);
            }
            None => {
                let mut larger = Self::with_capacity(capacity);
                larger.extend(self.slice(0..self.len).unwrap_or_default());
                *self = larger;
            }
        }
    }

    /// Adds a value.
    ///
    /// # Panics
    ///
    /// If there is no room.
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        self.part.slots[self.len].with_mut(|slot| {
            // SAFETY: `written` does not count the slot yet, so nobody reads it. Nobody else writes it: there is one
            // appender, and it is borrowed.
            unsafe { (*slot).write(value) };
        });
        self.len += 1;
        self.part.written.0.store(self.len, Ordering::Release);
    }

    /// Adds values.
    ///
    /// # Panics
    ///
    /// If there is no room for all of them.
    pub(crate) fn extend(&mut self, values: &[T]) {
        let slots = &self.part.slots[self.len..][..values.len()];
        if cfg!(loom) {
            return values.iter().for_each(|&value| self.push(value));
        }
        let first = slots.as_ptr().cast::<T>().cast_mut();
        // SAFETY: as in `push`, for each of the slots, which are as many as the values. A slot may be written through a
        // shared reference, and has the layout of its value.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), first, values.len()) };
        self.len += values.len();
        self.part.written.0.store(self.len, Ordering::Release);
    }

    /// The value at a place; `None` if none was added there.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        (at < self.len).then(|| self.part.get(at, self.len))?
    }

    /// The values at some places; `None` if they were not all added.
    #[inline]
    pub(crate) fn slice(&self, places: Range<usize>) -> Option<&[T]> {
        (places.end <= self.len).then(|| self.part.slice(places, self.len))?
    }

    /// The part, for other threads.
    pub(crate) fn view(&self) -> PartView<T> {
        PartView {
            part: self.part.clone(),
            known: self.len,
        }
    }
}

impl<T: Copy> PartView<T> {
    /// The value at a place; `None` if none was added there yet.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.part.get(at, self.known)
    }

    /// The values at some places; `None` if they were not all added yet.
    #[inline]
    pub(crate) fn slice(&self, places: Range<usize>) -> Option<&[T]> {
        self.part.slice(places, self.known)
    }
}

/// A slot without a value.
fn no_value<T>() -> Slot<T> {
    UnsafeCell::new(MaybeUninit::uninit())
}

/// The memory of a vector, as slots. Those after its values have none.
fn slots<T: Copy>(values: Vec<T>) -> Vec<Slot<T>> {
    #[cfg(not(loom))]
    {
        let mut values = std::mem::ManuallyDrop::new(values);
        let (start, capacity) = (values.as_mut_ptr(), values.capacity());
        // SAFETY: a slot has the size and the alignment of a value. It may have none, so the length may be the capacity.
        unsafe { Vec::from_raw_parts(start.cast(), capacity, capacity) }
    }
    #[cfg(loom)]
    {
        let capacity = values.capacity();
        let written = values.iter().map(|&value| MaybeUninit::new(value));
        let rest = std::iter::repeat_with(no_value);
        written
            .map(UnsafeCell::new)
            .chain(rest)
            .take(capacity)
            .collect()
    }
}

impl<T> fmt::Debug for PartView<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartView")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Appender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appender")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
