//! How many queries may run at a time, and how many long responses may be open.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Bounds;

/// The most copies of the mappings of a project at a time. Each takes room on the disk.
const MAX_COPIES: usize = 2;

/// The most funnels at a time. Each takes memory for every step that a user took: up to 1 GB.
const MAX_FUNNELS: usize = 2;

/// The most searches at a time. Each reads what is stored for up to two seconds.
const MAX_SEARCHES: usize = 4;

/// The most live streams at a time, and those of one project. They hold little while nothing comes, and never end by
/// themselves, so they have a limit of their own.
const MAX_LIVES: usize = 64;
const MAX_LIVES_OF_PROJECT: usize = 8;

/// The limits of one project. It may use a half of all queries and a quarter of all streams, so
/// that it leaves some to the others.
#[derive(Clone)]
pub(crate) struct Permits {
    queries: Shares,
    /// Queries that make a part of a stream. They leave half of the queries to the others.
    runs: Shares,
    streams: Shares,
    copies: Arc<Semaphore>,
    folds: Shares,
    funnels: Shares,
    searches: Shares,
    lives: Shares,
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

/// The right of a project to fold its log once all others let it.
pub(crate) struct ProjectFold(OwnedSemaphorePermit);

/// The right to run a query, to send a stream, to fold the log, to search or to count a funnel, until it is dropped.
pub(crate) struct Permit {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Permits {
    /// The permits of each project of a server. A single project gets all.
    pub(crate) fn of_projects(projects: usize, bounds: &Bounds) -> Vec<Self> {
        let (max_queries, max_streams) = (bounds.max_queries.max(1), bounds.max_streams.max(1));
        // A log that is folded takes memory in proportion to it, so a server folds one at a time. One question
        // of each project waits for its turn, so that no project keeps the others from their answers.
        let folds = Arc::new(Semaphore::new(1));
        let funnels = Arc::new(Semaphore::new(MAX_FUNNELS));
        let lives = Arc::new(Semaphore::new(MAX_LIVES));
        let searches = Arc::new(Semaphore::new(MAX_SEARCHES));
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
            folds: shares(&folds, Semaphore::new(1)),
            funnels: shares(&funnels, share(MAX_FUNNELS, 2)),
            searches: shares(&searches, Semaphore::new(1)),
            lives: shares(&lives, Semaphore::new(MAX_LIVES_OF_PROJECT)),
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

    /// The permit to send a live stream, if one is free.
    pub(crate) fn try_live(&self) -> Option<Permit> {
        self.lives.try_acquire()
    }

    /// The permit to have a copy on the disk, if one is free.
    pub(crate) fn try_copy(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.copies).try_acquire_owned().ok()
    }

    /// The first half of the permit to fold the log, if it is free in this project.
    pub(crate) fn try_fold(&self) -> Option<ProjectFold> {
        let own = Arc::clone(&self.folds.own).try_acquire_owned();
        own.ok().map(ProjectFold)
    }

    /// The same as soon as it is free. `None` once the server stops.
    pub(crate) async fn fold_of_project(&self) -> Option<ProjectFold> {
        let own = Arc::clone(&self.folds.own).acquire_owned().await;
        own.ok().map(ProjectFold)
    }

    /// The permit to fold the log, as soon as no other project folds its own. The first that waits is the
    /// next one. `None` once the server stops.
    pub(crate) async fn fold(&self, project: ProjectFold) -> Option<Permit> {
        let all = Arc::clone(&self.folds.all).acquire_owned().await.ok()?;
        Some(Permit {
            _own: project.0,
            _all: all,
        })
    }

    /// The permit to count a funnel, as soon as one is free. Projects take turns. `None` once the server stops.
    pub(crate) async fn funnel(&self) -> Option<Permit> {
        self.funnels.acquire().await
    }

    /// The permit to search, as soon as no other request searches the project. `None` once the server stops.
    pub(crate) async fn search(&self) -> Option<Permit> {
        self.searches.acquire().await
    }

    /// Refuses all who wait for their turn.
    pub(crate) fn refuse_waiting(&self) {
        for shares in [&self.folds, &self.funnels, &self.searches] {
            shares.own.close();
            shares.all.close();
        }
    }
}

impl Shares {
    async fn acquire(&self) -> Option<Permit> {
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
    use std::task::{Context, Poll, Waker};

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

    #[tokio::test]
    async fn projects_take_turns_to_fold_their_logs() {
        let permits = Permits::of_projects(3, &Bounds::STANDARD);
        let mut context = Context::from_waker(Waker::noop());
        let first = permits[0].try_fold().unwrap();
        let first = permits[0].fold(first).await.unwrap();
        // A second question of the project is refused, and a copy waits.
        assert!(permits[0].try_fold().is_none());
        let mut copy = pin!(permits[0].fold_of_project());
        assert!(copy.as_mut().poll(&mut context).is_pending());
        // One question of another project waits for its turn.
        let second = permits[1].try_fold().unwrap();
        let mut second = pin!(permits[1].fold(second));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(permits[1].try_fold().is_none());
        drop(first);
        // The project that asks again is the next but one.
        let Poll::Ready(Some(again)) = copy.as_mut().poll(&mut context) else {
            panic!("the copy has no turn in its project");
        };
        let mut again = pin!(permits[0].fold(again));
        assert!(again.as_mut().poll(&mut context).is_pending());
        let Poll::Ready(Some(turn)) = second.as_mut().poll(&mut context) else {
            panic!("the other project has no turn");
        };
        // A server that stops refuses those who wait.
        for permits in &permits {
            permits.refuse_waiting();
        }
        assert!(matches!(
            again.as_mut().poll(&mut context),
            Poll::Ready(None)
        ));
        assert!(permits[2].fold_of_project().await.is_none());
        drop(turn);
    }

    #[tokio::test]
    async fn funnels_wait_for_each_other_and_a_project_leaves_one_to_the_others() {
        let mut context = Context::from_waker(Waker::noop());
        let single = Permits::of_projects(1, &Bounds::STANDARD);
        let _both = [single[0].funnel().await, single[0].funnel().await];
        let mut third = pin!(single[0].funnel());
        assert!(third.as_mut().poll(&mut context).is_pending());
        let several = Permits::of_projects(2, &Bounds::STANDARD);
        let _first = several[0].funnel().await;
        let mut second = pin!(several[0].funnel());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(several[1].funnel().await.is_some());
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
