//! Counts scans, so that tests can show that an event is scanned once. Release builds do not count.

/// How much was scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// How many events.
    pub events: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

#[cfg(debug_assertions)]
mod counters {
    use std::cell::Cell;
    use std::sync::atomic::AtomicU64;

    pub(super) static EVENTS: AtomicU64 = AtomicU64::new(0);
    pub(super) static BYTES: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        pub(super) static OF_THREAD: Cell<super::Scanned> = const { Cell::new(super::Scanned {
            events: 0,
            bytes: 0,
        }) };
    }
}

/// What this process has scanned. `None` in a release build.
pub fn of_process() -> Option<Scanned> {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::Ordering::SeqCst;

        Some(Scanned {
            events: counters::EVENTS.load(SeqCst),
            bytes: counters::BYTES.load(SeqCst),
        })
    }
    #[cfg(not(debug_assertions))]
    None
}

/// What this thread has scanned. `None` in a release build.
pub fn of_thread() -> Option<Scanned> {
    #[cfg(debug_assertions)]
    {
        Some(counters::OF_THREAD.get())
    }
    #[cfg(not(debug_assertions))]
    None
}

#[inline(always)]
pub(crate) fn count(bytes: usize) {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::Ordering::SeqCst;

        let bytes = bytes as u64;
        counters::EVENTS.fetch_add(1, SeqCst);
        counters::BYTES.fetch_add(bytes, SeqCst);
        let of_thread = counters::OF_THREAD.get();
        counters::OF_THREAD.set(Scanned {
            events: of_thread.events + 1,
            bytes: of_thread.bytes + bytes,
        });
    }
    #[cfg(not(debug_assertions))]
    let _ = bytes;
}
