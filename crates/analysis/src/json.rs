//! The figures as JSON, with the names that the command, and the package of Python, give them.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::days::date_text;
use crate::funnel::{BreakdownRow, FunnelReport, StepFigures};
use crate::retention::{Cohort, Period, RetentionReport};
use crate::share::share;
use crate::uniques::{UniquesBy, UniquesReport, UniquesRow};

/// The figures of a funnel.
#[derive(Serialize)]
struct FunnelJson<'r> {
    steps: &'r [StepFigures],
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<ValueRow<Option<&'r RawValue>>>>,
    events_without_time: u64,
    events_without_id: u64,
}

/// The figures of one value of the property of a breakdown. `V` is how the value is written.
#[derive(Serialize)]
struct ValueRow<V> {
    value: V,
    users: u64,
    converted: u64,
    conversion: f64,
    users_without_merge: u64,
    converted_without_merge: u64,
    conversion_without_merge: f64,
    difference: i64,
}

impl FunnelReport {
    /// The figures as one JSON object. `by` is the property of the breakdown, if there is one, and
    /// `events_without_id` belong to no user (F-1). A value can be a number with more digits than a number of most
    /// libraries has.
    pub fn json(&self, by: Option<&str>, events_without_id: u64) -> String {
        text_of(&FunnelJson {
            steps: &self.steps,
            by,
            values: by.map(|_| self.breakdown.iter().map(with_raw_value).collect()),
            events_without_time: self.events_without_time,
            events_without_id,
        })
    }
}

impl BreakdownRow {
    /// How many more users the last step has than without ID Merge.
    pub fn difference(&self) -> i64 {
        self.converted.cast_signed() - self.converted_without_merge.cast_signed()
    }

    /// The figures as a JSON object, with the value as text to read.
    pub fn json(&self) -> Value {
        json!(with_value(self, self.text()))
    }
}

fn with_raw_value(row: &BreakdownRow) -> ValueRow<Option<&RawValue>> {
    let value = row.json.as_deref();
    with_value(row, value.and_then(|json| serde_json::from_str(json).ok()))
}

fn with_value<V>(row: &BreakdownRow, value: V) -> ValueRow<V> {
    ValueRow {
        value,
        users: row.users,
        converted: row.converted,
        conversion: row.conversion,
        users_without_merge: row.users_without_merge,
        converted_without_merge: row.converted_without_merge,
        conversion_without_merge: row.conversion_without_merge,
        difference: row.difference(),
    }
}

impl UniquesBy {
    /// The name of what has a row.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Day => "day",
        }
    }
}

impl UniquesReport {
    /// The figures as one JSON object. `events_without_id` belong to no user (F-1).
    pub fn json(&self, by: UniquesBy, events_without_id: u64) -> String {
        let mut total = self.total.json(by);
        if let Some(total) = total.as_object_mut() {
            total.remove(by.name());
        }
        text_of(&json!({
            "rows": self.rows.iter().map(|row| row.json(by)).collect::<Vec<_>>(),
            "total": total,
            "events_without_time": self.events_without_time,
            "events_without_id": events_without_id,
        }))
    }
}

impl UniquesRow {
    /// The name of the event, or the day.
    pub fn label(&self) -> String {
        match (&self.event, self.day_ms) {
            (Some(event), _) => event.clone(),
            (None, Some(day_ms)) => date_text(day_ms),
            (None, None) => "total".to_owned(),
        }
    }

    /// How many events a user has. Near 1 at a busy event, identity is lost.
    pub fn events_per_user(&self) -> f64 {
        share(self.events, self.users)
    }

    /// The figures as a JSON object.
    pub fn json(&self, by: UniquesBy) -> Value {
        json!({
            (by.name()): self.label(),
            "events": self.events,
            "users": self.users,
            "users_without_merge": self.users_without_merge,
            "events_per_user": self.events_per_user(),
        })
    }
}

impl Period {
    /// The name of the period.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

impl RetentionReport {
    /// The figures as one JSON object. `events_without_id` belong to no user (F-1).
    pub fn json(&self, period: Period, events_without_id: u64) -> String {
        text_of(&json!({
            "period": period.name(),
            "cohorts": self.cohorts.iter().map(cohort_json).collect::<Vec<_>>(),
            "events_without_time": self.events_without_time,
            "events_without_id": events_without_id,
        }))
    }
}

fn cohort_json(cohort: &Cohort) -> Value {
    let returned = cohort.returned.iter().enumerate().map(|(at, returns)| {
        json!({
            "period": at + 1,
            "users": returns.users,
            "retention": share(returns.users, cohort.users),
            "users_without_merge": returns.users_without_merge,
            "retention_without_merge": share(returns.users_without_merge, cohort.users_without_merge),
        })
    });
    json!({
        "start": date_text(cohort.start_ms),
        "users": cohort.users,
        "users_without_merge": cohort.users_without_merge,
        "returned": returned.collect::<Vec<_>>(),
    })
}

/// Figures are numbers and texts, which always have a form in JSON.
fn text_of(figures: &impl Serialize) -> String {
    serde_json::to_string(figures).unwrap_or_default()
}
