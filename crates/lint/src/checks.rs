//! Finds the mistakes in what was added up.

mod clusters;
mod events;
mod users;

use idmerge_core::RuleBook;

use crate::fold::Lint;
use crate::ids::Bits;
use crate::kind::Kind;
use crate::report::{Finding, Gathered, Report};

impl Lint {
    /// The findings, the worst one first. Each has at most `examples_max` examples, and counts all IDs.
    ///
    /// A mistake is found once: an ID for which there is a finding is not found again for what follows from it.
    pub fn finish(mut self, examples_max: usize) -> Report {
        let mut findings = Vec::new();
        let rule_book = self.settings.rule_book();
        let mut checks = Checks {
            lint: &mut self,
            rule_book,
            examples_max,
            findings: &mut findings,
        };
        checks.refused();
        checks.without_id();
        checks.placeholders();
        checks.devices();
        checks.clusters();
        checks.rejections();
        checks.hot();
        checks.devices_as_users();
        let mut report = self.report;
        report.ids = u64::from(self.ids.len());
        report.findings = findings;
        report.rank();
        report
    }
}

/// The checks. Each finds one kind of mistake, or several that exclude each other.
struct Checks<'l> {
    lint: &'l mut Lint,
    rule_book: RuleBook,
    examples_max: usize,
    findings: &'l mut Vec<Finding>,
}

impl Checks<'_> {
    fn gathered(&self, kind: Kind) -> Gathered {
        Gathered::new(kind, kind.rule(self.rule_book), self.examples_max)
    }

    fn report(&mut self, number: u32) {
        self.lint.ids.row_mut(number).bits.insert(Bits::REPORTED);
    }

    fn is_reported(&self, number: u32) -> bool {
        self.lint.ids.row(number).bits.has(Bits::REPORTED)
    }
}

/// A number with its noun.
fn counted(number: u64, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}
