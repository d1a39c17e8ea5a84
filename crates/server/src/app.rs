//! State that all requests share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRef;
use tokio::sync::Notify;

use crate::config::{Bounds, ProjectConfig};
use crate::http::answer_memory::AnswerMemory;
use crate::http::body::Bodies;
use crate::http::metrics::Metrics;
use crate::http::peers::{Peer, Sightings};
use crate::http::wrong_secrets::WrongSecrets;
use crate::ingest::decoding::Decoding;
use crate::ingest::unknown_tokens::UnknownTokens;
use crate::permits::Permits;
use crate::projects::OpenProject;
use crate::read::gone::Cancellation;

/// State that all requests share.
pub(crate) struct App {
    pub(crate) projects: Vec<OpenProject>,
    /// Maps tokens to indexes in `projects`.
    indexes: HashMap<String, usize>,
    pub(crate) bounds: Bounds,
    pub(crate) bodies: Bodies,
    pub(crate) decoding: Decoding,
    pub(crate) metrics: Metrics,
    pub(crate) wrong_secrets: WrongSecrets,
    pub(crate) unknown_tokens: Arc<UnknownTokens>,
    /// Connections that were closed because their address had too many.
    pub(crate) refused_connections: Sightings,
    /// The permits of each project, in the order of [`projects`](Self::projects).
    pub(crate) permits: Vec<Permits>,
    pub(crate) answer_memory: AnswerMemory,
    pub(crate) cancellation: Cancellation,
    /// Wakes what carries out deletions.
    pub(crate) deletions_changed: Notify,
    is_stopping: AtomicBool,
}

/// For the handlers that take a whole body.
impl FromRef<Arc<App>> for Bodies {
    fn from_ref(app: &Arc<App>) -> Self {
        app.bodies.clone()
    }
}

impl App {
    pub(crate) fn new(projects: Vec<OpenProject>, bounds: Bounds) -> Self {
        let indexes = projects.iter().enumerate();
        let bodies = Bodies::new(&bounds);
        let cancellation = Cancellation::default();
        let cancelled_queries = cancellation.counter();
        Self {
            indexes: indexes
                .map(|(index, project)| (project.config.token.clone(), index))
                .collect(),
            metrics: Metrics::new(&projects, bodies.clone(), cancelled_queries),
            bodies,
            decoding: Decoding::new(&bounds),
            wrong_secrets: WrongSecrets::default(),
            unknown_tokens: Arc::default(),
            refused_connections: Sightings::default(),
            permits: Permits::of_projects(projects.len(), &bounds),
            answer_memory: AnswerMemory::default(),
            cancellation,
            deletions_changed: Notify::new(),
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

    /// Counts a wrong secret, and waits if its address has sent many. The caller must hold nothing
    /// scarce meanwhile.
    pub(crate) async fn on_wrong_secret(&self, peer: Option<Peer>) {
        self.metrics.count_wrong_secret();
        self.wrong_secrets.count(peer).await;
    }

    /// Logs what clients did wrong since the last call, one warning for each kind.
    pub(crate) fn warn(&self) {
        self.wrong_secrets.warn();
        for open in &self.projects {
            open.warn_of_ids();
        }
        if let Some(counts) = self.refused_connections.take() {
            tracing::warn!(
                count = counts.total,
                "closed connections of addresses that had too many: {counts}"
            );
        }
    }

    /// Logs warnings once in the interval, for ever.
    pub(crate) async fn warn_regularly(self: Arc<Self>) {
        let mut interval = tokio::time::interval(self.bounds.warning_interval);
        // The first tick is at once, and would forget what was counted until then.
        interval.tick().await;
        loop {
            interval.tick().await;
            self.warn();
        }
    }

    /// Makes `/readyz` report that the server is stopping, and ends the live streams, which would not end by
    /// themselves.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        for open in &self.projects {
            open.live.stop();
        }
    }

    /// Ends all questions, and refuses those that wait for their turn.
    pub(crate) fn end_questions(&self) {
        self.cancellation.cancel_all();
        self.permits.iter().for_each(Permits::refuse_waiting);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}
