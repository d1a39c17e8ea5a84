//! The value of a property: how it is compared, and what it equals.

use std::cmp::Ordering;

use idmerge_events::{RawJson, visit_members};

/// The value of a property, as far as values are compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    /// A number that `i128` does not hold.
    Float(f64),
    /// An integer, also if it is written as `2.0`: as floating-point numbers, two large IDs could be equal.
    Integer(i128),
    Bool(bool),
    /// The JSON text of an array, an object, or a string that is not text.
    Other(String),
}

impl Value {
    /// The value, or `None` if it is `null`, which is the same as missing (F-7).
    pub(crate) fn read(json: RawJson<'_>) -> Option<Self> {
        let text = json.as_str();
        Some(match text {
            "null" => return None,
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ if text.starts_with('"') => match json.string() {
                Some(text) => Self::Text(text.into_owned()),
                None => Self::Other(text.to_owned()),
            },
            _ => Self::number(text).unwrap_or_else(|| Self::Other(text.to_owned())),
        })
    }

    /// The value of an element of an array.
    pub(crate) fn of(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Bool(is) => Self::Bool(*is),
            other => {
                let text = other.to_string();
                Self::number(&text).unwrap_or(Self::Other(text))
            }
        }
    }

    /// The value of a JSON number.
    pub(crate) fn number(text: &str) -> Option<Self> {
        // The largest integers that all floating-point numbers below are exact for.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        // Rust also parses words such as `inf`, and a number that begins with `+`.
        if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return None;
        }
        if let Ok(integer) = text.parse() {
            return Some(Self::Integer(integer));
        }
        let float: f64 = text.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is a whole number in the range"
        )]
        Some(if float.fract() == 0.0 && float.abs() <= EXACT {
            Self::Integer(float as i128)
        } else {
            Self::Float(float)
        })
    }

    /// The order of two values. `None` if they are of different kinds, or of a kind without an order.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            #[expect(clippy::cast_precision_loss, reason = "the other number is no integer")]
            (Self::Integer(a), Self::Float(b)) => (*a as f64).partial_cmp(b),
            #[expect(clippy::cast_precision_loss, reason = "the other number is no integer")]
            (Self::Float(a), Self::Integer(b)) => a.partial_cmp(&(*b as f64)),
            _ => None,
        }
    }

    /// The value as JSON. Equal values have equal JSON.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Float(float) => serde_json::Value::from(*float).to_string(),
            Self::Integer(integer) => integer.to_string(),
            Self::Bool(is) => is.to_string(),
            Self::Other(json) => json.clone(),
        }
    }
}

/// The names of the properties that are read, each once and in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Names(Vec<String>);

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }
}

impl Names {
    /// The place of a name. An expression can have thousands.
    fn place(&self, name: &[u8]) -> Option<usize> {
        let found = self.0.binary_search_by(|other| other.as_bytes().cmp(name));
        found.ok()
    }
}

/// The values of some properties of an event.
pub(crate) struct Values<'n> {
    names: &'n Names,
    values: Vec<Option<Value>>,
}

impl<'n> Values<'n> {
    /// Reads the properties with these names in one pass over the JSON object that has them.
    pub(crate) fn read(properties: &str, names: &'n Names) -> Self {
        let mut values = vec![None; names.0.len()];
        if !names.0.is_empty() {
            // IN-2: the last of several counts.
            visit_members(properties, |key, value| {
                if let Some(at) = names.place(key) {
                    values[at] = Value::read(value);
                }
            });
        }
        Self { names, values }
    }

    /// The value of a property; `None` if the event does not have it.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        let at = self.names.place(name.as_bytes())?;
        self.values[at].as_ref()
    }
}

/// A value as text to read: a string without its quotation marks, and any other value as JSON.
pub(crate) fn text_of(json: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(serde_json::Value::String(text)) => text,
        _ => json.to_owned(),
    }
}
