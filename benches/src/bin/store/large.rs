//! A store of many claims.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Result, ensure};
use idmerge_benches::inputs::ids::scattered_below;
use idmerge_benches::inputs::links::Plan;
use idmerge_benches::measure::{Samples, timed};
use idmerge_benches::report::{Report, grouped};
use idmerge_core::{DistinctId, Id, IdentityResolver as _, Resolve as _};
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable};

use crate::inputs::{caused, claims, folder_bytes, in_own_process, open, pair, plan};
use crate::snapshots;

/// Opens, resolves, withdraws and explains in a large store.
pub(crate) fn measure(devices: u64, rounds: u64, report: &mut Report) -> Result<()> {
    let size = grouped(devices);
    let plan = plan(devices);
    let folder = tempfile::tempdir()?;
    let mut store = open(folder.path())?;
    let mut bare = Simplified::default();
    let mut rows = Vec::new();
    let mut row = |what: &str, figure: String| rows.push(vec![what.to_owned(), figure]);

    let (applying, indexing) = fill(&mut store, &mut bare, &plan, devices)?;
    row(
        "applying and committing, µs per claim",
        each(applying, devices),
    );
    row("indexing, µs per claim", each(indexing, devices));
    let per_claim = || -> Result<String> {
        let bytes = folder_bytes(folder.path())?;
        Ok(format!("{:.1}", bytes as f64 / devices as f64))
    };
    row("bytes on disk per claim, with the index", per_claim()?);
    resolve(&store, &bare, &plan.up_to(devices), &size, report);
    drop(bare);
    store.close()?;

    let path = folder.path();
    opened(path, devices, rounds, ("the log alone", 4.0), report)?;
    let mut store = open(folder.path())?;
    snapshots::measure(&mut store, &plan, devices, rounds, report)?;
    // The commits beside snapshots are many. A service indexes what it commits.
    store.index()?;
    store.close()?;
    row("bytes on disk per claim, with a snapshot", per_claim()?);
    opened(path, devices, rounds, ("the snapshot", 2.0), report)?;
    write_image(path, &size, report)?;
    row("bytes on disk per claim, with an image", per_claim()?);
    opened(path, devices, rounds, ("an image", 0.4), report)?;
    let mut store = open(folder.path())?;
    ensure!(store.opened().is_from_image, "it was opened from its image");
    retract(&mut store, devices, &size, report)?;
    let (taken, done) = timed(|| store.snapshot());
    done?;
    // The log is folded for it.
    row("a snapshot after withdrawals, s", format!("{taken:.1}"));
    row(
        "explaining why two ids are one user, ms",
        format!("{:.1}", explain_ms(&store, &plan, devices)?),
    );
    report.table(
        &format!("A store of {size} claims"),
        &["what", "figure"],
        &rows,
    );
    Ok(())
}

/// Writes the image of the snapshot.
fn write_image(folder: &Path, size: &str, report: &mut Report) -> Result<()> {
    let store = open(folder)?;
    ensure!(!store.opened().is_from_image, "there is no image yet");
    let (taken, done) = timed(|| store.image());
    ensure!(done?, "a large store has an image");
    report.stated(
        &format!("image of a snapshot of {size} claims"),
        taken,
        " s",
    );
    Ok(store.close()?)
}

/// The time of an opening, which must not take more seconds than are wanted.
fn opened(
    folder: &Path,
    devices: u64,
    rounds: u64,
    (what, wanted): (&str, f64),
    report: &mut Report,
) -> Result<()> {
    let size = grouped(devices);
    let mut samples = Samples::default();
    for round in 0..rounds {
        eprintln!("{size} claims: opening from {what}, round {}", round + 1);
        samples.push(in_own_process(&["--opens", &devices.to_string()], folder)?);
    }
    let target = format!("opening {size} claims from {what}");
    report.at_most(&target, wanted, samples.median(), " s");
    Ok(())
}

