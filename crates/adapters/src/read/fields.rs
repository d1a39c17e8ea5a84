//! The fields of a record: those that an adapter reads, and the others.

use std::borrow::Cow;

use idmerge_events::{RawJson, Values, visit_pairs};

use crate::read::value::Value;
use crate::refusal::Refusal;

/// A field: its name as JSON, and its value.
pub(crate) type Member<'r> = (RawJson<'r>, Value<'r>);

/// The fields of an object. `values` has those that were looked for, in that order, and `rest` the
/// others.
#[derive(Debug)]
pub(crate) struct Fields<'r, const N: usize> {
    pub(crate) values: [Value<'r>; N],
    pub(crate) rest: Vec<Member<'r>>,
}

impl<'r, const N: usize> Fields<'r, N> {
    /// Reads an object. `None` if the text is not one.
    pub(crate) fn of_object(text: &'r str, names: &[&str; N]) -> Option<Self> {
        let mut fields = Self {
            values: [Value::Missing; N],
            rest: Vec::new(),
        };
        visit_pairs(text, |name, value| {
            let value = Value::Json(value);
            let index = match name.string() {
                Some(name) => names.iter().position(|looked_for| *looked_for == name),
                None => None,
            };
            match index {
                // IN-2: the last one counts.
                Some(index) => fields.values[index] = value,
                None => fields.rest.push((name, value)),
            }
        })?;
        Some(fields)
    }

    /// Reads a record, which must be an object.
    pub(crate) fn of_record(text: &'r str, names: &[&str; N]) -> Result<Self, Refusal> {
        Self::of_object(text, names).ok_or_else(|| Refusal::not_a_record(text))
    }

    /// Reads the object that a field has. Anything else has no fields.
    pub(crate) fn of_value(value: Value<'r>, names: &[&str; N]) -> Self {
        let fields = match value {
            Value::Json(json) => Self::of_object(json.as_str(), names),
            _ => None,
        };
        fields.unwrap_or_else(|| Self {
            values: [Value::Missing; N],
            rest: Vec::new(),
        })
    }
}

/// An object or an array that a field has: as JSON, or as text that has the JSON.
pub(crate) struct ObjectText<'r>(Cow<'r, str>);

impl<'r> ObjectText<'r> {
    pub(crate) fn of(value: Value<'r>) -> Self {
        Self(match value {
            Value::Json(json) if json.as_str().starts_with('"') => {
                json.string().unwrap_or_default()
            }
            value => Cow::Borrowed(value.as_str()),
        })
    }

    /// A text that is JSON.
    pub(crate) fn of_json(json: &'r str) -> Self {
        Self(Cow::Borrowed(json))
    }

    /// The value, if the text is JSON.
    pub(crate) fn as_value(&self) -> Value<'_> {
        match Values::in_row(&self.0).next_value() {
            Ok(Some(json)) => Value::Json(json),
            _ => Value::Missing,
        }
    }
}

/// The value of the member with this name. Of several the last one counts (IN-2).
pub(crate) fn find<'r>(members: &[Member<'r>], name: &str) -> Value<'r> {
    let mut members = members.iter().rev();
    let found = members.find(|(other, _)| other.string().as_deref() == Some(name));
    found.map_or(Value::Missing, |(_, value)| *value)
}

/// All members of the object that a field has.
pub(crate) fn members(value: Value<'_>) -> Vec<Member<'_>> {
    Fields::of_value(value, &[]).rest
}
