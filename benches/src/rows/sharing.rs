//! Rows for one thread that applies while others resolve: `idmerge-shared`, and a lock, which a
//! service would use without it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, PoisonError, RwLock};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use idmerge_core::{IdBuffer, Outcome};
use idmerge_shared::Shared;
use idmerge_simplified::Simplified;

use crate::inputs::links::{Link, Links, Texts};
use crate::measure::nanoseconds_each;
use crate::rows::engines::LinkEngine;
use crate::rows::look;

/// An engine that several threads share.
pub trait SharedRow: Send + Sync {
    /// Applies a link. Waits for other threads if it must.
    fn apply(&self, link: &Link<'_>);

    /// Resolves an ID and reads the answer. Waits for other threads if it must.
    fn resolve(&self, id: &str) -> u64;
}

/// The name of a row, and a function that makes an empty one.
pub type SharedEntry = (&'static str, fn() -> Box<dyn SharedRow>);

/// The rows.
pub const SHARED_ROWS: [SharedEntry; 2] = [
    ("Shared<Simplified>", || {
        Box::<Shared<Simplified>>::default()
    }),
    ("std RwLock<Simplified>", || {
        Box::<RwLock<Simplified>>::default()
    }),
];

impl<E: LinkEngine> SharedRow for Shared<E> {
    fn apply(&self, link: &Link<'_>) {
        match self.apply(E::claim(link), |outcome| outcome == Outcome::Merged) {
            Ok(is_merged) => assert!(is_merged),
            Err(error) => unreachable!("the engine has room: {error}"),
        }
    }

    fn resolve(&self, id: &str) -> u64 {
        self.resolve(E::distinct_id(id), |canonical| {
            look(canonical.id().text_in(&mut IdBuffer::new()))
        })
    }
}

impl<E: LinkEngine> SharedRow for RwLock<E> {
    fn apply(&self, link: &Link<'_>) {
        let mut engine = self.write().unwrap_or_else(PoisonError::into_inner);
        match engine.apply(E::claim(link)) {
            Ok(outcome) => assert_eq!(outcome, Outcome::Merged),
            Err(error) => unreachable!("the engine has room: {error}"),
        }
    }

    fn resolve(&self, id: &str) -> u64 {
        let engine = self.read().unwrap_or_else(PoisonError::into_inner);
        let canonical = engine.resolve(E::distinct_id(id));
        look(canonical.id().text_in(&mut IdBuffer::new()))
    }
}

/// The times of one writer and some readers.
#[derive(Clone, Copy, Debug)]
pub struct SharingFigures {
    /// Nanoseconds per claim, without readers.
    pub apply_alone: f64,
    /// Nanoseconds per claim, with concurrent readers.
    pub apply_concurrent: f64,
    /// Nanoseconds per ID, of one reader without a writer.
    pub resolve_alone: f64,
    /// Nanoseconds per ID of each reader, with a concurrent writer.
    pub resolve_concurrent: f64,
    /// The 99.99th percentile of the nanoseconds per ID, with a concurrent writer.
    pub resolve_slow: f64,
    /// The nanoseconds of the slowest ID, with a concurrent writer.
    pub resolve_slowest: f64,
}

/// Applies the first links, then half of the rest alone, and the other half while each of the readers resolves
/// `ids`. The first links must name all of `ids`.
///
/// # Errors
///
/// A reader got other answers with a concurrent writer than alone.
pub fn one_writer(
    shared: &dyn SharedRow,
    readers: usize,
    first: &Links,
    rest: &Links,
    ids: &Texts,
) -> Result<SharingFigures, String> {
    first.iter().for_each(|link| shared.apply(&link));
    let mut seen_alone = 0;
    let resolve_alone = nanoseconds_each(ids.len(), || seen_alone = read_all(shared, ids));

    let half = rest.len() / 2;
    let apply_alone = nanoseconds_each(half, || {
        rest.iter().take(half).for_each(|link| shared.apply(&link));
    });

    let (start, is_done) = (&Barrier::new(readers + 1), &AtomicBool::new(false));
    let mut apply_concurrent = 0.0;
    let (passes, seen) = thread::scope(|scope| {
        let read = move || {
            let (mut times, mut seen) = (Vec::new(), Vec::new());
            start.wait();
            // At least one pass: on a busy machine the writer may be done before the first one.
            loop {
                seen.push(read_and_time(shared, ids, &mut times));
                if is_done.load(Ordering::Relaxed) {
                    return (times, seen);
                }
            }
        };
        let reading: Vec<_> = (0..readers).map(|_| scope.spawn(read)).collect();
        let links = rest.iter().skip(half);
        start.wait();
        apply_concurrent = nanoseconds_each(rest.len() - half, || {
            links.for_each(|link| shared.apply(&link));
        });
        is_done.store(true, Ordering::Relaxed);
        let ended = reading.into_iter().map(ScopedJoinHandle::join);
        let (times, seen): (Vec<_>, Vec<_>) = ended.map(Result::unwrap_or_default).unzip();
        (times.concat(), seen.concat())
    });
    if seen.is_empty() || seen.iter().any(|&seen| seen != seen_alone) {
        return Err(format!("alone {seen_alone}, with a writer {seen:?}"));
    }
    Ok(figures(
        passes,
        resolve_alone,
        apply_alone,
        apply_concurrent,
    ))
}

#[expect(clippy::cast_precision_loss, reason = "nothing takes 2^52 nanoseconds")]
fn figures(
    mut times: Vec<u64>,
    resolve_alone: f64,
    apply_alone: f64,
    apply_concurrent: f64,
) -> SharingFigures {
    let sum: u64 = times.iter().sum();
    times.sort_unstable();
    let at = |from_last: usize| times[times.len() - 1 - from_last] as f64;
    SharingFigures {
        apply_alone,
        apply_concurrent,
        resolve_alone,
        resolve_concurrent: sum as f64 / times.len() as f64,
        resolve_slow: at(times.len() / 10_000),
        resolve_slowest: at(0),
    }
}

fn read_all(shared: &dyn SharedRow, ids: &Texts) -> u64 {
    ids.iter().map(|id| shared.resolve(id)).sum()
}

/// The same, and the nanoseconds of each ID.
fn read_and_time(shared: &dyn SharedRow, ids: &Texts, times: &mut Vec<u64>) -> u64 {
    let mut seen = 0;
    let mut before = Instant::now();
    for id in ids.iter() {
        seen += black_box(shared.resolve(id));
        let now = Instant::now();
        let nanoseconds = now.duration_since(before).as_nanos();
        times.push(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        before = now;
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::ids::Spelling;
    use crate::inputs::links::Plan;

    #[test]
    fn each_row_answers_the_same_while_another_thread_applies() {
        let plan = Plan::in_blocks(4_000, Spelling::Uuid, 250);
        let (first, rest) = (plan.links(0..2_000), plan.links(2_000..4_000));
        let ids = plan.up_to(2_000).lookups(1_000, 0, 1);
        for (name, make) in SHARED_ROWS {
            for readers in [1, 4] {
                let figures = one_writer(&*make(), readers, &first, &rest, &ids);
                assert!(figures.is_ok(), "{name}: {figures:?}");
            }
            // IDs that the writer adds meanwhile change the answers: that is an error.
            let (row, all) = (make(), plan.lookups(1_000, 0, 1));
            assert!(one_writer(&*row, 1, &first, &rest, &all).is_err());
        }
    }
}
