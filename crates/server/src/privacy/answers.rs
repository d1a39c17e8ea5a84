//! What deletions and retrievals share: their answers, and adding, finding and cancelling a task.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use idmerge_project::{PrivacyTask, ProjectError, TaskKind, TaskStatus};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

use super::request::Requester;
use crate::http::api_error::ApiError;

/// How often a task is tried again while people are being erased from its project, and how long a try waits.
const TRIES: (u32, std::time::Duration) = (40, std::time::Duration::from_millis(200));

/// An answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer<T> {
    /// Always `ok`.
    status: &'static str,
    results: T,
}

impl<T> Answer<T> {
    pub(super) fn of(results: T) -> Json<Self> {
        Json(Self {
            status: "ok",
            results,
        })
    }
}

/// The ID of a new task.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskCreated {
    /// The ID, for the path of the other requests.
    task_id: String,
}

/// A task.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskAnswer {
    /// The ID of the task.
    tracking_id: String,
    /// `PENDING`, `STARTED`, `SUCCESS`, `FAILURE`, `REVOKED` or `NOT_FOUND`. A deletion that is `PENDING` can be
    /// cancelled.
    status: &'static str,
    /// The service account that has requested it, or `project secret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    requesting_user: Option<String>,
    /// `GDPR` or `CCPA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    compliance_type: Option<String>,
    /// The project ID of the configuration as a number, if it is one; or else as text; or else the token.
    #[schema(schema_with = number_or_text)]
    project_id: serde_json::Value,
    /// When it was requested, in UTC, such as `2026-01-31T12:00:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    date_requested: Option<String>,
    /// The IDs, without those that are erased.
    distinct_ids: Vec<String>,
    /// How many IDs were named.
    distinct_id_count: u64,
    /// The link to the archive of a retrieval; empty if there is none.
    results: String,
    /// The same.
    result: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The receipt of the erasure, which several deletions can share.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<idmerge_store::ErasureReceipt>)]
    receipt: Option<Box<RawValue>>,
}

/// The schema of a project ID.
fn number_or_text() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    let text = ObjectBuilder::new().schema_type(Type::String);
    Schema::OneOf(OneOfBuilder::new().item(number).item(text).build())
}

impl Requester {
    /// The answer about a task. `link` is that of its archive.
    pub(super) fn answer(&self, task: PrivacyTask, link: String) -> TaskAnswer {
        let requested = Timestamp::from_millisecond(task.requested_ms);
        TaskAnswer {
            status: task.status.name(),
            requesting_user: Some(task.requested_by),
            compliance_type: Some(task.compliance_type),
            date_requested: requested
                .ok()
                .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S").to_string()),
            distinct_ids: task.distinct_ids,
            distinct_id_count: task.ids_named,
            result: link.clone(),
            results: link,
            error: task.error,
            receipt: (task.receipt).and_then(|json| RawValue::from_string(json).ok()),
            ..self.not_found(task.id)
        }
    }

    /// The task of this kind and ID.
    pub(super) fn find(&self, id: &str, kind: TaskKind) -> Option<PrivacyTask> {
        let task = self.reader.project().privacy_task(id);
        task.filter(|task| task.kind == kind)
    }

    /// The answer if there is no such task.
    pub(super) fn not_found(&self, tracking_id: String) -> TaskAnswer {
        let project_id = &self.project_id;
        TaskAnswer {
            tracking_id,
            status: "NOT_FOUND",
            requesting_user: None,
            compliance_type: None,
            project_id: match project_id.parse::<u64>() {
                Ok(number) => number.into(),
                Err(_) => project_id.clone().into(),
            },
            date_requested: None,
            distinct_ids: Vec::new(),
            distinct_id_count: 0,
            results: String::new(),
            result: String::new(),
            error: None,
            receipt: None,
        }
    }

    /// Adds a task. It is durable before this answers. If people are being erased from the project, it waits a while.
    pub(super) async fn add(
        &self,
        task: PrivacyTask,
    ) -> Result<(StatusCode, Json<Answer<TaskCreated>>), ApiError> {
        let (tries, delay) = TRIES;
        let task_id = task.id.clone();
        for left in (0..tries).rev() {
            let task = task.clone();
            let added = self
                .reader
                .run(move |project| match project.add_privacy_task(task) {
                    Err(ProjectError::Erasing) if left > 0 => Ok(false),
                    added => added.map(|()| true),
                });
            if added.await? {
                break;
            }
            tokio::time::sleep(delay).await;
        }
        self.app.deletions_changed.notify_one();
        Ok((StatusCode::CREATED, Answer::of(TaskCreated { task_id })))
    }

    /// Cancels a task that is not started yet.
    pub(super) async fn cancel(&self, id: String, kind: TaskKind) -> Result<Response, ApiError> {
        let status = match self.find(&id, kind).map(|task| task.status) {
            None => None,
            // This needs no store, which may be closed.
            Some(TaskStatus::Started) => Some(TaskStatus::Started),
            Some(_) => {
                let cancelled = self
                    .reader
                    .run(move |project| project.cancel_privacy_task(&id));
                cancelled.await?
            }
        };
        match status {
            Some(TaskStatus::Revoked) => Ok(StatusCode::NO_CONTENT.into_response()),
            None => {
                let error = "there is no such task in the project";
                Err(ApiError::new(StatusCode::NOT_FOUND, error))
            }
            Some(status) => {
                let error = format!(
                    "the task is {}, so it is too late to cancel it",
                    status.name()
                );
                let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, error);
                Ok(([(header::ALLOW, "GET,HEAD,OPTIONS")], error).into_response())
            }
        }
    }
}
