//! What became of the records of another product, for the summary.

use std::fmt;

use serde_json::{Value, json};

use crate::output::summary::{Figures, SummaryForm, row};
use crate::report::say;
use crate::stream::adapt::AdaptReport;

impl Figures for AdaptReport {
    fn json(&self) -> Value {
        json!({
            "format": self.format.name(),
            "records": self.counts.records,
            "duplicates": self.duplicates,
            "passed_over": self.counts.passed_over,
            "notices": self.counts.notices,
            "blocked_user_id": self.counts.blocked_user_ids,
            "blocked_device_id": self.counts.blocked_device_ids,
            "received_backwards": self.receipts.backwards,
            "not_found": self.unfound,
        })
    }
}

impl AdaptReport {
    /// Warns if no record had a field that an argument names (IN-6), and if the order of the records is not the order in
    /// which they were received.
    pub(crate) fn warn(&self, form: SummaryForm) {
        if form != SummaryForm::Text {
            return;
        }
        for warning in &self.unfound {
            say(format_args!("warning: {warning} (IN-6)"));
        }
        if self.is_out_of_order()
            && let Some(field) = self.format.receipt_field()
        {
            say(format_args!(
                "warning: {} of {} records have an earlier {field} than the record before them, and their \
                 order can decide which IDs are joined: sort them by {field} first (A-6)",
                self.receipts.backwards, self.receipts.count
            ));
        }
    }
}

impl fmt::Display for AdaptReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let product = self.format.product();
        row(f, "records", counts.records, &format!(" of {product}"))?;
        for (kind, count) in &counts.passed_over {
            row(f, "passed over", *count, &format!(" {kind}"))?;
        }
        for (kind, count) in &counts.notices {
            row(f, "look at", *count, &format!(" {kind}"))?;
        }
        for (name, count, what) in [
            ("duplicates", self.duplicates, ""),
            ("blocked", counts.blocked_user_ids, " user IDs"),
            ("blocked", counts.blocked_device_ids, " device IDs"),
        ] {
            if count > 0 {
                row(f, name, count, what)?;
            }
        }
        Ok(())
    }
}
