//! How many users go from one event to another, with ID Merge and without.

use axum::Json;
use idmerge_project::FunnelQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::dates::days_ms;
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;

/// The most steps of a funnel.
const STEPS_MAX: usize = 100;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Which funnel is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FunnelParameters {
    /// The names of the events in their order, as a JSON array of texts.
    #[param(example = r#"["View","Sign Up"]"#)]
    steps: String,
    /// How many days a user may take from the first to the last; 30 where it is not said.
    window_days: Option<u32>,
    /// The first day, such as `2026-01-31`, in UTC.
    from_date: Option<String>,
    /// The last day.
    to_date: Option<String>,
}

/// How many users came how far.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunnelAnswer {
    /// Each step, in order.
    steps: Vec<StepAnswer>,
}

/// How many users came to a step, having gone through those before it in time.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepAnswer {
    /// The name of the event.
    event: String,
    /// Users, as they are known now.
    users: u64,
    /// The part of the users of the first step.
    conversion: f64,
    /// The same if every distinct_id were a user of its own, as it was sent.
    users_without_merge: u64,
    /// The part of those of the first step.
    conversion_without_merge: f64,
}

/// How many users go from one event to another
#[utoipa::path(
    get,
    path = "/v1/funnel",
    params(FunnelParameters),
    responses(
        (status = 200, body = FunnelAnswer),
        (status = 400, description = "There is no such funnel", body = ApiError),
        (status = 401, description = "No credential, or a wrong one", body = ApiError),
        (status = 429, description = "Too many questions at a time", body = ApiError),
    ),
)]
pub(crate) async fn funnel(
    reader: Reader,
    Parameters(parameters): Parameters<FunnelParameters>,
) -> Result<Json<FunnelAnswer>, ApiError> {
    let steps: Vec<String> = serde_json::from_str(&parameters.steps).map_err(|error| {
        ApiError::bad_request(format!(
            "steps is no JSON array of texts, such as [\"View\"]: {error}"
        ))
    })?;
    if !(1..=STEPS_MAX).contains(&steps.len()) {
        return Err(ApiError::bad_request(format!(
            "a funnel has 1 to {STEPS_MAX} steps"
        )));
    }
    let (from_ms, until_ms) = days_ms(
        parameters.from_date.as_deref(),
        parameters.to_date.as_deref(),
    )?;
    let query = FunnelQuery {
        steps,
        window_ms: i64::from(parameters.window_days.unwrap_or(30)) * DAY_MS,
        from_ms,
        until_ms,
    };
    let funnel = reader.run(move |project| project.funnel(&query)).await?;
    let first = funnel.steps.first();
    let of_first = |users: u64, first: Option<u64>| match first {
        Some(first) if first > 0 => users as f64 / first as f64,
        _ => 0.0,
    };
    let step = |step: &idmerge_project::StepCount| StepAnswer {
        event: step.name.clone(),
        users: step.users,
        conversion: of_first(step.users, first.map(|first| first.users)),
        users_without_merge: step.users_without_merge,
        conversion_without_merge: of_first(
            step.users_without_merge,
            first.map(|first| first.users_without_merge),
        ),
    };
    Ok(Json(FunnelAnswer {
        steps: funnel.steps.iter().map(step).collect(),
    }))
}