/// Applies the claims to a store and to an engine without a store. Returns the seconds of applying with
/// its commits, and those of indexing.
fn fill(
    store: &mut Durable<Simplified>,
    bare: &mut Simplified,
    plan: &Plan,
    devices: u64,
) -> Result<(f64, f64)> {
    const BLOCK: u64 = 1_000_000;
    let size = grouped(devices);
    let (mut applying, mut indexing) = (0.0, 0.0);
    for start in (0..devices).step_by(usize::try_from(BLOCK)?) {
        eprintln!("{size} claims: {}", grouped(start));
        let links = plan.links(start..(start + BLOCK).min(devices));
        let (claims, caused) = (claims(&links), caused(links.len()));
        let causes = caused.causes();
        for (claims, causes) in claims.chunks(10_000).zip(causes.chunks(10_000)) {
            let (taken, done) = timed(|| -> Result<_> {
                store.apply_batch_caused(claims, causes, &mut |_| ())?;
                Ok(store.commit()?)
            });
            done?;
            applying += taken;
            bare.apply_batch(claims, &mut |_| ())?;
        }
        let (taken, done) = timed(|| store.index());
        done?;
        indexing += taken;
    }
    Ok((applying, indexing))
}

/// The median time of an explanation, in milliseconds.
fn explain_ms(store: &Durable<Simplified>, plan: &Plan, devices: u64) -> Result<f64> {
    let history = store.history()?;
    let mut samples = Samples::default();
    for number in 0..50 {
        let (device, user) = pair(plan, scattered_below(number, devices));
        let ids = [(&device, true), (&user, false)].map(|(text, is_device)| {
            let id = Id::new(text);
            id.map(if is_device {
                DistinctId::device
            } else {
                DistinctId::plain
            })
        });
        let [Ok(device), Ok(user)] = ids else {
            continue;
        };
        let (taken, explained) = timed(|| history.explain(store, device, user));
        black_box(explained?);
        samples.push(taken * 1e3);
    }
    Ok(samples.median())
}

fn each(seconds: f64, count: u64) -> String {
    format!("{:.2}", seconds * 1e6 / count as f64)
}

/// Compares lookups in the store with the same lookups in an engine without a store.
fn resolve(
    store: &Durable<Simplified>,
    bare: &Simplified,
    plan: &Plan,
    size: &str,
    report: &mut Report,
) {
    let (mut through, mut alone) = (Samples::default(), Samples::default());
    for round in 0..15 {
        let texts = plan.lookups(300_000, 0, round);
        let ids: Vec<_> = texts
            .iter()
            .flat_map(Id::new)
            .map(DistinctId::device)
            .collect();
        let time = |engine: &dyn Fn(DistinctId<'_>) -> bool| {
            let (taken, users) = timed(|| ids.iter().filter(|id| engine(**id)).count());
            assert_eq!(users, ids.len(), "each device has its user");
            taken
        };
        let first_is_store = round % 2 == 0;
        for is_store in [first_is_store, !first_is_store] {
            if is_store {
                through.push(time(&|id| !store.resolve(id).is_device()));
            } else {
                alone.push(time(&|id| !bare.resolve(id).is_device()));
            }
        }
    }
    let target = format!("resolve through Durable, {size} claims: times the engine alone");
    report.at_most(&target, 1.05, through.median() / alone.median(), " ×");
}

fn retract(
    store: &mut Durable<Simplified>,
    devices: u64,
    size: &str,
    report: &mut Report,
) -> Result<()> {
    let mut samples = Samples::default();
    let mut most = 0.0_f64;
    for number in 0..100 {
        let sequence = 1 + scattered_below(number, devices);
        let (taken, retracted) =
            timed(|| store.retract(sequence, "a bench", "to measure it", Cause::default()));
        let changes = retracted?.changes().len();
        ensure!(changes == 1, "one device resolves to itself again");
        samples.push(taken * 1e3);
        most = most.max(taken * 1e3);
    }
    let target = format!("retract, {size} claims: median");
    report.at_most(&target, 50.0, samples.median(), " ms");
    let target = format!("retract, {size} claims: slowest of 100");
    report.at_most(&target, 50.0, most, " ms");
    Ok(())
}
