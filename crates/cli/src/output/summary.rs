//! The figures at the end of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};

use idmerge_core::Outcome;
use indicatif::HumanCount;
use serde::Serialize;

use crate::output::users::UserCount;

/// The figures of `resolve`.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) users: UserCount,
    pub(crate) outcomes: Outcomes,
    pub(crate) refused: u64,
}

/// Counts outcomes of claims.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcomes {
    pub(crate) merges: u64,
    pub(crate) rejections: BTreeMap<&'static str, u64>,
}

impl Outcomes {
    pub(crate) fn count(&mut self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Merged => self.merges += 1,
            Outcome::Rejected(rejection) => self.count_rejection(rejection.code()),
            _ => {}
        }
    }

    pub(crate) fn count_rejection(&mut self, code: &'static str) {
        *self.rejections.entry(code).or_default() += 1;
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "merges", self.merges, "")?;
        row(f, "rejections", self.rejections.values().sum(), "")?;
        for (code, &count) in &self.rejections {
            row(f, "", count, &format!(" {code}"))?;
        }
        Ok(())
    }
}

/// A row of the summary.
pub(crate) fn row(f: &mut fmt::Formatter<'_>, name: &str, count: u64, more: &str) -> fmt::Result {
    writeln!(f, "{name:12}{:>14}{more}", HumanCount(count).to_string())
}

impl Summary {
    /// Writes the figures to stderr, so that they do not mix with events on stdout.
    pub(crate) fn print(&self) {
        let _unheard = write!(io::stderr(), "{self}");
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "events", self.events, "")?;
        let users = &self.users;
        if users.events_without_id() > 0 {
            row(f, "  without ID", users.events_without_id(), "")?;
        }
        row(f, "users before", users.before(), "")?;
        row(f, "users after", users.after(), "")?;
        write!(f, "{}", self.outcomes)?;
        row(f, "refused", self.refused, "")
    }
}
