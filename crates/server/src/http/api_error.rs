//! The error response of a query.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use idmerge_project::ProjectError;
use idmerge_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// Why a query failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiError {
    /// What went wrong, and how to correct it.
    error: String,
    /// Always `error`.
    status: &'static str,
    /// If nothing is stored of an ID: the ID that differs from it only by the prefix `$device:`, and is in a
    /// cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
    #[serde(skip)]
    code: StatusCode,
}

impl ApiError {
    /// An error with this HTTP status.
    pub(crate) fn new(code: StatusCode, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            status: "error",
            did_you_mean: None,
            code,
        }
    }

    /// Names the ID that was probably meant.
    pub(crate) fn with_did_you_mean(mut self, did_you_mean: Option<String>) -> Self {
        self.did_you_mean = did_you_mean;
        self
    }

    /// The query itself is wrong: status 400.
    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }
}

impl From<ProjectError> for ApiError {
    fn from(error: ProjectError) -> Self {
        let code = match error {
            ProjectError::InvalidId(_)
            | ProjectError::InvalidCursor { .. }
            | ProjectError::FunnelTooLarge { .. } => StatusCode::BAD_REQUEST,
            // The failure itself is logged, once.
            ProjectError::Failed { .. }
            | ProjectError::Erasing
            | ProjectError::Closed
            | ProjectError::Cancelled
            | ProjectError::Store(StoreError::Failed) => StatusCode::SERVICE_UNAVAILABLE,
            ProjectError::Busy | ProjectError::TooManyTasks { .. } => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if code == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = &error as &dyn std::error::Error, "a query failed");
        }
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(&self)).into_response();
        if matches!(
            self.code,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
