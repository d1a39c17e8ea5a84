//! The records of a request, and the answers to them.

use std::borrow::Cow;
use std::ops::Range;

use idmerge_core::{Event, InvalidEvent};
use idmerge_events::{EventLayout, MalformedEvent};
use idmerge_profiles::UpdateError;
use thiserror::Error;

/// The records of one request, with their text.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The text that contains all records.
    pub text: String,
    /// The records in the order of the request: the range of each one's JSON in `text`, and its
    /// kind.
    pub records: Vec<(Range<usize>, Record)>,
    /// When the request arrived, in milliseconds since 1970.
    pub received_ms: i64,
    /// The endpoint that received the request, such as `/track`, or
    /// [`TOKEN_IMPORT`](Self::TOKEN_IMPORT) or [`TOKEN_CALLS`](Self::TOKEN_CALLS).
    pub source: &'static str,
    /// The order in which the events are stored and their claims are weighed.
    pub order: EventOrder,
}

impl Batch {
    /// The source of a batch that was imported with the token alone, in a project whose token may
    /// not merge.
    pub const TOKEN_IMPORT: &'static str = "/import (token)";

    /// The same for a batch of calls in the HTTP API of Segment or RudderStack.
    pub const TOKEN_CALLS: &'static str = "/v1/batch (token)";

    /// A batch without records, whose events are taken in the order sent.
    pub fn new(source: &'static str, received_ms: i64) -> Self {
        Self {
            source,
            received_ms,
            ..Self::default()
        }
    }

    /// Adds a record and its text.
    pub fn push(&mut self, json: &str, record: Record) {
        let start = self.text.len();
        self.text.push_str(json);
        self.records.push((start..self.text.len(), record));
    }
}

/// The end of the stored source of an event whose claim must not be weighed (AR-4).
const UNWEIGHED: &str = " (unweighed)";

/// The source that is stored with an event.
pub(crate) fn stored_source(source: &'static str, is_unweighed: bool) -> Cow<'static, str> {
    match is_unweighed {
        true => format!("{source}{UNWEIGHED}").into(),
        false => source.into(),
    }
}

/// The endpoint of a [`source`](Batch::source), or of the source that is stored with an event.
pub(crate) fn endpoint_of(source: &str) -> &str {
    match source.strip_suffix(UNWEIGHED).unwrap_or(source) {
        Batch::TOKEN_IMPORT => "/import",
        Batch::TOKEN_CALLS => "/v1/batch",
        endpoint => endpoint,
    }
}

/// Whether the claim of an event was weighed, by the source that is stored with it.
pub(crate) fn is_weighed(name: &str, source: &str) -> bool {
    // Earlier versions stored the source alone, and weighed every event but these.
    let is_merge_of_anybody =
        name == Event::MERGE && matches!(source, "/track" | Batch::TOKEN_IMPORT);
    !is_merge_of_anybody && !source.ends_with(UNWEIGHED)
}

/// The order in which the events of a batch are stored and their claims are weighed (AR-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventOrder {
    /// The order of the batch. The state is then the same however the events are split into batches
    /// (law 1).
    #[default]
    AsSent,
    /// By time. Events with the same time are taken in the order of the batch. For SDKs that do not
    /// keep the order of calls that are made at about the same time, such as those of browsers.
    ByTime,
}

/// The kind of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An event: a JSON object with `event` and `properties`.
    Event {
        /// When the event happened, in milliseconds since 1970. `None` means: when the request
        /// arrived.
        time_ms: Option<i64>,
        /// Distinguishes the event from others with the same name, time and ID: `$insert_id`.
        insert_id: Option<Box<str>>,
        /// The sender.
        sender: Sender,
        /// What a scan of the JSON found, if the caller has scanned it: the project then does not
        /// scan it again. It must be the scan of this JSON, without white space around it.
        layout: Option<Box<EventLayout>>,
    },
    /// An update of a user's or a group's profile, as sent to `/engage` or `/groups`.
    Update,
}

