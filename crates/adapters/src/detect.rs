//! Finds out which product wrote some records.

use idmerge_events::visit_pairs;

use crate::format::Format;

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

/// Finds out which product wrote these records, by the names of their fields. Each record is the text of
/// a JSON object; other texts say nothing.
pub fn detect<'r>(records: impl IntoIterator<Item = &'r str>) -> Detected {
    let mut formats = Vec::new();
    for record in records {
        let mut names = Vec::new();
        let is_object = visit_pairs(record, |pair| names.extend(pair.key().string()));
        if is_object.is_none() {
            continue;
        }
        let has = |name: &str| names.iter().any(|other| other == name);
        for format in formats_of(&has) {
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

/// The formats that a record with these fields fits.
fn formats_of(has: &dyn Fn(&str) -> bool) -> Vec<Format> {
    let is_call = has("messageId") && has("type");
    let is_rudderstack = is_of_rudderstack(has);
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

/// Whether a call with these fields is of RudderStack, and not of Segment.
pub(crate) fn is_of_rudderstack(has: &dyn Fn(&str) -> bool) -> bool {
    has("rudderId") || has("request_ip") || has("originalTimestamp") && has("channel")
}
