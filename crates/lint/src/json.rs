//! A report as JSON, with the names that the command, and the package of Python, give it.

use serde_json::{Value, json};

use crate::report::{Evidence, Finding, Report};

impl Report {
    /// The report as a JSON object. `refused` is how many events could not be used, and `place` says where an event is.
    pub fn json(&self, refused: u64, place: &dyn Fn(&Evidence) -> Value) -> Value {
        let findings = self.findings.iter().map(|finding| finding.json(place));
        json!({
            "events": self.events,
            "refused": refused,
            "ids": self.ids,
            "claims": {
                "merged": self.merges,
                "already_merged": self.already_merged,
                "rejected": self.rejections,
            },
            "findings": findings.collect::<Vec<_>>(),
        })
    }
}

impl Finding {
    fn json(&self, place: &dyn Fn(&Evidence) -> Value) -> Value {
        let examples = self.examples.iter().map(|example| {
            let mut json = json!({
                "id": example.id,
                "what": example.what,
                "events": example.events,
                "evidence": example.evidence.iter().map(place).collect::<Vec<_>>(),
            });
            if let Some(full_in_ms) = example.full_in_ms {
                json["full_in_ms"] = full_in_ms.into();
            }
            json
        });
        json!({
            "finding": self.kind.name(),
            "severity": self.kind.severity().name(),
            "rule": self.rule,
            "what": self.kind.title(),
            "ids": self.ids,
            "users": self.users,
            "events": self.events,
            "examples": examples.collect::<Vec<_>>(),
            "fix": self.kind.fix(),
        })
    }
}
