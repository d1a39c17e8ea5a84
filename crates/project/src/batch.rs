//! What is handed in, and what is answered.

use std::ops::Range;

use idmerge_core::InvalidEvent;
use idmerge_events::MalformedEvent;
use idmerge_profiles::UpdateError;
use thiserror::Error;

/// The records of one request, with their text.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The text that the records are parts of.
    pub text: String,
    /// The records, in the order in which they came: where the JSON text of each stands in `text`,
    /// and what it is.
    pub records: Vec<(Range<usize>, Record)>,
    /// When the request came, in milliseconds since 1970.
    pub received_ms: i64,
    /// Where it came in, such as `/track`.
    pub source: &'static str,
}

impl Batch {
    /// A batch without records.
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

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An event: a JSON object with `event` and `properties`.
    Event {
        /// When it happened, in milliseconds since 1970, where it says so. An event that does not
        /// happened when the request came.
        time_ms: Option<i64>,
        /// What tells it from every other event of its name, time and ID: `$insert_id`.
        insert_id: Option<Box<str>>,
        /// Whether a `$merge` is weighed. Without it the event is kept and claims nothing.
        may_merge: bool,
    },
    /// An update of a profile, of a user or of a group, as it is sent to `/engage` or `/groups`.
    Update,
}

impl Record {
    /// An event whose sender may not merge.
    pub fn event(time_ms: Option<i64>, insert_id: Option<&str>) -> Self {
        Self::Event {
            time_ms,
            insert_id: insert_id.map(Box::from),
            may_merge: false,
        }
    }
}

/// What became of a batch. It is safe: no crash takes it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of each record, in the order of the batch.
    pub records: Vec<RecordAnswer>,
    /// The number of the last entry of the log of claims in this commit; 0 where there is none. What
    /// [`Project::changes`](crate::Project::changes) goes by.
    pub sequence: u64,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordAnswer {
    /// It is kept, or the update was carried out; for an event with what became of its claim.
    Stored(ClaimAnswer),
    /// The event was there already.
    Repeated,
    /// It cannot be used. Nothing of it is kept.
    Refused(Box<RecordError>),
}

impl RecordAnswer {
    /// Whether the record is kept, now or since it came before.
    pub fn is_stored(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// What became of the claim of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// It makes none.
    None,
    /// Two IDs were joined.
    Merged,
    /// They were joined before.
    AlreadyMerged,
    /// A `$merge` whose sender may not merge: it was not weighed.
    NotAllowed,
    /// A guardrail turned it down, with this code of the vendor's.
    Rejected(&'static str),
}

/// Why a record cannot be used. What to do: hand it back to whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A property of the event holds no ID that its rule could go by (ID-7).
    #[error(transparent)]
    Id(#[from] InvalidEvent),
    /// The record is no event.
    #[error("{text}")]
    Malformed {
        /// What it is instead.
        text: String,
        /// The rule that refuses it.
        rule: &'static str,
    },
    /// An update of a profile cannot be carried out.
    #[error(transparent)]
    Update(#[from] UpdateError),
}

impl RecordError {
    /// The property that is to blame, where it is one.
    pub fn property(&self) -> Option<&'static str> {
        match self {
            Self::Id(refused) => Some(refused.property().key()),
            Self::Update(UpdateError::NoTarget { property }) => Some(property),
            Self::Update(
                UpdateError::WrongType { operation, .. }
                | UpdateError::WrongValue { operation, .. },
            ) => Some(operation),
            _ => None,
        }
    }

    /// The rule that refuses it, such as `ID-4`; empty where it is not one of the numbered ones.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Id(refused) => refused.rule(),
            Self::Malformed { rule, .. } => rule,
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
