//! Claims and stores, and measurements in a process of their own.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::{Links, Plan};
use idmerge_benches::programs::run_this;
use idmerge_core::{Claim, Id, InvalidId};
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable, Options, Sharing};

/// The events of the claims, the same for every row.
pub(crate) struct Caused {
    insert_ids: Vec<String>,
    times_ms: Vec<i64>,
}

pub(crate) const SOURCE: &str = "web";

/// The claims of a store with this many devices. There are more, for commits beside a snapshot.
pub(crate) fn plan(devices: u64) -> Plan {
    const USERS_PER_BLOCK: u64 = 25_000;
    Plan::in_blocks(2 * devices, Spelling::Uuid, USERS_PER_BLOCK)
}

pub(crate) fn open(folder: &Path) -> Result<Durable<Simplified>> {
    // As a server opens the store of a project.
    let options = Options {
        sharing: Sharing::Nobody,
        threads: available_parallelism()?.get(),
        ..Options::default()
    };
    Ok(Durable::open(folder, Simplified::default, options)?)
}

/// A device and its user.
pub(crate) fn pair(plan: &Plan, device: u64) -> (String, String) {
    let links = plan.links(device..device + 1);
    let link = links.iter().next();
    link.map_or_else(Default::default, |link| {
        (link.device.to_owned(), link.user.to_owned())
    })
}

/// Runs this program with these arguments and a folder, and reads the seconds that it prints.
pub(crate) fn in_own_process(args: &[&str], folder: &Path) -> Result<f64> {
    let mut args: Vec<_> = args.iter().map(OsStr::new).collect();
    args.extend([OsStr::new("--folder"), folder.as_os_str()]);
    run_this(&args)?.trim().parse().context("no seconds")
}

pub(crate) fn caused(count: usize) -> Caused {
    let mut insert_ids = Vec::with_capacity(count);
    let mut times_ms = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let mut text = String::new();
        Spelling::Uuid.write_device(number + (1 << 40), &mut text);
        insert_ids.push(text);
        times_ms.push(1_700_000_000_000 + 37 * number.cast_signed());
    }
    Caused {
        insert_ids,
        times_ms,
    }
}

pub(crate) fn claims(links: &Links) -> Vec<Claim<'_>> {
    let links = links.iter();
    let claims = links.flat_map(|link| {
        let (device, user) = (Id::new(link.device)?, Id::new(link.user)?);
        Ok::<_, InvalidId>(Claim::Link { device, user })
    });
    claims.collect()
}

impl Caused {
    pub(crate) fn causes(&self) -> Vec<Cause<'_>> {
        let all = self.insert_ids.iter().zip(&self.times_ms);
        all.map(|(insert_id, time_ms)| Cause {
            insert_id: Some(insert_id),
            time_ms: Some(*time_ms),
            source: Some(SOURCE),
        })
        .collect()
    }
}

/// The bytes of the files in a folder.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
