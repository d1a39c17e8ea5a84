//! [`Refusal`]: why a record cannot be turned into events.

use std::fmt;

use idmerge_core::{InvalidEvent, quote};
use idmerge_events::{MalformedEvent, NotJson};

use crate::conflict::UserConflict;
use crate::read::value::Value;

/// Why a record cannot be turned into events. The text names the property and the rule, and says what
/// to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    rule: &'static str,
    text: String,
    conflict: Option<Box<UserConflict>>,
}

impl Refusal {
    /// A record that this rule refuses, with an error that names the rule.
    pub fn with_text(rule: &'static str, text: String) -> Self {
        Self {
            rule,
            text,
            conflict: None,
        }
    }

    pub(crate) fn new(rule: &'static str, text: impl fmt::Display) -> Self {
        Self::with_text(rule, format!("{text} ({rule})"))
    }

    /// The value of a field cannot be used as an ID.
    pub(crate) fn invalid_id(field: &str, error: &InvalidEvent) -> Self {
        Self::new(error.rule(), format_args!("\"{field}\" {}", error.reason()))
    }

    /// A field that a record of this kind needs is missing.
    pub(crate) fn missing(field: &str, why: &str) -> Self {
        Self::new("A-2", format_args!("\"{field}\" is missing: {why}"))
    }

    pub(crate) fn not_a_time(field: &str, value: Value<'_>) -> Self {
        Self::new(
            "A-2",
            format_args!(
                "\"{field}\" is {}, which is not a time; correct it, or leave it out",
                quote(value.as_str())
            ),
        )
    }

    /// Two users are one person, which Simplified cannot say. `fields` are those that name the users.
    pub(crate) fn two_users(fields: [&str; 2], conflict: UserConflict) -> Self {
        let ([first_field, second_field], [first, second]) = (fields, &conflict.users);
        let refusal = Self::new(
            "S-9",
            format_args!(
                "the users {} (\"{first_field}\") and {} (\"{second_field}\") are one person, and two users \
                 cannot be one in Simplified; decide which of them the person is, and send that one from now on",
                quote(first),
                quote(second)
            ),
        );
        Self {
            conflict: Some(Box::new(conflict)),
            ..refusal
        }
    }

    /// Takes the users that the record says are one person, if it is refused for that.
    pub(crate) fn take_conflict(&mut self) -> Option<UserConflict> {
        Some(*self.conflict.take()?)
    }

    pub(crate) fn not_an_object(text: &str) -> Self {
        Self::new(
            "IN-1",
            format_args!(
                "{} is not a JSON object, so it is not a record",
                quote(text)
            ),
        )
    }

    /// The text is not a JSON object.
    pub(crate) fn not_a_record(text: &str) -> Self {
        match text.trim_ascii_start().starts_with('{') {
            true => Self::not_json(text),
            false => Self::not_an_object(text),
        }
    }

    fn not_json(text: &str) -> Self {
        match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Err(error) => MalformedEvent::NotJson(error).into(),
            Ok(_) => Self::new("IN-1", format_args!("not JSON: {NotJson}")),
        }
    }

    /// The same, of a record within a batch.
    pub(crate) fn within(mut self, place: impl fmt::Display) -> Self {
        self.text.insert_str(0, &format!("{place}: "));
        self
    }

    /// The number of the rule that refuses the record.
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

impl From<MalformedEvent> for Refusal {
    fn from(error: MalformedEvent) -> Self {
        Self::with_text(error.rule(), error.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}
