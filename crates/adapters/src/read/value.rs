//! [`Value`]: the value of a field.

use std::borrow::Cow;

use idmerge_events::{RawJson, Values};

/// The value of a field of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Value<'r> {
    /// The record does not have the field.
    #[default]
    Missing,
    Json(RawJson<'r>),
}

impl<'r> Value<'r> {
    #[inline]
    pub(crate) fn is_missing(self) -> bool {
        matches!(self, Self::Missing)
    }

    /// Whether the field is missing, `null` or empty: these are the same.
    pub(crate) fn is_absent(self) -> bool {
        match self {
            Self::Missing => true,
            Self::Json(json) => matches!(json.as_str(), "null" | "\"\""),
        }
    }

    /// This value, or the other one if this one is absent.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.is_absent() { other } else { self }
    }

    /// The text of a string that is not empty, or the digits of a number.
    pub(crate) fn text(self) -> Option<Cow<'r, str>> {
        match self {
            Self::Missing => None,
            Self::Json(json) => json.string_or_number(),
        }
    }

    /// The text of a string, or of an integer that can be an ID (ID-3).
    pub(crate) fn id_text(self) -> Option<Cow<'r, str>> {
        match self {
            Self::Missing => None,
            Self::Json(json) => json.string().or_else(|| json.integer().map(Cow::Borrowed)),
        }
    }

    /// The JSON; `null` if the field is missing.
    pub(crate) fn as_str(self) -> &'r str {
        match self {
            Self::Missing => "null",
            Self::Json(json) => json.as_str(),
        }
    }

    /// The elements, if it is an array.
    pub(crate) fn elements(self) -> Option<Values<'r>> {
        match self {
            Self::Json(json) => Values::of_array(json.as_str()),
            Self::Missing => None,
        }
    }
}
