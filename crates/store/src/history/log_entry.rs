//! [`LogEntry`]: an entry of the log as it is shown to people and programs.

use idmerge_core::{Claim, ClaimKind, Id, Outcome, RuleBook};
use serde::Serialize;

use crate::log::entry::{Entry, What};
use crate::state::verdict;

/// An entry of the log in the one form in which the command line, HTTP and Python print it.
///
/// It serialises as a flat object in the order of these fields; fields that are `None` or `false` are
/// left out.
///
/// ```
/// use idmerge_core::{Claim, Id, Outcome};
/// use idmerge_store::{Cause, Entry, LogEntry, What};
///
/// let [device, user] = ["D1", "U1"].map(|text| Id::new(text).unwrap());
/// let entry = Entry {
///     sequence: 1,
///     what: What::Claim { claim: Claim::Link { device, user }, outcome: Outcome::Merged },
///     cause: Cause { source: Some("web"), ..Cause::default() },
/// };
/// assert_eq!(
///     serde_json::to_string(&LogEntry::from(entry)).unwrap(),
///     r#"{"sequence":1,"claim":"link","device":"D1","user":"U1","answer":"merged","source":"web"}"#
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LogEntry {
    /// The number of the entry in the log, from 1.
    pub sequence: u64,
    /// The kind of the claim: `link`, `identify`, `alias` or `merge`. Absent for a retraction and a
    /// replaced state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<&'static str>,
    /// In a `link`: the device, without the prefix `$device:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// In a `link`: the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// In an `identify`: the identified ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identified: Option<String>,
    /// In an `identify`: the anonymous ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anon: Option<String>,
    /// In an `alias`: the ID that gets an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_id: Option<String>,
    /// In an `alias`: the new ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// In a `merge`: the first ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// In a `merge`: the second ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
    /// The answer of the engine: `merged`, `already merged`, `ignored`, or the code of a rejection
    /// such as `errSameIDs`. In the log it is the answer when the claim came; in an explanation the
    /// answer that counts now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'static str>,
    /// In an explanation: the answer when the claim came, if another one counts now because an
    /// earlier entry was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_answer: Option<&'static str>,
    /// For a rejection: what the engine says about it, with the IDs or numbers that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// In an explanation, for a rejection: the rule that rejects the claim, such as `O-12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// In an explanation: whether the entry was withdrawn, so that it does not count. `answer` is
    /// then the answer when the claim came.
    #[serde(skip_serializing_if = "is_false")]
    pub withdrawn: bool,
    /// In a retraction: the number of the entry that it withdraws; the first one if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retracted: Option<u64>,
    /// In a retraction: the numbers of the other entries that it withdraws.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_retracted: Vec<u64>,
    /// In a retraction of every claim that names an ID: the ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detached: Option<String>,
    /// In a retraction: who withdrew the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// In a retraction: the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the claim named an erased ID. Nothing else is left of it (E-3), and it does not count.
    #[serde(skip_serializing_if = "is_false")]
    pub erased: bool,
    /// Whether a loaded snapshot replaced the state of the store here.
    #[serde(skip_serializing_if = "is_false")]
    pub replaced: bool,
    /// The `$insert_id` of the event that made the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insert_id: Option<String>,
    /// The time of that event, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<i64>,
    /// The origin of that event: a file, a path of the server such as `/import`, or a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl LogEntry {
    /// Replaces the answer by the one that counts now.
    pub(super) fn answered_now(&mut self, outcome: Outcome<'_>, rule_book: RuleBook) {
        let first_answer = self.answer;
        self.answer_with(outcome);
        self.first_answer = first_answer.filter(|_| first_answer != self.answer);
        if let Outcome::Rejected(rejection) = outcome {
            self.rule = Some(rejection.rule(rule_book));
        }
    }

    /// Whether the claim counts now and was accepted.
    pub(super) fn is_accepted(&self) -> bool {
        !self.withdrawn && matches!(self.answer, Some("merged" | "already merged"))
    }

    /// Whether the claim counts now and was rejected.
    pub(super) fn is_rejected(&self) -> bool {
        !self.withdrawn && !self.is_accepted()
    }

    fn claim(&mut self, claim: Claim<'_>) {
        let text = |id: Id<'_>| Some(id.to_string());
        self.claim = kind_name(claim.kind());
        match claim {
            Claim::Link { device, user } => {
                (self.device, self.user) = (text(device), text(user));
            }
            Claim::Identify { identified, anon } => {
                (self.identified, self.anon) = (text(identified), text(anon));
            }
            Claim::Alias { distinct_id, alias } => {
                (self.distinct_id, self.alias) = (text(distinct_id), text(alias));
            }
            Claim::Merge { first, second } => {
                (self.first, self.second) = (text(first), text(second));
            }
            _ => {}
        }
    }

    fn answer_with(&mut self, outcome: Outcome<'_>) {
        self.answer = verdict(outcome);
        self.description = match outcome {
            Outcome::Rejected(rejection) => Some(rejection.to_string()),
            _ => None,
        };
    }
}

impl From<Entry<'_>> for LogEntry {
    fn from(entry: Entry<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let mut shown = Self {
            sequence: entry.sequence,
            insert_id: owned(entry.cause.insert_id),
            time_ms: entry.cause.time_ms,
            source: owned(entry.cause.source),
            ..Self::default()
        };
        match entry.what {
            What::Claim { claim, outcome } => {
                shown.claim(claim);
                shown.answer_with(outcome);
            }
            What::Erased { kind, answer } => {
                shown.claim = kind_name(kind);
                shown.answer = Some(answer);
                shown.erased = true;
            }
            What::Replaced => shown.replaced = true,
            What::Retracted {
                retracted,
                detached,
                who,
                why,
            } => {
                let mut sequences = retracted.iter();
                shown.retracted = sequences.next();
                shown.also_retracted = sequences.collect();
                shown.detached = detached.map(|id| id.to_string());
                shown.who = owned(Some(who));
                shown.why = owned(Some(why));
            }
        }
        shown
    }
}

/// The name of a kind of claim.
fn kind_name(kind: ClaimKind) -> Option<&'static str> {
    match kind {
        ClaimKind::Link => Some("link"),
        ClaimKind::Identify => Some("identify"),
        ClaimKind::Alias => Some("alias"),
        ClaimKind::Merge => Some("merge"),
        _ => None,
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}
