//! Questions about the log of claims of a project that is served: `idmerge store info`, `log`, `digest`
//! and `simulate`.

#![allow(
    unused_qualifications,
    reason = "the description of the parameters is generated"
)]

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use idmerge_core::Resolve;
use idmerge_engines::{AnonIdFormat, Engine, Model, Overrides, Settings};
use idmerge_project::{Project, ProjectError};
use idmerge_store::{Difference, History, LogEntry};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::api_error::ApiError;
use crate::read::query::{Parameters, Reader, page_rows};

/// The most entries that are folded into memory for a question. An entry takes 100 to 200 bytes there.
const FOLDED_ENTRIES_MAX: u64 = 1_000_000;

/// The most examples of each kind of difference.
const EXAMPLES_MAX: usize = 100;

/// A project, as the credential of a request opens it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProjectResponse {
    /// Its token.
    token: String,
    /// `original`, `simplified` or `legacy`.
    model: &'static str,
    /// What becomes of the profiles of users that merge: `vendor` (P-2 and P-3) or `fill`.
    profile_merge: &'static str,
}

/// Get the project that a credential opens
///
/// It costs nothing, so it is also the way to check a credential.
#[utoipa::path(
    get,
    path = "/v1/project",
    responses(
        (status = 200, body = ProjectResponse),
        (status = 400, description = "The account belongs to several projects; name one as project_id", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
    ),
)]
pub(crate) async fn project(reader: Reader) -> Json<ProjectResponse> {
    let (token, settings, profile_merge) = reader.named();
    Json(ProjectResponse {
        token: token.to_owned(),
        model: settings.model().rule_book().name(),
        profile_merge: profile_merge.name(),
    })
}

/// A project in figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct InfoResponse {
    /// `original`, `simplified` or `legacy`.
    engine: &'static str,
    /// The number of the last entry of the log.
    entries: u64,
    /// How many users have several IDs.
    clusters: u64,
    /// How many IDs they have together.
    members: u64,
    /// How many IDs the largest of them has.
    largest_cluster: usize,
    /// The settings of the engine; rules for IDs only if they are not the default.
    #[serde(flatten)]
    settings: serde_json::Map<String, serde_json::Value>,
}

/// Get the size of a project, and its settings
#[utoipa::path(
    get,
    path = "/v1/info",
    responses(
        (status = 200, body = InfoResponse),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 422, description = "The log has more entries than are folded for a question", body = ApiError),
        (status = 429, description = "Another question folds the log of the project; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn info(reader: Reader) -> Result<Json<InfoResponse>, ApiError> {
    let question = |question: Question<'_>| {
        let engine = question.history.as_of(question.as_of)?;
        let (mut clusters, mut members, mut largest_cluster) = (0, 0, 0);
        for cluster in engine.clusters() {
            if !(question.may_go_on)() {
                return Err(ProjectError::Cancelled);
            }
            clusters += 1;
            members += cluster.members.len() as u64;
            largest_cluster = largest_cluster.max(cluster.members.len());
        }
        Ok(InfoResponse {
            engine: engine.rule_book().name(),
            entries: question.as_of,
            clusters,
            members,
            largest_cluster,
            settings: question.project.settings().by_name(),
        })
    };
    fold(reader, None, question).await.map(Json)
}

/// The entries to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogParameters {
    /// The number of the first entry; `next` of the previous response. 1 by default.
    from: Option<u64>,
    /// How many entries to return, from 1 to 1,000. 100 by default.
    limit: Option<usize>,
}

/// A part of the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogResponse {
    /// The entries, in order.
    entries: Vec<LogEntry>,
    /// The value of `from` for the next request.
    next: u64,
}

/// List the entries of the log of claims
#[utoipa::path(
    get,
    path = "/v1/log",
    params(LogParameters),
    responses(
        (status = 200, body = LogResponse),
        (status = 400, description = "`from` is beyond the end of the log", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn log(
    reader: Reader,
    Parameters(parameters): Parameters<LogParameters>,
) -> Result<Json<LogResponse>, ApiError> {
    let from = parameters.from.unwrap_or(1).max(1);
    let limit = page_rows(parameters.limit);
    let read = reader.run(move |project| {
        let history = project.history()?;
        let end = history.last() + 1;
        if from > end {
            return Ok(Err(ApiError::bad_request(format!(
                "from is beyond the end of the log; the next entry is {end}"
            ))));
        }
        let mut entries: Vec<LogEntry> = Vec::new();
        history.entries(from, &mut |entry| {
            entries.push(entry.into());
            Ok(entries.len() < limit)
        })?;
        Ok(Ok(entries))
    });
    let entries = read.await??;
    let next = entries.last().map_or(from, |entry| entry.sequence + 1);
    Ok(Json(LogResponse { entries, next }))
}

/// The state to summarise.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DigestParameters {
    /// The state after this entry. The last one by default.
    as_of: Option<u64>,
}

/// A hash of a state.
#[derive(Serialize, ToSchema)]
pub(crate) struct DigestResponse {
    /// The number of the last entry in the state.
    as_of: u64,
    /// 64 hexadecimal digits. Equal states have equal digests.
    digest: String,
}

/// Get a hash of the state of the identities
#[utoipa::path(
    get,
    path = "/v1/digest",
    params(DigestParameters),
    responses(
        (status = 200, body = DigestResponse),
        (status = 400, description = "`as_of` is beyond the end of the log", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 422, description = "The log has more entries than are folded for a question", body = ApiError),
        (status = 429, description = "Another question folds the log of the project; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn digest(
    reader: Reader,
    Parameters(parameters): Parameters<DigestParameters>,
) -> Result<Json<DigestResponse>, ApiError> {
    let question = |question: Question<'_>| {
        let as_of = question.as_of;
        Ok(DigestResponse {
            as_of,
            digest: question.history.digest(as_of)?.to_string(),
        })
    };
    fold(reader, parameters.as_of, question).await.map(Json)
}

/// The engine to compare with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SimulateParameters {
    /// `original` or `simplified`.
    #[param(value_type = String)]
    engine: Model,
    /// Original only: the most IDs of a user.
    max_cluster_ids: Option<u32>,
    /// Original only: which IDs are anonymous.
    #[param(value_type = Option<String>)]
    anon_id_format: Option<AnonIdFormat>,
    /// Longer IDs are refused.
    max_id_bytes: Option<u16>,
    /// Compare the states after this entry. The last one by default.
    as_of: Option<u64>,
    /// How many examples of each kind of difference to return, at most 100. 5 by default.
    examples: Option<usize>,
}

