//! What the log of a store shows.

use idmerge_core::IdentityResolver;
use idmerge_store::{Durable, LogEntry};

/// The entries of a log as they are shown.
pub(crate) fn log_of<R: IdentityResolver>(store: &Durable<R>) -> Vec<LogEntry> {
    let mut log = Vec::new();
    let mut visit = |entry: idmerge_store::Entry<'_>| {
        log.push(LogEntry::from(entry));
        Ok(true)
    };
    store.history().unwrap().entries(1, &mut visit).unwrap();
    log
}

/// The IDs of an entry.
pub(crate) fn ids_of(entry: &LogEntry) -> Vec<&str> {
    let ids = [
        &entry.device,
        &entry.user,
        &entry.identified,
        &entry.anon,
        &entry.distinct_id,
        &entry.alias,
        &entry.first,
        &entry.second,
    ];
    ids.into_iter().flatten().map(String::as_str).collect()
}
