//! The findings, with evidence.

use std::collections::BTreeMap;

use crate::kind::{Kind, Severity};

/// Where an event was read, in the numbers of the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// The number of the input.
    pub input: u32,
    /// The number of the record if the input is not made of lines (IN-6), or else 0.
    pub record: u32,
    /// The line, or the number of the entry in a log.
    pub line: u64,
}

/// An event that shows a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it is.
    pub at: At,
    /// The time of the event, in milliseconds since 1970.
    pub time_ms: Option<i64>,
}

impl Evidence {
    /// A line of the only input, or an entry of a log, without a time.
    pub fn of_line(line: u64) -> Self {
        let at = At {
            line,
            ..At::default()
        };
        Self { at, time_ms: None }
    }
}

/// An ID for which there is a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The ID, without the prefix `$device:`. For [`Kind::NoId`] the name of the event, and for refused events
    /// the value.
    pub id: String,
    /// What was found, in words.
    pub what: String,
    /// How many events it affects.
    pub events: u64,
    /// The events that show it, those that arrived first at the front.
    pub evidence: Vec<Evidence>,
    /// Of a cluster: the time from the last ID that came into it until it is full, if it grows as it did in the
    /// later half of its IDs.
    pub full_in_ms: Option<i64>,
}

/// All IDs with one mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The mistake.
    pub kind: Kind,
    /// The rule that decides such events.
    pub rule: &'static str,
    /// How many IDs have it.
    pub ids: u64,
    /// How many users it affects. `None` if the events do not tell.
    pub users: Option<u64>,
    /// How many events it affects.
    pub events: u64,
    /// The IDs with the most events.
    pub examples: Vec<Example>,
}

/// What a fold found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many events could be used. Of a log: how many claims.
    pub events: u64,
    /// How many IDs there are.
    pub ids: u64,
    /// How many claims joined IDs.
    pub merges: u64,
    /// How many claims repeated a merge.
    pub already_merged: u64,
    /// How many claims were rejected, by the vendor's code.
    pub rejections: BTreeMap<&'static str, u64>,
    /// The findings, the worst one first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst severity of a finding.
    pub fn worst(&self) -> Option<Severity> {
        self.findings
            .iter()
            .map(|finding| finding.kind.severity())
            .max()
    }

    pub(crate) fn rank(&mut self) {
        self.findings.sort_by_key(|finding| {
            (
                std::cmp::Reverse((finding.kind.severity(), finding.events, finding.ids)),
                finding.kind,
            )
        });
    }
}

/// Gathers the IDs of a finding, and keeps those with the most events as examples.
pub(crate) struct Gathered {
    kind: Kind,
    rule: &'static str,
    examples_max: usize,
    ids: u64,
    events: u64,
    /// What an example is made from: the events, and a number that the caller gives a meaning to.
    examples: Vec<(u64, u32)>,
}

impl Gathered {
    pub(crate) fn new(kind: Kind, rule: &'static str, examples_max: usize) -> Self {
        Self {
            kind,
            rule,
            examples_max,
            ids: 0,
            events: 0,
            examples: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, number: u32, events: u64) {
        self.ids += 1;
        self.events += events;
        self.examples.push((events, number));
        // Sorted now and then, so that many IDs need little memory.
        if self.examples.len() > self.examples_max.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        // The one that came first if the events are equal.
        self.examples
            .sort_by_key(|(events, number)| (std::cmp::Reverse(*events), *number));
        self.examples.truncate(self.examples_max);
    }

    /// The finding, if there is any ID. `example` makes an example of a number and its events.
    pub(crate) fn finish(
        mut self,
        users: Option<u64>,
        mut example: impl FnMut(u32, u64) -> Example,
    ) -> Option<Finding> {
        if self.ids == 0 {
            return None;
        }
        self.cut();
        let examples = self.examples.into_iter();
        Some(Finding {
            kind: self.kind,
            rule: self.rule,
            ids: self.ids,
            users,
            events: self.events,
            examples: examples
                .map(|(events, number)| example(number, events))
                .collect(),
        })
    }
}
