//! Work on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What `make` makes of each number below `count`, in this order. The numbers are shared out among the cores.
pub fn map<R: Send>(count: usize, make: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return made;
            }
            made.push((number, make(number)));
        }
    };
    let mut made = thread::scope(|scope| {
        // This thread works, too. If the system gives no more threads, it does all.
        let others = (1..threads.min(count)).map_while(|_| {
            let thread = thread::Builder::new().name("idmerge".to_owned());
            thread.spawn_scoped(scope, work).ok()
        });
        let others: Vec<_> = others.collect();
        let mut made = work();
        for other in others {
            match other.join() {
                Ok(more) => made.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        made
    });
    made.sort_unstable_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}
