//! Finds out which product wrote some records.

use std::borrow::Cow;

use idmerge_events::visit_pairs;

use crate::format::Format;
use crate::read::fields::values_of;
use crate::read::value::Value;

/// Which product wrote some records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detected {
    /// One format fits.
    Format(Format),
    /// The records are Mixpanel's events, or no format fits.
    Mixpanel,
    /// Several formats fit: name one of them.
    Several(Vec<Format>),
}

/// Finds out which product wrote these records, by their fields. Each record is the text of a JSON object; other texts
/// say nothing.
pub fn detect<'r>(records: impl IntoIterator<Item = &'r str>) -> Detected {
    let mut formats = Vec::new();
    for record in records {
        let Some(fields) = fields_of(record) else {
            continue;
        };
        for format in formats_of(&fields) {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
    }
    match formats.len() {
        0 => Detected::Mixpanel,
        1 => Detected::Format(formats.remove(0)),
        _ => Detected::Several(formats),
    }
}

/// Whether RudderStack sent a call, the text of a JSON object, and not Segment.
pub fn is_rudderstack_call(record: &str) -> bool {
    fields_of(record).is_some_and(|fields| is_of_rudderstack(&|name| value_of(&fields, name)))
}

type FieldsByName<'r> = Vec<(Cow<'r, str>, Value<'r>)>;

/// The fields of a record; `None` if it is no object.
fn fields_of(record: &str) -> Option<FieldsByName<'_>> {
    let mut fields = Vec::new();
    visit_pairs(record, |pair| {
        let value = Value::Json(pair.value());
        fields.extend(pair.key().string().map(|name| (name, value)));
    })?;
    Some(fields)
}

/// The value of the field with this name: the last one of them (IN-2).
fn value_of<'r>(fields: &FieldsByName<'r>, name: &str) -> Value<'r> {
    let found = fields.iter().rev().find(|(other, _)| other == name);
    found.map_or(Value::Missing, |(_, value)| *value)
}

/// The formats that a record with these fields fits.
fn formats_of(fields: &FieldsByName<'_>) -> Vec<Format> {
    let has = |name: &str| !value_of(fields, name).is_missing();
    let is_call = has("messageId") && has("type");
    let is_rudderstack = is_of_rudderstack(&|name| value_of(fields, name));
    let is_row = has("anonymous_id") && has("received_at") && has("id");
    let fits = |format: &Format| match format {
        Format::Segment => is_call && !is_rudderstack,
        Format::RudderStack => is_call && is_rudderstack || is_row,
        Format::MParticle => has("events") && (has("mpid") || has("user_identities")),
        Format::Amplitude => has("amplitude_id"),
        Format::PostHog => has("event") && has("distinct_id") && has("person_id"),
        Format::Ga4 => has("user_pseudo_id"),
        Format::Snowplow => has("domain_userid") || has("collector_tstamp"),
        Format::Csv => false,
    };
    Format::ALL.iter().copied().filter(fits).collect()
}

/// What Segment writes as the channel. RudderStack writes `web`, `mobile`, `server` and `sources`.
const CHANNELS_OF_SEGMENT: [&str; 2] = ["client", "browser"];

/// Whether a call with these fields is of RudderStack, and not of Segment. Both have `originalTimestamp`, and
/// Segment's storage has a `channel`, too.
pub(crate) fn is_of_rudderstack<'r>(value: &dyn Fn(&str) -> Value<'r>) -> bool {
    let has = |name: &str| !value(name).is_missing();
    let is_number = |value: Value<'_>| {
        value
            .as_str()
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
    };
    let is_of_segment = || {
        let channel = value("channel").text();
        channel.is_some_and(|channel| CHANNELS_OF_SEGMENT.contains(&&*channel))
            || is_metadata_of_browser(value("_metadata"))
            || has("projectId")
            || is_number(value("version"))
    };
    has("rudderId")
        || has("request_ip")
        || has("originalTimestamp") && has("channel") && !is_of_segment()
}

/// Whether it is what analytics.js says about its integrations. SDKs of RudderStack for Node send another `_metadata`.
fn is_metadata_of_browser(metadata: Value<'_>) -> bool {
    let lists = values_of(metadata, ["bundled", "unbundled", "bundledIds"]);
    lists.iter().any(|list| !list.is_missing())
}
