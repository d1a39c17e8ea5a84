//! Carries out the deletions of all projects, one project at a time.

use std::sync::Arc;
use std::time::Duration;

use idmerge_project::ProjectError;
use idmerge_store::{ErasureReceipt, StoreError};

use crate::app::App;
use crate::clock::now_ms;
use crate::projects::OpenProject;

/// How long the runner sleeps at most, because the clock of the system can be set.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How long it waits at most while a backup is made or read.
const BUSY_MS: i64 = 5_000;
/// The longest delay after a failure.
const MAX_DELAY_MS: i64 = 3_600_000;

/// When a project may be erased from again.
#[derive(Clone, Copy, Default)]
struct Wait {
    until_ms: i64,
    failures: u32,
}

/// Carries out deletions when they are due, for ever.
pub(crate) async fn run(app: Arc<App>) {
    let [delay_ms, retry_ms] = [app.bounds.erasure_delay, app.bounds.erasure_retry].map(millis);
    let mut waits = vec![Wait::default(); app.projects.len()];
    loop {
        let mut sleep_ms = millis(SLEEP_MAX);
        for (open, wait) in app.projects.iter().zip(&mut waits) {
            let Some(oldest_ms) = open.project.oldest_deletion_ms() else {
                continue;
            };
            let now_ms = now_ms();
            let due_ms = oldest_ms.saturating_add(delay_ms).max(wait.until_ms);
            if due_ms <= now_ms && !app.is_stopping() {
                erase(open, now_ms - delay_ms, retry_ms, wait).await;
                sleep_ms = 0;
            } else {
                sleep_ms = sleep_ms.min(due_ms - now_ms);
            }
        }
        let sleep = Duration::from_millis(u64::try_from(sleep_ms).unwrap_or(0));
        tokio::select! {
            () = app.deletions_changed.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Erases from a project what was requested until this time. Afterwards `wait` says when to try again, if something is
/// left: `retry_ms` later after the first failure.
async fn erase(open: &OpenProject, until_ms: i64, retry_ms: i64, wait: &mut Wait) {
    let token = &open.config.token;
    // A backup would be broken off; the next one has to wait for the erasure.
    let Some(_backup) = open.backups.try_hold() else {
        wait.until_ms = now_ms() + retry_ms.min(BUSY_MS);
        return;
    };
    let erased = match open.backups.check_room() {
        Err(error) => Err(error.to_string()),
        Ok(()) => {
            let project = Arc::clone(&open.project);
            tracing::info!(
                project = token,
                "erasing people; what is sent gets status 503 meanwhile"
            );
            let erased = tokio::task::spawn_blocking(move || {
                let mut key = [0; 32];
                let error = |error: getrandom::Error| StoreError::Service(error.to_string());
                getrandom::fill(&mut key).map_err(error)?;
                project.erase_waiting(until_ms, key)
            });
            erased.await.map_or_else(
                |panic| Err(panic.to_string()),
                |erased: Result<Option<ErasureReceipt>, ProjectError>| {
                    erased.map_err(|error| error.reason())
                },
            )
        }
    };
    match erased {
        Ok(receipt) => {
            *wait = Wait::default();
            if let Some(receipt) = receipt {
                let (ids, events) = (receipt.ids_erased, receipt.rows.events_erased);
                tracing::info!(project = token, ids, events, "erased people");
            }
        }
        Err(error) => {
            let delay_ms = retry_ms.saturating_mul(1 << wait.failures.min(16));
            wait.failures += 1;
            wait.until_ms = now_ms() + delay_ms.min(MAX_DELAY_MS);
            tracing::error!(
                project = token,
                error,
                "people could not be erased; nothing has changed. Unless the deletion has failed for good, which its \
                 status says, this is tried again"
            );
        }
    }
}
