//! The parts that all queries share: access to a project, and the parameters of the request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path as PathSegments};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use idmerge_engines::Settings;
use idmerge_project::{MayGoOn, ProfileMerge, Project, ProjectError};
use idmerge_wire::Credentials;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::http::access::{self, Permission};
use crate::http::answer_memory::AnswerMemory;
use crate::http::api_error::ApiError;
use crate::http::parameters;
use crate::http::peers::Peer;
use crate::permits::{Permit, Permits, Run};
use crate::read::gone::Cancellation;
use crate::read::live::signal::{LiveSignal, TokenFeed};
use crate::read::profiles::sessions::{ProfileSessions, Session};
use crate::store::copy::Backups;

/// The most rows of a page.
pub(super) const MAX_PAGE_ROWS: usize = 1_000;

/// How many rows a page has for this `limit`.
pub(crate) fn page_rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(100).clamp(1, MAX_PAGE_ROWS)
}

/// A project that the request may read.
pub(crate) struct Reader {
    token: String,
    profile_merge: ProfileMerge,
    project: Arc<Project>,
    folder: PathBuf,
    backups: Backups,
    permits: Permits,
    answer_memory: AnswerMemory,
    profile_sessions: Arc<ProfileSessions>,
    cancellation: Cancellation,
    live: Arc<LiveSignal>,
    token_feed: TokenFeed,
}

/// Names the project when a service account belongs to several.
#[derive(Deserialize)]
struct ProjectParameter {
    project_id: Option<String>,
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let credentials = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => Credentials::read(value.to_str().unwrap_or("")),
            None => Credentials::None,
        };
        let ProjectParameter { project_id } = parameters::read(parts.uri.query().unwrap_or(""))?;
        let authorized = access::authorize(
            &app.configs(),
            &credentials,
            project_id.as_deref(),
            Permission::Read,
        );
        let project_index = match authorized {
            Ok(project_index) => project_index,
            Err(problem) => {
                if access::is_wrong_secret(&credentials, &problem) {
                    let peer = parts.extensions.get::<Peer>().copied();
                    app.on_wrong_secret(peer).await;
                }
                return Err(ApiError::new(StatusCode::UNAUTHORIZED, problem.to_string()));
            }
        };
        Ok(Self::of(app, project_index))
    }
}

impl Reader {
    /// The project with this index, for a request that may read it.
    pub(crate) fn of(app: &App, project_index: usize) -> Self {
        let open = &app.projects[project_index];
        Self {
            token: open.config.token.clone(),
            profile_merge: open.config.profile_merge,
            project: Arc::clone(&open.project),
            folder: open.folder.clone(),
            backups: open.backups.clone(),
            permits: app.permits[project_index].clone(),
            answer_memory: app.answer_memory.clone(),
            profile_sessions: Arc::clone(&open.profile_sessions),
            cancellation: app.cancellation.clone(),
            live: Arc::clone(&open.live),
            token_feed: TokenFeed {
                tokens: Arc::clone(&app.unknown_tokens),
                own_token: (app.projects.len() > 1).then(|| open.config.token.clone()),
            },
        }
    }

    /// The project, for what needs no thread that may block.
    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    /// The token of the project, the settings of its engine, and what becomes of profiles when users merge.
    pub(crate) fn named(&self) -> (&str, &Settings, ProfileMerge) {
        (&self.token, self.project.settings(), self.profile_merge)
    }

    /// The folder of the project's data.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What a backup of the project is made of.
    pub(crate) fn backups(&self) -> &Backups {
        &self.backups
    }

    /// The memory of answers that are made as a whole.
    pub(super) fn answer_memory(&self) -> &AnswerMemory {
        &self.answer_memory
    }

    /// The pages of profiles that are known in a session of the project.
    pub(super) fn profile_session(&self, session_id: Option<&str>) -> Session {
        self.profile_sessions.session(session_id)
    }

