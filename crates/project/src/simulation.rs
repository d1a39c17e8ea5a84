//! A deterministic simulator: one project with its disk, its clients and every fault, on one thread.
//!
//! A seed decides everything: who is next, what they do, and what fails. The project is the real one, with
//! its queue, writer, maintenance and database; the threads, the disk, the clock and the clients are
//! simulated. `IDMERGE_SEED=7` runs one seed and prints its schedule; `IDMERGE_SEEDS=100000` runs more.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, which prints what it finds"
)]

mod acts;
mod client;
mod disk;
mod erasing;
#[path = "../tests/support/event_list.rs"]
mod event_list;
pub(crate) mod hooks;
mod laws;
mod model;
mod process;
mod random;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hooks::{Broken, Mistake, broken, set_during_sync, with_mistake};
use world::World;

/// Without `IDMERGE_SEEDS`. A build without optimisation takes seven times as long for a seed.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 20_000 };

fn run(seed: u64, is_traced: bool) -> Result<(), Broken> {
    let run = || {
        let world = World::new(seed, is_traced);
        world.run()
    };
    let result = catch_unwind(AssertUnwindSafe(run));
    set_during_sync(None);
    result.unwrap_or_else(|_| Err(broken("a panic")))
}

/// Runs seeds on all cores, until one fails. Returns the least of those that failed.
fn first_failure(seeds: std::ops::Range<u64>, mistake: Option<Mistake>) -> Option<(u64, Broken)> {
    let next = AtomicU64::new(seeds.start);
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let mut failures = thread::scope(|scope| {
        let search = || {
            with_mistake(mistake, || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return None;
                    }
                    if let Err(broken) = run(seed, false) {
                        next.store(seeds.end, Ordering::Relaxed);
                        return Some((seed, broken));
                    }
                }
            })
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        let found = threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap());
        found.collect::<Vec<_>>()
    });
    failures.sort_by_key(|(seed, _)| *seed);
    failures.into_iter().next()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_project_keeps_the_laws_whatever_fails() {
    if let Some(seed) = variable("IDMERGE_SEED") {
        if let Err(Broken(what)) = run(seed, true) {
            panic!("seed {seed}: {}", world::shortened(&what));
        }
        return;
    }
    let seeds = variable("IDMERGE_SEEDS").unwrap_or(SEEDS);
    if let Some((seed, Broken(what))) = first_failure(0..seeds, None) {
        let what = world::shortened(&what);
        panic!(
            "seed {seed}: {what}\nRun it again with its schedule:\n\
             IDMERGE_SEED={seed} cargo test -p idmerge-project --lib simulation::a_project -- --nocapture"
        );
    }
}

/// The simulator finds a mistake. The tests below say which seed found it first.
fn finds(mistake: Mistake) {
    let found = first_failure(0..200, Some(mistake));
    let (seed, Broken(what)) = found.unwrap_or_else(|| panic!("{mistake:?} is not found"));
    println!("{mistake:?}: seed {seed}: {}", world::shortened(&what));
}

/// Seed 0.
#[test]
fn a_disk_that_lies_is_found() {
    finds(Mistake::DiskLies);
}

/// Seed 1.
#[test]
fn an_answer_without_a_commit_is_found() {
    finds(Mistake::AnswersWithoutCommit);
}

/// Seed 0.
#[test]
fn a_project_that_forgets_duplicates_is_found() {
    finds(Mistake::ForgetsDuplicates);
}

/// Seed 1.
#[test]
fn a_commit_that_is_shown_early_is_found() {
    finds(Mistake::ShowsEarly);
}

/// Seed 0.
#[test]
fn a_commit_that_is_shown_late_is_found() {
    finds(Mistake::ShowsLate);
}

/// Seed 0.
#[test]
fn an_index_that_is_not_read_again_is_found() {
    finds(Mistake::ForgetsIndex);
}

/// Seed 11.
#[test]
fn an_export_that_has_replaced_events_is_found() {
    finds(Mistake::ExportsReplaced);
}

/// Seed 6.
#[test]
fn an_erasure_that_leaves_profiles_is_found() {
    finds(Mistake::LeavesProfiles);
}

/// Seed 114.
#[test]
fn an_erasure_that_leaves_names_in_the_events_of_others_is_found() {
    finds(Mistake::LeavesTraces);
}

/// Seed 6.
#[test]
fn a_deletion_that_is_forgotten_at_a_crash_is_found() {
    finds(Mistake::ForgetsTasks);
}

/// A seed that failed can be replayed: nothing but the seed decides.
#[test]
fn a_seed_gives_one_schedule() {
    for seed in 0..10 {
        let schedule = || {
            let world = World::new(seed, false);
            let result = world.run();
            set_during_sync(None);
            (result.is_ok(), world.schedule())
        };
        assert_eq!(schedule(), schedule(), "seed {seed}");
    }
}
