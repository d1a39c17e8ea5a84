//! One row, in a process of its own.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result};
use idmerge_benches::ROWS;
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::Plan;
use idmerge_benches::measure::{Asking, nanoseconds_each, time_resolve};
use idmerge_benches::programs::{numbers, run_this};
use idmerge_benches::rows::check;

/// The percentage of devices that were never linked, in the columns `missing`.
pub(crate) const PERCENT_MISSING: u64 = 30;

/// The most lookups that are timed together.
const LOOKUPS_MAX: u64 = 1_000_000;

/// How many times a process is asked: half of the times some of the IDs are missing.
pub(crate) const LOOKUPS_EACH: usize = 6;

/// A row, and what it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Its place in `ROWS`.
    pub(crate) row: usize,
    pub(crate) devices: u64,
    pub(crate) round: u64,
    pub(crate) asking: Asking,
}

/// What a process prints.
pub(crate) struct Measured {
    /// Nanoseconds of each claim.
    pub(crate) apply: f64,
    /// Nanoseconds of each ID: first that of IDs that are all linked, then that of some that are missing, and so on.
    pub(crate) resolve: Vec<f64>,
    /// A sum over the answers of each.
    pub(crate) seen: Vec<u64>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_batches = u64::from(self.asking == Asking::InBatches);
        write!(
            f,
            "{},{},{},{in_batches}",
            self.row, self.devices, self.round
        )
    }
}

impl FromStr for Run {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let [row, devices, round, in_batches] = numbers::<u64>(text)?[..] else {
            anyhow::bail!("four numbers");
        };
        Ok(Self {
            row: usize::try_from(row)?,
            devices,
            round,
            asking: if in_batches == 0 {
                Asking::OneByOne
            } else {
                Asking::InBatches
            },
        })
    }
}

impl Run {
    /// Builds the row, checks that it knows the user of each device, asks it, and prints its figures. Prints nothing
    /// if the row has no batches.
    pub(crate) fn measure(self) -> Result<()> {
        let (name, make) = ROWS.get(self.row).context("no such row")?;
        let plan = Plan::new(self.devices, Spelling::Uuid);
        let links = plan.links(0..self.devices);
        let mut row = make();
        let mut is_done = true;
        let apply = nanoseconds_each(links.len(), || match self.asking {
            Asking::OneByOne => row.apply(&links),
            Asking::InBatches => is_done = row.apply_batch(&links),
        });
        if !is_done {
            return Ok(());
        }
        check(name, &mut *row, &links).map_err(Error::msg)?;
        drop(links);

        println!("{apply}");
        let lookups = LOOKUPS_MAX.min(self.devices / 2);
        for number in 0..LOOKUPS_EACH as u64 {
            let missing = if number % 2 == 0 { 0 } else { PERCENT_MISSING };
            let seed = LOOKUPS_EACH as u64 * self.round + number;
            let ids = plan.lookups(lookups, missing, seed);
            let (nanoseconds, seen) = time_resolve(&mut *row, &ids, self.asking)
                .context("a row with batches has both")?;
            println!("{nanoseconds} {seen}");
        }
        Ok(())
    }

    /// The figures of this run, from a process of its own. `None` if the row has no batches.
    pub(crate) fn in_own_process(self) -> Result<Option<Measured>> {
        let text = run_this(&["--run".as_ref(), self.to_string().as_ref()])?;
        if text.is_empty() {
            return Ok(None);
        }
        let mut lines = text.lines();
        let apply = lines.next().context("no figures")?.parse()?;
        let (mut resolve, mut seen) = (Vec::new(), Vec::new());
        for line in lines {
            let (nanoseconds, sum) = line.split_once(' ').context("two numbers")?;
            resolve.push(nanoseconds.parse()?);
            seen.push(sum.parse()?);
        }
        anyhow::ensure!(resolve.len() == LOOKUPS_EACH, "figures are missing");
        Ok(Some(Measured {
            apply,
            resolve,
            seen,
        }))
    }
}
