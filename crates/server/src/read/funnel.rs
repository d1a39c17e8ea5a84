//! Funnels: how many users do one event after another, with ID Merge and without.

use axum::Json;
use idmerge_analysis::{DAY_MS, share};
use idmerge_project::FunnelQuery;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::dates::days_ms;
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;
use crate::http::parameters::strings;

/// The most steps of a funnel.
const MAX_STEPS: usize = 100;

/// The funnel to count.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FunnelParameters {
    /// The event names of the steps, in order, as a JSON array of strings.
    #[param(example = r#"["View","Sign Up"]"#)]
    steps: String,
    /// The most days from the first step to the last. 30 by default.
    window_days: Option<u32>,
    /// The first day of the events to count, such as `2026-01-31`, in UTC. No bound by default.
    from_date: Option<String>,
    /// The last day, included. No bound by default.
    to_date: Option<String>,
}

/// The counts of a funnel.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunnelResponse {
    /// The steps, in order.
    steps: Vec<FunnelStep>,
}

/// How many users reached a step, after all steps before it and within the window.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunnelStep {
    /// The name of the event.
    event: String,
    /// How many users, with the identities known now.
    users: u64,
    /// `users` as a share of the users of the first step, from 0 to 1.
    conversion: f64,
    /// How many users, if every distinct_id counted as its own user.
    users_without_merge: u64,
    /// `users_without_merge` as a share of that of the first step, from 0 to 1.
    conversion_without_merge: f64,
}

/// Count the users of a funnel
///
/// Compares the counts with ID Merge to those without it.
#[utoipa::path(
    get,
    path = "/v1/funnel",
    params(FunnelParameters),
    responses(
        (status = 200, body = FunnelResponse),
        (status = 400, description = "A parameter is missing or wrong", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn funnel(
    reader: Reader,
    Parameters(parameters): Parameters<FunnelParameters>,
) -> Result<Json<FunnelResponse>, ApiError> {
    let steps = strings("steps", Some(&parameters.steps))?.unwrap_or_default();
    if !(1..=MAX_STEPS).contains(&steps.len()) {
        return Err(ApiError::bad_request(format!(
            "steps has {} event names; give 1 to {MAX_STEPS}, as a JSON array of strings",
            steps.len()
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
    let permit = reader.funnel().await?;
    let funnel = reader
        .run_while(move |project, may_go_on| {
            // Held by the thread: the client may go away before the end.
            let _permit = permit;
            project.funnel_while(&query, &*may_go_on)
        })
        .await?;
    let first = funnel.steps.first();
    let (first, first_without_merge) =
        first.map_or((0, 0), |first| (first.users, first.users_without_merge));
    let step = |step: &idmerge_project::StepCount| FunnelStep {
        event: step.name.clone(),
        users: step.users,
        conversion: share(step.users, first),
        users_without_merge: step.users_without_merge,
        conversion_without_merge: share(step.users_without_merge, first_without_merge),
    };
    Ok(Json(FunnelResponse {
        steps: funnel.steps.iter().map(step).collect(),
    }))
}