/// The sender of an event, from the least known to the best known.
///
/// The claim of a `$merge` from [`Anybody`](Self::Anybody) is not applied, and that of a `$create_alias` from
/// anyone but [`Credential`](Self::Credential) only if
/// [`anybody_may_alias`](crate::Options::anybody_may_alias). If two events are the
/// same but for their content, that of the sender who is known better counts (AR-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// Anybody: a request without a credential.
    #[default]
    Anybody,
    /// Anybody who has the token, in a project whose token may merge. A `$merge` is applied; every
    /// other event is as one of [`Anybody`](Self::Anybody).
    TokenOnly,
    /// The holder of a credential, such as the secret of the project.
    Credential,
}

impl Record {
    /// An event that anybody may have sent, and which the project scans.
    pub fn event(time_ms: Option<i64>, insert_id: Option<&str>) -> Self {
        Self::Event {
            time_ms,
            insert_id: insert_id.map(Box::from),
            sender: Sender::Anybody,
            layout: None,
        }
    }
}

/// The answer to a batch. The batch is durable: a crash does not lose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer to each record, in the order of the batch.
    pub records: Vec<RecordAnswer>,
    /// The number of the last entry of the log of claims after this commit; 0 if the log is empty.
    /// [`Project::changes`](crate::Project::changes) takes this number.
    pub sequence: u64,
}

/// The answer to one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordAnswer {
    /// The event is stored, or the update is carried out. For an event, the outcome of its claim. The
    /// event may be in the place of one that came without a credential (AR-2).
    Stored(ClaimAnswer),
    /// The event was stored before.
    Repeated,
    /// The record cannot be used, and nothing of it is stored.
    Refused(Box<RecordError>),
}

impl RecordAnswer {
    /// Whether the record is stored, by this batch or an earlier one.
    pub fn is_stored(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// The outcome of an event's claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// The event makes no claim, or the same claim as the event that it replaces, which was weighed
    /// when that event came.
    None,
    /// The claim joined two IDs.
    Merged,
    /// The two IDs were joined before.
    AlreadyMerged,
    /// The claim of a `$merge` or a `$create_alias` was not applied, since its sender may not make it.
    NotAllowed,
    /// A guardrail rejected the claim. This is the vendor's code.
    Rejected(&'static str),
}

/// Why a record cannot be used. Report it to the sender.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A property that must hold an ID does not (ID-7).
    #[error(transparent)]
    Id(#[from] InvalidEvent),
    /// The record is not an event.
    #[error("{text}")]
    Malformed {
        /// What is wrong with the record.
        text: String,
        /// The rule that refuses it.
        rule: &'static str,
    },
    /// The record names an ID that was erased, and is refused for ever or until the date that the erasure gave (E-2).
    #[error("the record names an ID that was erased from this project, and is refused (E-2)")]
    Erased,
    /// The profile update cannot be carried out.
    #[error(transparent)]
    Update(#[from] UpdateError),
}

impl RecordError {
    pub(crate) fn malformed(text: &str, rule: &'static str) -> Self {
        Self::Malformed {
            text: format!("{text} ({rule})"),
            rule,
        }
    }

    /// The property that is invalid, if the error is about one.
    pub fn property(&self) -> Option<&'static str> {
        match self {
            Self::Id(invalid) => Some(invalid.property().key()),
            Self::Update(UpdateError::NoTarget { property }) => Some(property),
            Self::Update(
                UpdateError::WrongType { operation, .. }
                | UpdateError::WrongValue { operation, .. },
            ) => Some(operation),
            _ => None,
        }
    }

    /// The rule that refuses the record, such as `ID-4`; empty if no numbered rule does.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Id(invalid) => invalid.rule(),
            Self::Malformed { rule, .. } => rule,
            Self::Erased => "erased",
            Self::Update(_) => "",
        }
    }
}

impl From<MalformedEvent> for RecordError {
    fn from(error: MalformedEvent) -> Self {
        Self::Malformed {
            rule: error.rule(),
            text: error.to_string(),
        }
    }
}
