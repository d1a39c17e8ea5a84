//! Reads the conditions of a step.

use thiserror::Error;

use super::{Condition, Test};
use crate::operator::Operator;
use crate::value::{Number, Value};

/// Why a text in brackets is not a list of conditions.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotConditions(String);

/// The name and the conditions of a text that ends with conditions in brackets. `None` if it does not end with
/// brackets. A text can have several opening brackets; the first one that fits counts.
pub(super) fn conditions(text: &str) -> Result<Option<(&str, Vec<Condition>)>, NotConditions> {
    let Some(inner) = text.strip_suffix(']') else {
        return Ok(None);
    };
    let mut first_error = None;
    for (bracket, _) in inner.match_indices('[') {
        match list(&inner[bracket + 1..]) {
            Ok(conditions) => return Ok(Some((inner[..bracket].trim_end(), conditions))),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(None), Err)
}

fn list(text: &str) -> Result<Vec<Condition>, NotConditions> {
    let mut reader = Reader { rest: text };
    let mut conditions = vec![reader.condition()?];
    while reader.pass(",") {
        conditions.push(reader.condition()?);
    }
    match reader.rest.trim_start() {
        "" => Ok(conditions),
        rest => Err(NotConditions(format!("{rest:?} follows a condition"))),
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// Passes white space and a text, if it is next.
    fn pass(&mut self, text: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Passes a number of bytes.
    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn condition(&mut self) -> Result<Condition, NotConditions> {
        let property = self.property()?;
        if property.is_empty() {
            let rest = self.rest.trim();
            return Err(NotConditions(format!(
                "there is no property before {rest:?}"
            )));
        }
        let test = if self.pass("exists") {
            Test::Exists
        } else if self.pass("in") {
            Test::In(self.values()?)
        } else {
            let operator = Operator::TEXTS.iter().find(|(text, _)| self.pass(text));
            let Some((_, operator)) = operator else {
                let rest = self.rest.trim();
                return Err(NotConditions(format!(
                    "{rest:?} does not begin with ==, !=, <, <=, >, >=, in or exists"
                )));
            };
            Test::Is(*operator, self.value()?)
        };
        Ok(Condition { property, test })
    }

    /// The name of a property: a string of JSON, or all up to the operator, spaces included.
    fn property(&mut self) -> Result<String, NotConditions> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('"') {
            return self.string();
        }
        let end = self.rest.find(['=', '!', '<', '>', ',', '[']);
        let before = &self.rest[..end.unwrap_or(self.rest.len())];
        let word = match self.rest[before.len()..].starts_with('[') {
            true => " in",
            false => " exists",
        };
        let name = match before.trim_end().strip_suffix(word) {
            Some(name) if end.is_none_or(|end| ",[".contains(&self.rest[end..=end])) => name,
            _ => before,
        };
        Ok(self.take(name.len()).trim_end().to_owned())
    }

    /// Values in brackets.
    fn values(&mut self) -> Result<Vec<Value>, NotConditions> {
        if !self.pass("[") {
            let rest = self.rest.trim();
            return Err(NotConditions(format!(
                "{rest:?} does not begin with a list in brackets"
            )));
        }
        let mut values = Vec::new();
        if self.pass("]") {
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            if self.pass("]") {
                return Ok(values);
            }
            if !self.pass(",") {
                return Err(NotConditions("a list does not end with ]".to_owned()));
            }
        }
    }

    fn value(&mut self) -> Result<Value, NotConditions> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('"') {
            return self.string().map(Value::Text);
        }
        let is_end = |next: char| next.is_whitespace() || matches!(next, ',' | ']');
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let value = match &self.rest[..end] {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            number => Number::read(number).map(Value::Number),
        };
        let Some(value) = value else {
            let rest = self.rest.trim();
            return Err(NotConditions(format!(
                "{rest:?} does not begin with a text in double quotes, a number, true or false"
            )));
        };
        self.take(end);
        Ok(value)
    }

    /// A string of JSON, which is next.
    fn string(&mut self) -> Result<String, NotConditions> {
        let mut is_escaped = true;
        let end = self.rest.bytes().position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            // The opening quote is passed as if it were escaped.
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        });
        let end = end.map_or(self.rest.len(), |end| end + 1);
        let json = self.take(end);
        serde_json::from_str(json)
            .map_err(|error| NotConditions(format!("{json} is not a text: {error}")))
    }
}
