//! The limit of the machine: random reads of as much memory as an engine takes.

use anyhow::{Context as _, Result};
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::Plan;
use idmerge_benches::measure::{Samples, resident_bytes};
use idmerge_benches::probe::{Pages, Probe};
use idmerge_benches::programs::run_this;
use idmerge_benches::report::{Report, grouped};
use idmerge_benches::{ORIGINAL, ROWS, SIMPLIFIED};

use crate::figures::{Figures, of};

/// The memory of the first engine.
pub(crate) fn bytes_of(devices: u64) -> u64 {
    let links = Plan::new(devices, Spelling::Uuid).links(0..devices);
    let before = resident_bytes();
    let mut row = ROWS[0].1();
    row.apply(&links);
    let after = resident_bytes().zip(before);
    after.map_or(0, |(after, before)| after.saturating_sub(before))
}

/// Compares resolving with random reads of memory.
pub(crate) fn compare(devices: u64, figures: &[Figures], report: &mut Report) -> Result<()> {
    let engine_bytes = run_this(&["--bytes-of".as_ref(), devices.to_string().as_ref()])?;
    let engine_bytes: usize = engine_bytes.trim().parse()?;
    let size = grouped(devices);
    let mut rows = Vec::new();
    for pages in Pages::ALL {
        eprintln!("{size} devices: reads of memory, {}", pages.name());
        let mut probe = Probe::new(engine_bytes, pages).context("no memory for the probe")?;
        let (mut independent, mut dependent) = (Samples::default(), Samples::default());
        for _ in 0..5 {
            independent.push(probe.independent_nanoseconds());
            dependent.push(probe.dependent_nanoseconds());
        }
        rows.push(vec![
            pages.name().to_owned(),
            format!("{:.1}", independent.median()),
            format!("{:.1}", dependent.median()),
        ]);
        for engine in [SIMPLIFIED, ORIGINAL] {
            let resolve_batch = of(figures, engine).resolve_batch.median();
            let target = format!(
                "{engine} resolve_batch, {size}: distance to independent reads, {}",
                pages.name()
            );
            report.stated(&target, resolve_batch / independent.median(), " reads");
        }
    }
    let heading = format!(
        "Random reads in {:.0} MB, the size of simplified at {size} devices, ns per read",
        engine_bytes as f64 / 1e6
    );
    report.table(&heading, &["pages", "independent", "dependent"], &rows);
    Ok(())
}
