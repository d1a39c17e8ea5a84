//! What was done, in figures.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};

use idmerge_core::Outcome;
use indicatif::HumanCount;

use crate::users::UserCount;

/// Figures of a fold.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) users: UserCount,
    merges: u64,
    rejections: BTreeMap<&'static str, u64>,
    pub(crate) refused: u64,
}

impl Summary {
    pub(crate) fn count_outcome(&mut self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Merged => self.merges += 1,
            Outcome::Rejected(rejection) => {
                *self.rejections.entry(rejection.code()).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Writes the figures to stderr, where they do not mix with events.
    pub(crate) fn say(&self) {
        let _unheard = write!(io::stderr(), "{self}");
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, count: u64, more: &str| {
            writeln!(f, "{name:12}{:>14}{more}", HumanCount(count).to_string())
        };
        row("events", self.events, "")?;
        let users = &self.users;
        if users.events_of_nobody() > 0 {
            row("  of nobody", users.events_of_nobody(), "")?;
        }
        row("users before", users.before(), "")?;
        row("users after", users.after(), "")?;
        row("merges", self.merges, "")?;
        row("rejections", self.rejections.values().sum(), "")?;
        for (code, &count) in &self.rejections {
            row("", count, &format!(" {code}"))?;
        }
        row("refused", self.refused, "")
    }
}
