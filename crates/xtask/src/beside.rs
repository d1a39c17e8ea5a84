//! Runs things beside each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs something for each item, in the order of the items, for so many of them at once. Gives the errors, after it has
/// run for all.
pub(crate) fn beside<T: Sync>(
    items: &[T],
    at_once: usize,
    run: impl Fn(&T) -> anyhow::Result<()> + Sync,
) -> Vec<anyhow::Error> {
    let next = AtomicUsize::new(0);
    let run_next_ones = || {
        let mut errors = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            errors.extend(run(item).err());
        }
        errors
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(run_next_ones)).collect();
        let errors = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("what runs does not panic"));
        errors.collect()
    })
}

/// One error of all.
///
/// # Errors
///
/// Fails if there are errors.
pub(crate) fn all_passed(errors: &[anyhow::Error]) -> anyhow::Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = errors.iter().map(|error| format!("{error:#}")).collect();
    Err(anyhow::Error::msg(lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use anyhow::bail;

    use super::*;

    #[test]
    fn every_item_runs_once_and_those_that_fail_are_named() {
        for at_once in [1, 2, 20] {
            let ran = Mutex::new(Vec::new());
            let errors = beside(&[3, 1, 4, 2], at_once, |&item| {
                ran.lock().unwrap().push(item);
                match item % 2 {
                    0 => bail!("{item} is even"),
                    _ => Ok(()),
                }
            });
            let mut ran = ran.into_inner().unwrap();
            if at_once == 1 {
                assert_eq!(ran, [3, 1, 4, 2]);
                let error = all_passed(&errors).unwrap_err();
                assert_eq!(error.to_string(), "4 is even\n2 is even");
            }
            ran.sort_unstable();
            assert_eq!(ran, [1, 2, 3, 4]);
            assert_eq!(errors.len(), 2);
        }
        assert!(all_passed(&[]).is_ok());
    }

    #[test]
    fn so_many_run_at_once() {
        let both = Barrier::new(2);
        // Each waits for the other one.
        let errors = beside(&["one", "other"], 2, |_| {
            both.wait();
            Ok(())
        });
        assert!(errors.is_empty());
    }
}
