//! [`InvalidEvent`]: bad input, and the reason.

use thiserror::Error;

use crate::IdProperty;

/// An event with an invalid or missing ID in a property that its rule reads (rule ID-7). Nothing
/// of the event was used, and no state has changed.
///
/// A [`Rejection`](crate::Rejection) is something else: the outcome of a well-formed claim that a
/// guardrail turns down.
///
/// What to do: return the event to its sender. The text names the property, the value (shortened),
/// the rule, and what to send in place of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{property} {reason} ({})", self.rule())]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct InvalidEvent {
    property: IdProperty,
    reason: InvalidEventReason,
}

impl InvalidEvent {
    /// An event with an invalid value in `property`.
    pub fn new(property: IdProperty, reason: InvalidEventReason) -> Self {
        Self { property, reason }
    }

    /// The property with the invalid value.
    pub fn property(&self) -> IdProperty {
        self.property
    }

    /// What is wrong with the value.
    pub fn reason(&self) -> &InvalidEventReason {
        &self.reason
    }

    /// The number of the rule that the property breaks, such as `ID-4`.
    pub fn rule(&self) -> &'static str {
        match &self.reason {
            InvalidEventReason::Empty | InvalidEventReason::Length { .. } => "ID-2",
            InvalidEventReason::NotAnId { .. } => "ID-3",
            InvalidEventReason::Blocked { .. } => "ID-4",
            InvalidEventReason::OnlyPrefix => "ID-5",
            InvalidEventReason::DoublePrefix { .. } => "O-1",
            InvalidEventReason::NoIdentifiedId | InvalidEventReason::NoAnonId => "O-3",
            InvalidEventReason::NoDistinctId | InvalidEventReason::NoAlias => "O-4",
            InvalidEventReason::NotTwoIds { .. } => "O-5",
        }
    }
}

/// What is wrong with the value of a property. Values are [shortened](quote) for reading.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub enum InvalidEventReason {
    /// The text that should be an ID is empty (ID-2).
    #[error("is empty; send an ID or leave the property out")]
    Empty,
    /// The ID is too long (ID-2).
    #[error("{value} is too long; send an ID of 1 to {max_id_bytes} bytes")]
    Length {
        /// The value, quoted and shortened.
        value: String,
        /// Its length in bytes.
        id_bytes: usize,
        /// The most bytes that the settings allow.
        max_id_bytes: u16,
    },
    /// The value is a float, a boolean, an array or an object (ID-3).
    #[error("{json} is not an ID; send a string or an integer")]
    NotAnId {
        /// The value in its original spelling, quoted and shortened.
        json: String,
    },
    /// The value is one that code sends by mistake (ID-4).
    #[error("{value} is a blocked value, not an ID; leave the property out until there is an ID")]
    Blocked {
        /// The value, quoted and shortened.
        value: String,
    },
    /// The value is `$device:` and nothing else (ID-5).
    #[error("is \"$device:\" without an ID; send \"$device:\" and then the ID of the device")]
    OnlyPrefix,
    /// The value begins with `$device:` twice (O-1).
    #[error("{value} has the prefix \"$device:\" twice; send it once")]
    DoublePrefix {
        /// The value, quoted and shortened.
        value: String,
    },
    /// `$identify` names no identified ID (O-3).
    #[error("is missing: $identify needs an identified ID in $identified_id or distinct_id")]
    NoIdentifiedId,
    /// `$identify` names no anonymous ID (O-3).
    #[error("is missing: $identify needs an anonymous ID in $anon_id or $anon_distinct_id")]
    NoAnonId,
    /// `$create_alias` names no distinct_id (O-4).
    #[error("is missing: $create_alias needs distinct_id and alias")]
    NoDistinctId,
    /// `$create_alias` names no alias (O-4).
    #[error("is missing: $create_alias needs distinct_id and alias")]
    NoAlias,
    /// `$merge` does not name exactly two IDs (O-5).
    #[error("must be an array of exactly two IDs, not {json}")]
    NotTwoIds {
        /// The value in its original spelling, shortened; `null` if it is missing.
        json: String,
    },
}

/// The most bytes of a value that an error message quotes.
const QUOTED_BYTES: usize = 64;

/// Quotes a value for an error message: control characters are escaped, and a value of more than
/// 64 bytes is shortened, with its length.
///
/// ```
/// use idmerge_core::quote;
///
/// assert_eq!(quote("null"), r#""null""#);
/// assert!(quote(&"a".repeat(300)).ends_with("…\" (300 bytes)"));
/// ```
pub fn quote(text: &str) -> String {
    if text.len() <= QUOTED_BYTES {
        return format!("{text:?}");
    }
    let cut = text.floor_char_boundary(QUOTED_BYTES);
    let mut quoted = format!("{:?}", &text[..cut]);
    quoted.pop(); // the closing quotation mark
    format!("{quoted}…\" ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shortened_at_a_character() {
        assert_eq!(quote(&"a".repeat(64)), format!("\"{}\"", "a".repeat(64)));
        let quoted = quote(&"ü".repeat(100));
        assert_eq!(quoted, format!("\"{}…\" (200 bytes)", "ü".repeat(32)));
        let odd = format!("a{}", "ü".repeat(100));
        assert!(quote(&odd).starts_with(&format!("\"a{}…", "ü".repeat(31))));
    }

    #[test]
    fn id_7_a_refusal_names_property_value_and_rule() {
        let value = || quote("x");
        let all = [
            (InvalidEventReason::Empty, "ID-2"),
            (
                InvalidEventReason::Length {
                    value: value(),
                    id_bytes: 300,
                    max_id_bytes: 255,
                },
                "ID-2",
            ),
            (InvalidEventReason::NotAnId { json: value() }, "ID-3"),
            (InvalidEventReason::Blocked { value: value() }, "ID-4"),
            (InvalidEventReason::OnlyPrefix, "ID-5"),
            (InvalidEventReason::DoublePrefix { value: value() }, "O-1"),
            (InvalidEventReason::NoIdentifiedId, "O-3"),
            (InvalidEventReason::NoAnonId, "O-3"),
            (InvalidEventReason::NoDistinctId, "O-4"),
            (InvalidEventReason::NoAlias, "O-4"),
            (InvalidEventReason::NotTwoIds { json: value() }, "O-5"),
        ];
        for (reason, rule) in all {
            let refused = InvalidEvent::new(IdProperty::AnonId, reason.clone());
            assert_eq!(refused.rule(), rule);
            assert_eq!(refused.property(), IdProperty::AnonId);
            assert_eq!(refused.reason(), &reason);
            let text = refused.to_string();
            assert!(text.starts_with("$anon_id "), "{text}");
            assert!(text.ends_with(&format!("({rule})")), "{text}");
        }
    }
}
