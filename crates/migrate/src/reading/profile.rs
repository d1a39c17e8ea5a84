//! Rule M-16: a line of an export of profiles.

use std::borrow::Cow;

use idmerge_events::{RawJson, visit_members};

/// A line of an export of profiles.
pub(crate) struct Profile<'l> {
    pub(crate) distinct_id: Cow<'l, str>,
    pub(crate) properties: RawJson<'l>,
}

impl<'l> Profile<'l> {
    /// `None` if the line is not a profile: an object with `$distinct_id` and `$properties` or `$set`.
    pub(crate) fn read(line: &'l str) -> Option<Self> {
        let (mut distinct_id, mut properties) = (None, None);
        visit_members(line.trim(), |key, value| match key {
            b"$distinct_id" | b"distinct_id" => distinct_id = value.string_or_number(),
            b"$properties" | b"properties" | b"$set" => properties = Some(value),
            _ => {}
        })?;
        let properties: RawJson<'_> = properties?;
        properties.as_str().starts_with('{').then_some(())?;
        Some(Self {
            distinct_id: distinct_id?,
            properties,
        })
    }
}
