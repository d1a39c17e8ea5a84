//! Work on row groups, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use idmerge_columns::parallel;

use super::tables::RowGroup;

/// Calls `work` for each row group, with its number. Each core takes the next group when it has done one, so there are as many in
/// memory as cores. After an error no group is begun; the error of the first group that had one is returned.
pub(super) fn each_group(
    groups: &[RowGroup],
    work: impl Fn(u64, &RowGroup) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    parallel::map(cores.min(groups.len()), |_| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(number) else {
                return;
            };
            if let Err(error) = work(number as u64, group) {
                next.store(groups.len(), Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| number < *first) {
                    *failed = Some((number, error));
                }
                return;
            }
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(()), |(_, error)| Err(error))
}
