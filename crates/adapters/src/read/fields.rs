//! The fields of a record: those that an adapter reads, and the others.

use std::borrow::Cow;

use idmerge_events::{Pair, RawJson, Values, visit_pairs};

use crate::read::names::FieldNames;
use crate::read::value::Value;
use crate::refusal::Refusal;

/// How many other fields most records have at most.
const USUAL_REST: usize = 32;

/// A field: its name as JSON, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'r> {
    /// As it is in the record.
    Whole(Pair<'r>),
    /// A name, which is a JSON string, and a value that are in different places of the record.
    Parts {
        name: RawJson<'r>,
        value: RawJson<'r>,
    },
}

impl<'r> Member<'r> {
    /// The name, with its quotation marks.
    pub(crate) fn name(&self) -> RawJson<'r> {
        match self {
            Self::Whole(pair) => pair.key(),
            Self::Parts { name, .. } => *name,
        }
    }

    /// The bytes of the name, with its quotation marks.
    #[inline]
    pub(crate) fn name_json(&self) -> &'r [u8] {
        match self {
            Self::Whole(pair) => pair.key_bytes(),
            Self::Parts { name, .. } => name.as_str().as_bytes(),
        }
    }

    pub(crate) fn value(&self) -> Value<'r> {
        Value::Json(match self {
            Self::Whole(pair) => pair.value(),
            Self::Parts { value, .. } => *value,
        })
    }

    /// The text of the name, and the name, a colon and the value, if the record has them so and without escapes
    /// in the name. Most members are so.
    #[inline]
    pub(crate) fn usual(&self) -> Option<(&'r [u8], &'r str)> {
        match self {
            Self::Whole(pair) => pair.plain_key().zip(pair.compact()),
            Self::Parts { .. } => None,
        }
    }

    /// The text of the name. `None` if its escapes are no text.
    #[inline]
    pub(crate) fn name_text(&self) -> Option<Cow<'r, [u8]>> {
        if let Self::Whole(pair) = self
            && let Some(name) = pair.plain_key()
        {
            return Some(Cow::Borrowed(name));
        }
        Some(match self.name().string()? {
            Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
            Cow::Owned(name) => Cow::Owned(name.into_bytes()),
        })
    }

    /// Whether this is the text of the name.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        self.name_text().as_deref() == Some(text.as_bytes())
    }

    /// The name, a colon and the value, if the record has them so.
    #[inline]
    pub(crate) fn compact(&self) -> Option<&'r str> {
        match self {
            Self::Whole(pair) => pair.compact(),
            Self::Parts { .. } => None,
        }
    }
}

/// The fields of an object. `values` has those that were looked for, in that order, and `rest` the
/// others.
#[derive(Debug)]
pub(crate) struct Fields<'r, const N: usize> {
    pub(crate) values: [Value<'r>; N],
    pub(crate) rest: Vec<Member<'r>>,
}

impl<'r, const N: usize> Fields<'r, N> {
    /// Reads an object. `None` if the text is not one.
    pub(crate) fn of_object(text: &'r str, names: &FieldNames<N>) -> Option<Self> {
        let mut rest = Vec::new();
        let values = read(
            text,
            |name| names.find(name),
            |pair| {
                if rest.is_empty() {
                    rest.reserve(USUAL_REST);
                }
                rest.push(Member::Whole(pair));
            },
        )?;
        Some(Self { values, rest })
    }

    /// Reads a record, which must be an object.
    pub(crate) fn of_record(text: &'r str, names: &FieldNames<N>) -> Result<Self, Refusal> {
        Self::of_object(text, names).ok_or_else(|| Refusal::not_a_record(text))
    }

    /// Reads the object that a field has. Anything else has no fields.
    pub(crate) fn of_value(value: Value<'r>, names: &FieldNames<N>) -> Self {
        let fields = match value {
            Value::Json(json) => Self::of_object(json.as_str(), names),
            Value::Missing => None,
        };
        fields.unwrap_or_else(|| Self {
            values: [Value::Missing; N],
            rest: Vec::new(),
        })
    }
}

/// The fields with these names of the object that a field has. Anything else has no fields.
pub(crate) fn values_of<'r, const N: usize>(value: Value<'r>, names: [&str; N]) -> [Value<'r>; N] {
    let find = |name: &[u8]| {
        let mut names = names.iter();
        names.position(|looked_for| looked_for.as_bytes() == name)
    };
    let values = match value {
        Value::Json(json) => read(json.as_str(), find, |_| ()),
        Value::Missing => None,
    };
    values.unwrap_or([Value::Missing; N])
}

#[inline(always)]
fn read<'r, const N: usize>(
    text: &'r str,
    find: impl Fn(&[u8]) -> Option<usize>,
    mut other: impl FnMut(Pair<'r>),
) -> Option<[Value<'r>; N]> {
    let mut values = [Value::Missing; N];
    visit_pairs(text, |pair| {
        let index = match pair.plain_key() {
            Some(name) => find(name),
            None => pair.key().string().and_then(|name| find(name.as_bytes())),
        };
        match index {
            // IN-2: the last one counts.
            Some(index) => values[index] = Value::Json(pair.value()),
            None => other(pair),
        }
    })?;
    Some(values)
}

/// An object or an array that a field has: as JSON, or as text that has the JSON.
pub(crate) enum ObjectText<'r> {
    Json(Value<'r>),
    Text(Cow<'r, str>),
}

impl<'r> ObjectText<'r> {
    pub(crate) fn of(value: Value<'r>) -> Self {
        match value {
            Value::Json(json) if json.as_str().starts_with('"') => {
                Self::Text(json.string().unwrap_or_default())
            }
            value => Self::Json(value),
        }
    }

    /// A text that is JSON.
    pub(crate) fn of_json(json: &'r str) -> Self {
        Self::Text(Cow::Borrowed(json))
    }

    /// The value, if the text is JSON.
    pub(crate) fn as_value(&self) -> Value<'_> {
        let text = match self {
            Self::Json(value) => return *value,
            Self::Text(text) => text,
        };
        match Values::in_row(text).next_value() {
            Ok(Some(json)) => Value::Json(json),
            _ => Value::Missing,
        }
    }
}

/// The value of the member with this name. Of several the last one counts (IN-2).
pub(crate) fn find<'r>(members: &[Member<'r>], name: &str) -> Value<'r> {
    let mut members = members.iter().rev();
    let found = members.find(|member| member.is_named(name));
    found.map_or(Value::Missing, Member::value)
}

/// All members of the object that a field has.
pub(crate) fn members(value: Value<'_>) -> Vec<Member<'_>> {
    Fields::of_value(value, &const { FieldNames::new([]) }).rest
}
