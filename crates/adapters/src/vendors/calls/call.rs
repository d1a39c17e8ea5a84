//! A call of Segment or RudderStack, and its kind.

use std::borrow::Cow;

use crate::read::fields::{Fields, NO_NAMES};
use crate::read::names::FieldNames;
use crate::read::record::Record;
use crate::read::rest::Rest;
use crate::read::time::first_time;
use crate::read::value::Value;
use crate::refusal::Refusal;

/// The fields of a call that are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call<'r> {
    pub(crate) kind: Value<'r>,
    pub(crate) event: Value<'r>,
    pub(crate) user: Value<'r>,
    pub(crate) device: Value<'r>,
    pub(crate) previous: Value<'r>,
    pub(crate) group: Value<'r>,
    pub(crate) message_id: Value<'r>,
    pub(crate) timestamp: Value<'r>,
    pub(crate) original_timestamp: Value<'r>,
    pub(crate) sent_at: Value<'r>,
    pub(crate) received_at: Value<'r>,
    pub(crate) name: Value<'r>,
    pub(crate) category: Value<'r>,
    pub(crate) properties: Value<'r>,
    pub(crate) traits: Value<'r>,
    pub(crate) context: Value<'r>,
    pub(crate) batch: Value<'r>,
    pub(crate) rest: Rest<'r>,
    /// The members of `properties`.
    pub(crate) property_members: Rest<'r>,
}

/// What the calls of a batch take over from it, if they have none of their own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inherited<'r> {
    pub(crate) sent_at: Value<'r>,
    pub(crate) context: Value<'r>,
    pub(crate) received_at: Value<'r>,
}

impl<'r> Inherited<'r> {
    pub(crate) fn add_to(self, call: &mut Call<'r>) {
        call.sent_at = call.sent_at.or(self.sent_at);
        call.context = call.context.or(self.context);
        call.received_at = call.received_at.or(self.received_at);
    }
}

static NAMES: FieldNames<'static, 17> = FieldNames::new([
    "type",
    "event",
    "userId",
    "anonymousId",
    "previousId",
    "groupId",
    "messageId",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "receivedAt",
    "name",
    "category",
    "properties",
    "traits",
    "context",
    "batch",
]);

/// The place of `properties` among the names.
const PROPERTIES_AT: usize = 13;

impl<'r> Call<'r> {
    pub(crate) fn of_object(record: Record<'r>) -> Option<Self> {
        let (Fields { values, rest }, inner) =
            Fields::of_object_and_inner(record, &NAMES, PROPERTIES_AT, &NO_NAMES)?;
        let [
            kind,
            event,
            user,
            device,
            previous,
            group,
            message_id,
            timestamp,
            original_timestamp,
            sent_at,
            received_at,
            name,
            category,
            properties,
            traits,
            context,
            batch,
        ] = values;
        Some(Self {
            kind,
            event,
            user,
            device,
            previous,
            group,
            message_id,
            timestamp,
            original_timestamp,
            sent_at,
            received_at,
            name,
            category,
            properties,
            traits,
            context,
            batch,
            rest,
            property_members: inner.rest,
        })
    }

    /// When it happened, by the first of three fields that the record has.
    pub(crate) fn time_ms(&self) -> Result<Option<i64>, Refusal> {
        first_time(&[
            ("timestamp", self.timestamp),
            ("originalTimestamp", self.original_timestamp),
            ("receivedAt", self.received_at),
        ])
    }

    /// The name of the event of a `track` call.
    pub(crate) fn event_name(&self) -> Result<Cow<'r, str>, Refusal> {
        let name = self.event.text();
        name.ok_or_else(|| Refusal::missing("event", "a track call needs the name of its event"))
    }
}

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Track,
    Page,
    Screen,
    Identify,
    Group,
    Alias,
    /// A kind that gives no event.
    Other(&'static str),
}

impl Kind {
    pub(crate) fn of(call: &Call<'_>) -> Result<Self, Refusal> {
        let Some(kind) = call.kind.text() else {
            let why = "it says what the call is, such as \"track\"";
            return Err(Refusal::missing("type", why));
        };
        Ok(match &*kind {
            "track" => Self::Track,
            "page" => Self::Page,
            "screen" => Self::Screen,
            "identify" => Self::Identify,
            "group" => Self::Group,
            "alias" => Self::Alias,
            "delete" => Self::Other("delete"),
            _ => Self::Other("other"),
        })
    }
}
