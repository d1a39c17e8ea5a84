//! Responses to clients, and why a whole request was not taken.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use idmerge_project::ProjectError;
use idmerge_wire::{Dialect, Problem};

use crate::http::body::BodyError;

/// `Retry-After`, in seconds, when more is sent than can be written.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why a whole request was not taken.
pub(super) enum IngestError {
    /// A problem, reported in the dialect of the client.
    Problem(Dialect, Problem),
    /// A secret that no project has, and the problem to report.
    WrongSecret(Dialect, Problem),
    /// The body did not arrive, or breaks the rules of HTTP.
    Body(BodyError),
}

impl IngestError {
    /// The status of the problem, which not every dialect tells.
    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Problem(_, problem) | Self::WrongSecret(_, problem) => {
                StatusCode::from_u16(problem.status()).ok()
            }
            Self::Body(_) => None,
        }
    }
}

/// The HTTP response for an answer in the client's dialect.
pub(super) fn response(answer: idmerge_wire::Response) -> Response {
    let mut response = Response::new(Body::from(answer.body.into_owned()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static(answer.content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// The problem to report when a batch was not written.
pub(super) fn problem(error: &ProjectError) -> Problem {
    match error {
        ProjectError::Full => Problem::RateLimited,
        ProjectError::TooMuchWork { .. }
        | ProjectError::TooManyUpdates { .. }
        | ProjectError::TooManyIds { .. } => Problem::TooMuchWork {
            reason: error.to_string(),
        },
        // The failure itself is logged, once.
        ProjectError::Failed { .. } | ProjectError::Erasing | ProjectError::Closed => {
            Problem::Unavailable
        }
        error => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a batch was not written"
            );
            Problem::Unavailable
        }
    }
}

impl IntoResponse for IngestError {
    fn into_response(self) -> Response {
        let (dialect, problem) = match self {
            Self::Problem(dialect, problem) | Self::WrongSecret(dialect, problem) => {
                (dialect, problem)
            }
            Self::Body(error) => return error.response(""),
        };
        let mut response = response(dialect.refuse(&problem));
        // An answer that is no error is not asked for again.
        if matches!(response.status().as_u16(), 429 | 503) {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