    /// The permit to run a query now.
    pub(super) fn try_query(&self) -> Result<Permit, ApiError> {
        self.permits.try_query().ok_or_else(|| {
            let busy = "too many queries are running; try again in a second";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, busy)
        })
    }

    /// The permit to send a long response now.
    pub(super) fn try_stream(&self) -> Result<Permit, ApiError> {
        self.permits.try_stream().ok_or_else(|| {
            let busy = "too many exports are open; read them to their end, and try again";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, busy)
        })
    }

    /// The permit to send a live stream now.
    pub(super) fn try_live(&self) -> Result<Permit, ApiError> {
        self.permits.try_live().ok_or_else(|| {
            let busy =
                "the project has as many live streams as it may have; close one, and try again";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, busy)
        })
    }

    /// What wakes the live streams of the project.
    pub(super) fn live_signal(&self) -> &LiveSignal {
        &self.live
    }

    /// The unknown tokens of which the project is told.
    pub(super) fn token_feed(&self) -> TokenFeed {
        self.token_feed.clone()
    }

    /// The permit to fold the log for a question, as soon as no other project folds its log.
    pub(crate) async fn fold_for_question(&self) -> Result<Permit, ApiError> {
        let project = self.permits.try_fold().ok_or_else(|| {
            let busy =
                "another question folds the log of this project; try again when it is answered";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, busy)
        })?;
        self.permits.fold(project).await.ok_or_else(stopping)
    }

    /// The permit to fold the log for a copy, as soon as no other request folds one.
    pub(super) async fn fold_for_copy(&self) -> Result<Permit, ApiError> {
        let project = self.permits.fold_of_project().await.ok_or_else(stopping)?;
        self.permits.fold(project).await.ok_or_else(stopping)
    }

    /// The permit to count a funnel, as soon as few others are counted.
    pub(super) async fn funnel(&self) -> Result<Permit, ApiError> {
        self.permits.funnel().await.ok_or_else(stopping)
    }

    /// The permit to search, as soon as the search of the project before this one has ended.
    pub(super) async fn search(&self) -> Result<Permit, ApiError> {
        self.permits.search().await.ok_or_else(stopping)
    }

    /// The permit to have a copy on the disk now.
    pub(super) fn try_copy(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.permits.try_copy().ok_or_else(|| {
            let busy =
                "two downloads of the mappings are open; read them to their end, and try again";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, busy)
        })
    }

    /// The permit to make the next part of a stream, as soon as there is one.
    pub(super) async fn run_permit(&self) -> Option<Run> {
        self.permits.run().await
    }

    /// Runs a query on a thread that may block on the disk. The permit is taken here, not when the
    /// request arrives: a client that sends a body slowly must not hold it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Project) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.run_with(self.try_query()?, query).await
    }

    /// As [`run`](Self::run). The query gets a function that says whether somebody still waits for its answer.
    pub(crate) async fn run_while<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Project, MayGoOn) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let gone = self.cancellation.of_query();
        // This future is dropped when the connection is closed.
        let _client = gone.client();
        let cancelled = self.cancellation.counter().clone();
        let query = move |project: &Project| {
            let answer = query(project, gone.may_go_on());
            if matches!(answer, Err(ProjectError::Cancelled)) {
                cancelled.inc();
            }
            answer
        };
        self.run(query).await
    }

    /// As [`run`](Self::run), with a permit, which is dropped at the end of the query.
    pub(super) async fn run_with<T: Send + 'static>(
        &self,
        permit: impl Send + 'static,
        query: impl FnOnce(&Project) -> Result<T, ProjectError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let project = Arc::clone(&self.project);
        let run = move || {
            let result = query(&project);
            drop(permit);
            result
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(result) => Ok(result?),
            Err(error) => {
                tracing::error!(%error, "a query panicked");
                let code = StatusCode::INTERNAL_SERVER_ERROR;
                Err(ApiError::new(
                    code,
                    "the query failed; the server's log has the reason",
                ))
            }
        }
    }
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")
}

/// The parameters of a query. An invalid one gives an [`ApiError`] that names it.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        parameters::read(parts.uri.query().unwrap_or("")).map(Self)
    }
}

/// The segment of the path that is an ID, percent-decoded.
pub(crate) struct IdInPath(pub(crate) String);

impl FromRequestParts<Arc<App>> for IdInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        match PathSegments::from_request_parts(parts, app).await {
            Ok(PathSegments(id)) => Ok(Self(id)),
            Err(_) => Err(ApiError::bad_request(
                "the ID in the path is not UTF-8; percent-encode the UTF-8 bytes of the ID",
            )),
        }
    }
}