/// How the users of another engine differ from those of the project.
#[derive(Serialize, ToSchema)]
pub(crate) struct SimulateResponse {
    /// The number of the last entry in the states.
    as_of: u64,
    /// The settings of the project, as arguments of `idmerge`.
    store: String,
    /// The settings of the other engine.
    simulated: String,
    /// How many clusters the project has.
    clusters: u64,
    /// How many clusters the other engine has.
    simulated_clusters: u64,
    /// How many clusters of the project are several users there.
    split: u64,
    /// How many clusters there are several users of the project.
    joined: u64,
    /// Canonical IDs of some clusters counted in `split`.
    split_examples: Vec<String>,
    /// Canonical IDs of some clusters counted in `joined`.
    joined_examples: Vec<String>,
    /// What the figures do not show, if one of the two models is Legacy.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// Compare with the users that another engine or setting would give
#[utoipa::path(
    get,
    path = "/v1/simulate",
    params(SimulateParameters),
    responses(
        (status = 200, body = SimulateResponse),
        (status = 400, description = "A parameter is wrong", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 422, description = "The log has more entries than are folded for a question", body = ApiError),
        (status = 429, description = "Another question folds the log of the project; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn simulate(
    reader: Reader,
    Parameters(parameters): Parameters<SimulateParameters>,
) -> Result<Json<SimulateResponse>, ApiError> {
    let overrides = Overrides {
        max_cluster_ids: parameters.max_cluster_ids,
        anon_id_format: parameters.anon_id_format,
        max_id_bytes: parameters.max_id_bytes,
        ..Overrides::default()
    };
    let settings = Settings::new(parameters.engine, &overrides)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let examples = parameters.examples.unwrap_or(5).min(EXAMPLES_MAX);
    let question = move |question: Question<'_>| {
        let Question {
            project,
            history,
            as_of,
            may_go_on,
        } = question;
        let now = history.as_of(as_of)?;
        let other =
            history.simulate_accepted(as_of, settings.engine(), |claim| settings.accepts(claim))?;
        let difference = Difference::between_while(&now, &other, examples, may_go_on);
        let difference = difference.ok_or(ProjectError::Cancelled)?;
        Ok(SimulateResponse {
            as_of,
            store: project.settings().arguments(),
            simulated: settings.arguments(),
            clusters: difference.clusters,
            simulated_clusters: difference.other_clusters,
            split: difference.split,
            joined: difference.joined,
            split_examples: difference.split_examples,
            joined_examples: difference.joined_examples,
            note: settings.simulation_note(project.settings()),
        })
    };
    fold(reader, parameters.as_of, question).await.map(Json)
}

/// Answers a question that folds the log into memory. It holds up no claim.
async fn fold<T: Send + 'static>(
    reader: Reader,
    as_of: Option<u64>,
    question: impl FnOnce(Question<'_>) -> Result<T, ProjectError> + Send + 'static,
) -> Result<T, ApiError> {
    let permit = reader.fold_for_question().await?;
    let answered = reader.run_while(move |project, may_go_on| {
        // Held by the thread: the client may go away before the end.
        let _permit = permit;
        let history = project.history()?.only_while(Arc::clone(&may_go_on));
        Ok(match checked(as_of, history.last()) {
            Ok(as_of) => Ok(question(Question {
                project,
                history: &history,
                as_of,
                may_go_on: &*may_go_on,
            })?),
            Err(error) => Err(error),
        })
    });
    answered.await?
}

/// What a question that folds the log is about.
struct Question<'q> {
    project: &'q Project,
    history: &'q History<Engine>,
    /// The last entry that counts.
    as_of: u64,
    may_go_on: &'q dyn Fn() -> bool,
}

/// The entry up to which the log is folded. `last` is its last one.
fn checked(as_of: Option<u64>, last: u64) -> Result<u64, ApiError> {
    let as_of = as_of.unwrap_or(last);
    if as_of > last {
        return Err(ApiError::bad_request(format!(
            "as_of is beyond the end of the log, which is {last}"
        )));
    }
    if as_of > FOLDED_ENTRIES_MAX {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!(
                "this folds {as_of} entries into memory, and a server folds at most \
                 {FOLDED_ENTRIES_MAX}; make a backup, restore it elsewhere, and ask it with `idmerge store`"
            ),
        ));
    }
    Ok(as_of)
}
