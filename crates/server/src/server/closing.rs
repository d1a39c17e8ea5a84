//! Closes the projects of a stopping server, within its time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};
use std::time::Duration;

use idmerge_project::ProjectError;

use crate::app::App;
use crate::error::ServeError;

/// When a stopping server gives something up, in time since it was told to stop.
pub(super) struct Plan {
    /// Requests that wait for a commit are refused, unless it has begun with them.
    refuse: Duration,
    /// The others are refused too, and questions end.
    abandon: Duration,
    /// How long snapshots may take once the connections are closed.
    snapshot: Duration,
}

impl Plan {
    /// Refuses requests early enough for their clients to get the answer before the connections are closed.
    pub(super) fn new(drain_timeout: Duration, stop_timeout: Duration) -> Self {
        Self {
            refuse: drain_timeout * 2 / 5,
            abandon: drain_timeout * 4 / 5,
            snapshot: stop_timeout.saturating_sub(drain_timeout) / 2,
        }
    }

    /// Refuses what is left at each step.
    pub(super) async fn carry_out(&self, app: &App) {
        tokio::time::sleep(self.refuse).await;
        app.decoding.close();
        for open in &app.projects {
            open.project.refuse_waiting();
        }
        tokio::time::sleep(self.abandon - self.refuse).await;
        abandon(app);
    }

    /// How long snapshots may still take once the connections are closed.
    pub(super) fn snapshot_time(&self) -> Duration {
        self.snapshot
    }
}

/// Closes every project on threads that may block, several at a time. They make no snapshot any more once
/// `may_go_on` returns `false`.
pub(super) fn close(app: &App, may_go_on: &(dyn Fn() -> bool + Sync)) -> Result<(), ServeError> {
    abandon(app);
    let next = AtomicUsize::new(0);
    let close_some = || {
        let mut errors = Vec::new();
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(open) = app.projects.get(index)
        {
            if let Err(error) = open.project.close_while(may_go_on) {
                errors.push((index, error));
            }
        }
        errors
    };
    // A thread that closes mostly waits for the disk.
    let threads = 2 * available_parallelism().map_or(1, usize::from);
    let mut errors: Vec<(usize, ProjectError)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(app.projects.len()))
            .filter_map(|_| {
                let thread = thread::Builder::new().name("closing".to_owned());
                thread.spawn_scoped(scope, close_some).ok()
            })
            .collect();
        let own = close_some();
        let others = others
            .into_iter()
            .flat_map(|other| other.join().unwrap_or_default());
        own.into_iter().chain(others).collect()
    });
    errors.sort_by_key(|(index, _)| *index);
    for (index, error) in &errors {
        let error: &dyn std::error::Error = error;
        let project = &app.projects[*index].config.token;
        tracing::error!(project, error, "a project could not be closed");
    }
    match errors.into_iter().next() {
        None => Ok(()),
        Some((index, source)) => Err(ServeError::Close {
            token: app.projects[index].config.token.clone(),
            source: source.into(),
        }),
    }
}

fn abandon(app: &App) {
    app.decoding.close();
    app.end_questions();
    for open in &app.projects {
        open.project.abandon_waiting();
    }
}
