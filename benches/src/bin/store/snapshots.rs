//! Snapshots of a large store, with and without claims meanwhile.

use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use idmerge_benches::inputs::links::Plan;
use idmerge_benches::measure::{Samples, timed};
use idmerge_benches::report::{Report, grouped};
use idmerge_simplified::Simplified;
use idmerge_store::Durable;

use crate::inputs::{caused, claims};

/// The claims of a commit beside a snapshot.
const GROUP: u64 = 100;

/// The commits that are measured without a snapshot.
const ALONE: u64 = 200;

/// Commits of new claims, one after the other.
struct Commits<'p> {
    plan: &'p Plan,
    /// The next device.
    next: u64,
}

impl Commits<'_> {
    /// Commits the next claims. Returns the milliseconds.
    fn one(&mut self, store: &mut Durable<Simplified>) -> Result<f64> {
        let links = self.plan.links(self.next..self.next + GROUP);
        ensure!(!links.is_empty(), "there are no more devices");
        self.next += GROUP;
        let (claims, caused) = (claims(&links), caused(links.len()));
        let causes = caused.causes();
        let (taken, committed) = timed(|| -> Result<u64> {
            store.apply_batch_caused(&claims, &causes, &mut |_| ())?;
            Ok(store.commit()?)
        });
        committed?;
        Ok(taken * 1e3)
    }
}

/// Measures snapshots without claims, then snapshots while one thread commits claims.
pub(crate) fn measure(
    store: &mut Durable<Simplified>,
    plan: &Plan,
    devices: u64,
    rounds: u64,
    report: &mut Report,
) -> Result<()> {
    let size = grouped(devices);
    let mut commits = Commits {
        plan,
        next: devices,
    };
    let mut alone_s = Samples::default();
    for round in 0..rounds {
        eprintln!("{size} claims: a snapshot, round {}", round + 1);
        // Without a new claim there would be no new snapshot.
        commits.one(store)?;
        let (taken, done) = timed(|| store.snapshot());
        done?;
        alone_s.push(taken);
    }
    let target = format!("snapshot of {size} claims");
    report.at_most(&target, 1.0, alone_s.median(), " s");

    beside_commits(store, &mut commits, &size, rounds, report)?;
    // So that the next opening has nothing to apply again.
    Ok(store.snapshot()?)
}

/// Commits, first alone, and then while another thread writes a snapshot.
fn beside_commits(
    store: &mut Durable<Simplified>,
    commits: &mut Commits<'_>,
    size: &str,
    rounds: u64,
    report: &mut Report,
) -> Result<()> {
    let mut commit_alone = Samples::default();
    for _ in 0..ALONE {
        commit_alone.push(commits.one(store)?);
    }
    let (mut whole_s, mut copy_ms) = (Samples::default(), Samples::default());
    let (mut meanwhile, mut slowest_ms) = (Samples::default(), 0.0_f64);
    for round in 0..rounds {
        eprintln!("{size} claims: a snapshot and commits, round {}", round + 1);
        commits.one(store)?;
        let started = Instant::now();
        // Claims wait for the copy. A server has it in a temporary file too.
        let copy = store.copy_state(Box::new(tempfile::tempfile()?))?;
        let copy = copy.context("a snapshot of this state exists")?;
        copy_ms.push(started.elapsed().as_secs_f64() * 1e3);
        thread::scope(|scope| -> Result<()> {
            let writing = scope.spawn(move || copy.write(&|| true).map(|_| started.elapsed()));
            // At least one: on a small store the snapshot may be there at once.
            loop {
                let ms = commits.one(store)?;
                slowest_ms = slowest_ms.max(ms);
                meanwhile.push(ms);
                if writing.is_finished() {
                    break;
                }
            }
            let written = writing.join();
            let taken = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            whole_s.push(taken.as_secs_f64());
            Ok(())
        })?;
    }
    let target = format!("snapshot of {size} claims, with commits meanwhile");
    report.at_most(&target, 1.0, whole_s.median(), " s");
    let target = format!("commits of {GROUP} claims during a snapshot: times those without");
    let ratio = meanwhile.median() / commit_alone.median();
    report.at_most(&target, 1.5, ratio, " ×");
    let target = format!("longest wait of a commit of {GROUP} claims during a snapshot");
    report.stated(&target, slowest_ms, " ms");
    let target = format!("claims wait for a copy of {size} claims before a snapshot");
    report.stated(&target, copy_ms.median(), " ms");
    Ok(())
}
