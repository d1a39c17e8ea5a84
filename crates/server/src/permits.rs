//! How many queries may run at a time, and how many long responses may be open.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Bounds;

/// The most copies of the mappings of a project at a time. Each takes room on the disk.
const MAX_COPIES: usize = 2;

/// The limits of one project. It may use a half of all queries and a quarter of all streams, so
/// that it leaves some to the others.
#[derive(Clone)]
pub(crate) struct Permits {
    queries: Shares,
    /// Queries that make a part of a stream. They leave half of the queries to the others.
    runs: Shares,
    streams: Shares,
    copies: Arc<Semaphore>,
    folding: Arc<Semaphore>,
}

/// A limit on all projects together, and one on a single project.
#[derive(Clone)]
struct Shares {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// The right to make a part of a stream, until it is dropped.
pub(crate) struct Run {
    _query: Permit,
    /// The first part needs none.
    _run: Option<Permit>,
}

impl Run {
    /// The first part of a stream is made with the permit of a query.
    pub(crate) fn first(query: Permit) -> Self {
        Self {
            _query: query,
            _run: None,
        }
    }
}

/// The right to run a query or to send a stream, until it is dropped.
pub(crate) struct Permit {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Permits {
    /// The permits of each project of a server. A single project gets all.
    pub(crate) fn of_projects(projects: usize, bounds: &Bounds) -> Vec<Self> {
        let (max_queries, max_streams) = (bounds.max_queries.max(1), bounds.max_streams.max(1));
        // A question that folds the log takes memory in proportion to it, so a server answers one at a
        // time.
        let folding = Arc::new(Semaphore::new(1));
        let queries = Arc::new(Semaphore::new(max_queries));
        let max_runs = max_queries.div_ceil(2);
        let runs = Arc::new(Semaphore::new(max_runs));
        let streams = Arc::new(Semaphore::new(max_streams));
        let share = |max: usize, part: usize| {
            Semaphore::new(if projects > 1 {
                max.div_ceil(part)
            } else {
                max
            })
        };
        let shares = |all: &Arc<Semaphore>, own: Semaphore| Shares {
            all: Arc::clone(all),
            own: Arc::new(own),
        };
        let permits = |_| Self {
            queries: shares(&queries, share(max_queries, 2)),
            runs: shares(&runs, share(max_runs, 2)),
            streams: shares(&streams, share(max_streams, 4)),
            copies: Arc::new(Semaphore::new(MAX_COPIES)),
            folding: Arc::clone(&folding),
        };
        (0..projects).map(permits).collect()
    }

    /// The permit to run a query, if one is free.
    pub(crate) fn try_query(&self) -> Option<Permit> {
        self.queries.try_acquire()
    }

    /// The permit to make the next part of a stream, as soon as one is free. Streams take turns: the first
    /// that waits is the first to go on.
    pub(crate) async fn run(&self) -> Option<Run> {
        let run = self.runs.acquire().await?;
        let query = self.queries.acquire().await?;
        Some(Run {
            _query: query,
            _run: Some(run),
        })
    }

    /// The permit to send a stream, if one is free.
    pub(crate) fn try_stream(&self) -> Option<Permit> {
        self.streams.try_acquire()
    }

    /// The permit to have a copy on the disk, if one is free.
    pub(crate) fn try_copy(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.copies).try_acquire_owned().ok()
    }

    /// The permit to fold the log for a question, if it is free.
    pub(crate) fn try_fold(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.folding).try_acquire_owned().ok()
    }
}

impl Shares {
    async fn acquire(&self) -> Option<Permit> {
        // The semaphores are never closed.
        let own = Arc::clone(&self.own).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Permit {
            _own: own,
            _all: all,
        })
    }

    fn try_acquire(&self) -> Option<Permit> {
        Some(Permit {
            _own: Arc::clone(&self.own).try_acquire_owned().ok()?,
            _all: Arc::clone(&self.all).try_acquire_owned().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn streams_leave_half_of_the_queries_of_their_project_to_others() {
        for (projects, runs_max) in [(1, 16), (2, 8)] {
            let permits = Permits::of_projects(projects, &Bounds::STANDARD);
            let mut runs = Vec::new();
            for _ in 0..runs_max {
                runs.push(permits[0].run().await.unwrap());
            }
            let mut context = Context::from_waker(Waker::noop());
            let mut next = pin!(permits[0].run());
            assert!(next.as_mut().poll(&mut context).is_pending());
            let queries: Vec<_> = std::iter::from_fn(|| permits[0].try_query()).collect();
            assert_eq!(queries.len(), runs_max);
            // The one that waits goes on as soon as another one ends its turn.
            runs.pop();
            assert!(next.as_mut().poll(&mut context).is_ready());
        }
    }

    #[test]
    fn a_project_leaves_permits_to_the_others() {
        let permits = Permits::of_projects(3, &Bounds::STANDARD);
        let first: Vec<_> = std::iter::from_fn(|| permits[0].try_query()).collect();
        assert_eq!(first.len(), 16);
        let second: Vec<_> = std::iter::from_fn(|| permits[1].try_query()).collect();
        assert_eq!(second.len(), 16);
        assert!(permits[2].try_query().is_none());
        drop(first);
        assert!(permits[2].try_query().is_some());
        let streams: Vec<_> = std::iter::from_fn(|| permits[0].try_stream()).collect();
        assert_eq!(streams.len(), 16);
        let single = Permits::of_projects(1, &Bounds::STANDARD);
        let all: Vec<_> = std::iter::from_fn(|| single[0].try_query()).collect();
        assert_eq!(all.len(), 32);
    }
}
