//! The form of a case that a person must decide: a line of JSON (M-18).

use serde::{Deserialize, Serialize};

/// The kind of a case that a person must decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConflictKind {
    /// Two users are said to be one person.
    TwoUsers,
    /// The IDs of a person, and none of them is a user.
    Anonymous,
    /// An ID is both a device and a user.
    DeviceIsUser,
    /// A device, or an anonymous ID, that belongs to another user.
    Contradicted,
    /// Two profiles of one user.
    Profile,
    /// A cluster would have too many IDs.
    OverCap,
    /// An anonymous ID is not a UUID.
    NonUuid,
    /// An alias that is in use.
    RefusedAlias,
    /// An alias or a merge that names one ID twice.
    Loop,
    /// An earlier migration wrote something else.
    Changed,
}

/// A case that a person must decide.
#[derive(Debug)]
pub struct Conflict {
    /// The kind of the case.
    pub kind: ConflictKind,
    /// The IDs that it is about, at most [`IDS_MAX`](Self::IDS_MAX) of them.
    pub ids: Vec<String>,
    /// How many IDs it is about.
    pub all_ids: usize,
    /// The ID whose side was taken, if there is one.
    pub chosen: Option<String>,
    /// The number of the rule that decided it.
    pub rule: &'static str,
    /// The lines that say so, at most [`EVIDENCE_MAX`](Self::EVIDENCE_MAX) of them.
    pub evidence: Vec<ConflictEvidence>,
    /// How many events it is about.
    pub events: u64,
    /// What a person can do about it.
    pub what_would_settle_it: &'static str,
}

/// A line of the input that is evidence for a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictEvidence {
    /// The name of the input.
    pub file: String,
    /// The number of the line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The `$insert_id` of the event.
    pub insert_id: Option<String>,
    /// The name of the event.
    pub event: Option<String>,
    /// How good the evidence is (M-6); the smaller one is the better. `None` if it does not count.
    pub rank: Option<u8>,
    /// The two IDs that the line names.
    pub ids: [String; 2],
}

/// What is written.
#[derive(Serialize)]
struct Line<'c> {
    kind: ConflictKind,
    ids: &'c [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    all_ids: Option<usize>,
    chosen: Option<&'c str>,
    rule: &'static str,
    evidence: &'c [ConflictEvidence],
    events: u64,
    what_would_settle_it: &'static str,
}

impl Conflict {
    /// The most lines of evidence of a case.
    pub const EVIDENCE_MAX: usize = 10;

    /// The most IDs of a case that are named.
    pub const IDS_MAX: usize = 100;

    /// The line, with its line feed.
    ///
    /// # Errors
    ///
    /// The line cannot be written as JSON, which does not happen.
    pub fn to_line(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(&Line {
            kind: self.kind,
            ids: &self.ids,
            all_ids: Some(self.all_ids).filter(|&all| all > self.ids.len()),
            chosen: self.chosen.as_deref(),
            rule: self.rule,
            evidence: &self.evidence,
            events: self.events,
            what_would_settle_it: self.what_would_settle_it,
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

impl ConflictKind {
    /// The name, as the lines have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoUsers => "two_users",
            Self::Anonymous => "anonymous",
            Self::DeviceIsUser => "device_is_user",
            Self::Contradicted => "contradicted",
            Self::Profile => "profile",
            Self::OverCap => "over_cap",
            Self::NonUuid => "non_uuid",
            Self::RefusedAlias => "refused_alias",
            Self::Loop => "loop",
            Self::Changed => "changed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_18_a_line_says_how_many_ids_there_are_if_it_does_not_name_all() {
        let mut conflict = Conflict {
            kind: ConflictKind::NonUuid,
            ids: vec!["a".to_owned(), "b".to_owned()],
            all_ids: 2,
            chosen: None,
            rule: "O-8",
            evidence: Vec::new(),
            events: 3,
            what_would_settle_it: "Decide.",
        };
        let line = |conflict: &Conflict| String::from_utf8(conflict.to_line().unwrap()).unwrap();
        let rest = r#","chosen":null,"rule":"O-8","evidence":[],"events":3,"what_would_settle_it":"Decide."}"#;
        let ids = r#"{"kind":"non_uuid","ids":["a","b"]"#;
        assert_eq!(line(&conflict), format!("{ids}{rest}\n"));
        conflict.all_ids = 101;
        assert_eq!(line(&conflict), format!("{ids},\"all_ids\":101{rest}\n"));
    }

    #[test]
    fn m_18_the_name_of_a_kind_is_what_its_lines_have() {
        for kind in [
            ConflictKind::TwoUsers,
            ConflictKind::Anonymous,
            ConflictKind::DeviceIsUser,
            ConflictKind::Contradicted,
            ConflictKind::Profile,
            ConflictKind::OverCap,
            ConflictKind::NonUuid,
            ConflictKind::RefusedAlias,
            ConflictKind::Loop,
            ConflictKind::Changed,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
