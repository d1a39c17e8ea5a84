//! What was done, in figures.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use idmerge_core::{DistinctId, Outcome};
use indicatif::HumanCount;
use twox_hash::XxHash3_128;

/// Figures of a fold.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    events: u64,
    /// Events that are no user's.
    unattributed: u64,
    users_before: DistinctIdCount,
    users_after: DistinctIdCount,
    merges: u64,
    rejections: BTreeMap<&'static str, u64>,
    pub(crate) refused: u64,
}

impl Summary {
    /// An event with its own distinct_id and the canonical one.
    pub(crate) fn count_event(
        &mut self,
        own: Option<DistinctId<'_>>,
        canonical: Option<DistinctId<'_>>,
    ) {
        self.events += 1;
        match (own, canonical) {
            (Some(own), Some(canonical)) => {
                self.users_before.add(own);
                self.users_after.add(canonical);
            }
            _ => self.unattributed += 1,
        }
    }

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
        if self.unattributed > 0 {
            row("  of nobody", self.unattributed, "")?;
        }
        row("users before", self.users_before.count(), "")?;
        row("users after", self.users_after.count(), "")?;
        row("merges", self.merges, "")?;
        row("rejections", self.rejections.values().sum(), "")?;
        for (code, &count) in &self.rejections {
            row("", count, &format!(" {code}"))?;
        }
        row("refused", self.refused, "")
    }
}

/// Counts different distinct_ids by a hash of 128 bits, so that none has to be kept.
#[derive(Debug, Default)]
struct DistinctIdCount {
    hashes: HashSet<u128>,
    text: String,
}

impl DistinctIdCount {
    fn add(&mut self, id: DistinctId<'_>) {
        self.text.clear();
        if write!(self.text, "{id}").is_ok() {
            self.hashes
                .insert(XxHash3_128::oneshot(self.text.as_bytes()));
        }
    }

    fn count(&self) -> u64 {
        self.hashes.len() as u64
    }
}
