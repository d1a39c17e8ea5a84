//! The value of a property: how it is compared, and what it equals.

mod number;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use idmerge_events::{RawJson, visit_members};
use serde_json::value::RawValue;

pub(crate) use number::Number;

/// The value of a property, as far as values are compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(Number),
    Bool(bool),
    /// An array or an object as JSON in one spelling, or the JSON of a string that is not text.
    Other(String),
}

impl Value {
    /// The value, or `None` if it is `null`, which is the same as missing (F-7).
    pub(crate) fn read(json: RawJson<'_>) -> Option<Self> {
        let text = json.as_str();
        if text.starts_with('"') {
            return Some(match json.string() {
                Some(text) => Self::Text(text.into_owned()),
                None => Self::Other(text.to_owned()),
            });
        }
        (!json.is_null()).then(|| Self::of_text(text, 0))
    }

    /// The elements of an array. Other values have none.
    pub(crate) fn elements(&self) -> Vec<Self> {
        let Self::Other(json) = self else {
            return Vec::new();
        };
        let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        let elements = elements.into_iter();
        elements
            .map(|element| Self::of_text(element.get(), 0))
            .collect()
    }

    /// The value that a JSON text holds, inside this many containers.
    fn of_text(text: &str, depth: usize) -> Self {
        match text {
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ if text.starts_with('"') => match serde_json::from_str(text) {
                Ok(text) => Self::Text(text),
                Err(_) => Self::Other(text.to_owned()),
            },
            _ => match Number::read(text) {
                Some(number) => Self::Number(number),
                None => Self::Other(one_spelling(text, depth)),
            },
        }
    }

    /// The order of two values. `None` if they are of different kinds, or of a kind without an order.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// The value as JSON. Equal values have equal JSON.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Bool(is) => is.to_string(),
            Self::Other(json) => json.clone(),
        }
    }
}

/// The JSON of an array or an object, the same for equal ones. SDKs write the same list with and without spaces.
fn one_spelling(text: &str, depth: usize) -> String {
    // This function calls itself at each level. The limit bounds the stack: deeper values are compared as written.
    const MAX_DEPTH: usize = 64;
    if depth == MAX_DEPTH {
        return text.to_owned();
    }
    let inner = |value: &RawValue| Value::of_text(value.get(), depth + 1).json();
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let elements: Vec<String> = elements.into_iter().map(inner).collect();
        return format!("[{}]", elements.join(","));
    }
    // IN-2: the last of several counts.
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        let member = |(key, value): (String, &RawValue)| {
            format!("{}:{}", serde_json::Value::from(key), inner(value))
        };
        let members: Vec<String> = members.into_iter().map(member).collect();
        return format!("{{{}}}", members.join(","));
    }
    text.to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Value::of_text(&deep, 0).json(), deep);
    }

    #[test]
    fn what_is_equal_has_one_spelling() {
        for (text, spelling) in [
            (r#"[ 1.0, "\u0061", null,true ]"#, r#"[1,"a",null,true]"#),
            (r#"{"b": {}, "a" :[ ], "b":1e400}"#, r#"{"a":[],"b":1e400}"#),
            // Half a surrogate pair is not text, and stays as it is.
            (r#"[ "\ud800" ]"#, r#"["\ud800"]"#),
        ] {
            assert_eq!(Value::of_text(text, 0).json(), spelling);
        }
    }
}
