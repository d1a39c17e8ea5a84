//! Funnels: how many users do some events in order, with ID Merge and without.

use std::collections::BTreeSet;

use axum::Json;
use idmerge_analysis::{Count, DAY_MS, Exclusion, Funnel, FunnelQuery, Reentry, Step, StepFigures};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::dates::days_ms;
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;
use crate::http::parameters::{json_array, strings};

/// The funnel to count. Its rules are F-1 to F-9.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FunnelParameters {
    /// The steps, in order, as a JSON array of strings: 1 to 100 names of events, each with or without conditions
    /// on its properties, such as `Sign Up[plan == "pro", seats >= 2]` (F-7).
    #[param(example = r#"["View","Sign Up"]"#)]
    steps: String,
    /// The most days from the opening of an entry to each of its steps, 1 to 366. 7 by default (F-3).
    window_days: Option<u32>,
    /// The same in milliseconds, for a window that is not of whole days. Give one of the two.
    window_ms: Option<i64>,
    /// Two steps at most this many milliseconds apart count in either order. 2000 by default (F-5).
    grace_ms: Option<i64>,
    /// Which events of the first step open an entry: the `first` one, which is the default (F-3), or with
    /// `optimized` each one, and the entry of a user that gets furthest counts (F-4).
    #[param(inline)]
    reentry: Option<ReentryParameter>,
    /// What is counted: users, which are `uniques` and the default, or `totals`, which are entries (F-4).
    #[param(inline)]
    count: Option<CountParameter>,
    /// Up to 3 properties that have the same values at every step, as a JSON array of strings (F-6).
    #[param(example = r#"["plan"]"#)]
    hold: Option<String>,
    /// The events that end an entry, as a JSON array: of steps, or of objects with the numbers of the two steps
    /// between which the event ends it (F-6).
    #[param(example = r#"[{"event":"Refund","between":[1,2]}]"#)]
    exclude: Option<String>,
    /// The first day on which an entry can open, such as `2026-01-31`, in UTC. No bound by default.
    from_date: Option<String>,
    /// The last day, included. Later steps can be later. No bound by default.
    to_date: Option<String>,
    /// How many of the users who stopped at a step to list for each step, at most 100. None by default.
    stopped: Option<usize>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ReentryParameter {
    First,
    Optimized,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CountParameter {
    Uniques,
    Totals,
}

/// An event that ends an entry.
#[derive(Deserialize)]
#[serde(untagged)]
enum ExcludedEvent {
    Event(String),
    Between {
        event: String,
        between: (usize, usize),
    },
}

/// The figures of a funnel.
#[derive(Serialize, ToSchema)]
pub(crate) struct FunnelResponse {
    /// The steps, in order.
    steps: Vec<StepFigures>,
    /// For each step, the users who took it and not the next one: the first ones in the order of their canonical
    /// IDs, as many as `stopped` asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<Vec<BTreeSet<String>>>,
}

/// The most users who stopped at a step that are listed.
const STOPPED_MAX: usize = 100;

impl FunnelParameters {
    fn funnel(&self) -> Result<Funnel, ApiError> {
        let steps = strings("steps", Some(&self.steps))?.unwrap_or_default();
        let steps = steps.iter().map(|step| Step::parse(step)).collect();
        let mut query = FunnelQuery::new(steps);
        let window_ms = match (self.window_days, self.window_ms) {
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_request(
                    "window_days and window_ms are both given; give one of them",
                ));
            }
            (Some(days), None) => Some(i64::from(days) * DAY_MS),
            (None, window_ms) => window_ms,
        };
        query.window_ms = window_ms.unwrap_or(query.window_ms);
        query.grace_ms = self.grace_ms.unwrap_or(query.grace_ms);
        query.reentry = match self.reentry {
            None | Some(ReentryParameter::First) => Reentry::First,
            Some(ReentryParameter::Optimized) => Reentry::Optimized,
        };
        query.count = match self.count {
            None | Some(CountParameter::Uniques) => Count::Uniques,
            Some(CountParameter::Totals) => Count::Totals,
        };
        query.hold = strings("hold", self.hold.as_deref())?.unwrap_or_default();
        let excluded: Option<Vec<ExcludedEvent>> = json_array(
            "exclude",
            self.exclude.as_deref(),
            r#"a JSON array of events, such as ["A",{"event":"B","between":[2,3]}]"#,
        )?;
        query.exclude = excluded
            .into_iter()
            .flatten()
            .map(Exclusion::from)
            .collect();
        (query.from_ms, query.until_ms) =
            days_ms(self.from_date.as_deref(), self.to_date.as_deref())?;
        query
            .funnel()
            .map_err(|error| ApiError::bad_request(error.to_string()))
    }
}

impl From<ExcludedEvent> for Exclusion {
    fn from(excluded: ExcludedEvent) -> Self {
        let (event, between) = match excluded {
            ExcludedEvent::Event(event) => (event, None),
            ExcludedEvent::Between { event, between } => (event, Some(between)),
        };
        Self {
            event: Step::parse(&event),
            between,
        }
    }
}

/// Count the users of a funnel
///
/// Each figure has the same figure without ID Merge beside it: every distinct_id is a user of its own then.
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
    let funnel = parameters.funnel()?;
    let listed = parameters.stopped.unwrap_or(0).min(STOPPED_MAX);
    let permit = reader.funnel().await?;
    let (report, stopped) = reader
        .run_while(move |project, may_go_on| {
            // Held by the thread: the client may go away before the end.
            let _permit = permit;
            let mut stopped = vec![BTreeSet::new(); funnel.query().steps.len()];
            let report = project.funnel_while(&funnel, &*may_go_on, &mut |user, steps| {
                if listed > 0
                    && let Some(users) = steps.checked_sub(1).and_then(|at| stopped.get_mut(at))
                {
                    users.insert(user.to_string());
                    if users.len() > listed {
                        users.pop_last();
                    }
                }
            })?;
            Ok((report, stopped))
        })
        .await?;
    Ok(Json(FunnelResponse {
        steps: report.steps,
        stopped: (listed > 0).then_some(stopped),
    }))
}
