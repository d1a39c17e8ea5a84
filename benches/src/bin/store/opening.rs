//! Opening a large store, in a process of its own.

use std::path::Path;

use anyhow::{Result, ensure};
use idmerge_benches::inputs::ids::scattered_below;
use idmerge_benches::measure::timed;
use idmerge_core::{DistinctId, Id, IdBuffer, Resolve as _};

use crate::inputs::{open, pair, plan};

/// The seconds of an opening. The store then knows the user of each device.
pub(crate) fn seconds(folder: &Path, devices: u64) -> Result<f64> {
    const LOOKUPS: u64 = 10_000;
    let plan = plan(devices);
    let (taken, store) = timed(|| open(folder));
    let store = store?;
    for number in 0..LOOKUPS {
        let (device, user) = pair(&plan, scattered_below(number, devices));
        let found = store.resolve(DistinctId::device(Id::new(&device)?));
        ensure!(
            !found.is_device() && found.id().text_in(&mut IdBuffer::new()) == user,
            "the store gives {found} for device {device} of {user}"
        );
    }
    store.close()?;
    Ok(taken)
}
