//! The figures at the end of a run.

use std::fmt;
use std::io::{self, Write as _};

pub(crate) use idmerge_engines::Outcomes;
use indicatif::HumanCount;
use serde_json::{Value, json};

use crate::output::refused::RefusedWriter;
use crate::output::users::UserCount;
use crate::stream::adapt::AdaptReport;

/// The figures of a command: as text, and as JSON.
pub(crate) trait Figures: fmt::Display {
    /// A JSON object. The names of its fields do not change.
    fn json(&self) -> Value;
}

/// The form of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SummaryForm {
    None,
    Text,
    Json,
}

/// Writes figures to stderr, so that they do not mix with events on stdout.
pub(crate) fn print(figures: &dyn Figures, form: SummaryForm) {
    let mut stderr = io::stderr();
    let _unheard = match form {
        SummaryForm::None => Ok(()),
        SummaryForm::Text => write!(stderr, "{figures}"),
        SummaryForm::Json => writeln!(stderr, "{}", figures.json()),
    };
}

/// The figures of `resolve`.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) users: UserCount,
    pub(crate) outcomes: Outcomes,
    pub(crate) refused: Refused,
    /// If another product wrote the records.
    pub(crate) adapted: Option<AdaptReport>,
    /// The model attributes events at their arrival, and these were resolved by the IDs as they are now.
    pub(crate) is_of_now: bool,
}

/// How many lines were refused, and the first of them.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    count: u64,
    first: Option<String>,
}

impl Refused {
    pub(crate) fn of(writer: &RefusedWriter) -> Self {
        Self {
            count: writer.count(),
            first: writer.first().map(str::to_owned),
        }
    }

    pub(crate) fn add_to(&self, json: &mut Value) {
        json["refused"] = self.count.into();
        json["first_refused"] = self.first.as_deref().into();
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "refused", self.count, "")
    }
}

/// Adds the outcomes of claims.
pub(crate) fn add_outcomes(outcomes: &Outcomes, json: &mut Value) {
    json["merges"] = outcomes.merges.into();
    json["rejections"] = outcomes.rejections.values().sum::<u64>().into();
    json["rejections_by_code"] = json!(outcomes.rejections);
}

/// The rows of the outcomes of claims.
pub(crate) fn outcome_rows(f: &mut fmt::Formatter<'_>, outcomes: &Outcomes) -> fmt::Result {
    row(f, "merges", outcomes.merges, "")?;
    row(f, "rejections", outcomes.rejections.values().sum(), "")?;
    for (code, &count) in &outcomes.rejections {
        row(f, "", count, &format!(" {code}"))?;
    }
    Ok(())
}

/// Adds what became of the records of another product.
pub(crate) fn add_adapted(adapted: Option<&AdaptReport>, json: &mut Value) {
    if let Some(adapted) = adapted {
        json["from"] = adapted.json();
    }
}

/// A row of the summary.
pub(crate) fn row(f: &mut fmt::Formatter<'_>, name: &str, count: u64, more: &str) -> fmt::Result {
    writeln!(f, "{name:12}{:>14}{more}", HumanCount(count).to_string())
}

impl Figures for Summary {
    fn json(&self) -> Value {
        let users = &self.users;
        let mut json = json!({
            "events": self.events,
            "events_without_id": users.events_without_id(),
            "users_before": users.before(),
            "users_after": users.after(),
        });
        add_outcomes(&self.outcomes, &mut json);
        self.refused.add_to(&mut json);
        add_adapted(self.adapted.as_ref(), &mut json);
        if self.is_of_now {
            json["resolved_as_of"] = "now".into();
        }
        json
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(adapted) = &self.adapted {
            write!(f, "{adapted}")?;
        }
        row(f, "events", self.events, "")?;
        let users = &self.users;
        if users.events_without_id() > 0 {
            row(f, "  without ID", users.events_without_id(), "")?;
        }
        row(f, "users before", users.before(), "")?;
        row(f, "users after", users.after(), "")?;
        outcome_rows(f, &self.outcomes)?;
        write!(f, "{}", self.refused)?;
        if self.is_of_now {
            writeln!(f, "{OF_NOW}")?;
        }
        Ok(())
    }
}

/// Why the output may differ from what the events were given when they arrived.
pub(crate) const OF_NOW: &str = "\
note: the store has no events, so each one got what its ID stands for now, not at its arrival (L-3)";
