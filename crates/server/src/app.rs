//! State that all requests share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use crate::config::{Bounds, ProjectConfig};
use crate::http::body::BodyMemory;
use crate::http::metrics::Metrics;
use crate::projects::OpenProject;

/// The most queries that run at a time. Each one may occupy a blocking thread and the disk.
const MAX_QUERIES: usize = 32;

/// State that all requests share.
pub(crate) struct App {
    pub(crate) projects: Vec<OpenProject>,
    /// Maps tokens to indexes in `projects`.
    indexes: HashMap<String, usize>,
    pub(crate) bounds: Bounds,
    pub(crate) body_memory: BodyMemory,
    pub(crate) metrics: Metrics,
    /// One permit for each query that may run now.
    pub(crate) query_permits: Arc<Semaphore>,
    is_stopping: AtomicBool,
}

impl App {
    pub(crate) fn new(projects: Vec<OpenProject>, bounds: Bounds) -> Self {
        let indexes = projects.iter().enumerate();
        let body_memory = BodyMemory::new(
            bounds.max_body_bytes_in_memory,
            bounds.limits.max_body_bytes,
            bounds.body_timeout,
        );
        Self {
            indexes: indexes
                .map(|(index, project)| (project.config.token.clone(), index))
                .collect(),
            metrics: Metrics::new(&projects, body_memory.clone()),
            body_memory,
            query_permits: Arc::new(Semaphore::new(MAX_QUERIES)),
            is_stopping: AtomicBool::new(false),
            projects,
            bounds,
        }
    }

    /// The index in [`projects`](Self::projects) of the project with this token.
    pub(crate) fn index_by_token(&self, token: &str) -> Option<usize> {
        self.indexes.get(token).copied()
    }

    /// The configuration of each project, in the order of [`projects`](Self::projects).
    pub(crate) fn configs(&self) -> Vec<&ProjectConfig> {
        self.projects
            .iter()
            .map(|project| &project.config)
            .collect()
    }

    /// Makes `/readyz` report that the server is stopping.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}
