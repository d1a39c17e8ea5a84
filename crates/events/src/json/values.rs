//! JSON values one after another: a batch of events is one text.

use std::fmt;

use super::raw::RawJson;
use super::scanner::Scanner;

/// Cuts a text into its JSON values: the elements of an array, or values in a row.
///
/// The scan that finds the end of a value also checks it. Values that are events are read in that
/// same scan by [`next_envelope`](Self::next_envelope).
///
/// ```
/// use idmerge_events::Values;
///
/// let mut values = Values::of_array(r#"[{"a":1}, [2,3], "b"]"#).ok_or("not an array")?;
/// assert_eq!(values.next_value()?.map(|value| value.as_str()), Some(r#"{"a":1}"#));
/// assert_eq!(values.next_value()?.map(|value| value.as_str()), Some("[2,3]"));
/// assert_eq!(values.next_value()?.map(|value| value.as_str()), Some(r#""b""#));
/// assert_eq!(values.next_value()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Values<'t> {
    rest: &'t str,
    between: Between,
}

/// The text that may come before the next value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// White space, or nothing.
    Row,
    /// The bracket of an array that is empty.
    FirstElement,
    /// A comma, or the bracket that ends the array.
    Element,
    /// Only white space: the array has ended.
    Ended,
}

/// The text is not JSON. `serde_json` can say what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not JSON")
    }
}

impl std::error::Error for NotJson {}

impl<'t> Values<'t> {
    /// The elements of an array. `None` if the text does not begin with a bracket.
    pub fn of_array(text: &'t str) -> Option<Self> {
        Some(Self {
            rest: after_white_space(text).strip_prefix('[')?,
            between: Between::FirstElement,
        })
    }

    /// The values of a text that holds any number of them, with or without white space between
    /// them.
    pub fn in_row(text: &'t str) -> Self {
        Self {
            rest: text,
            between: Between::Row,
        }
    }

    /// Passes the next value. `None` if there are no more.
    ///
    /// # Errors
    ///
    /// [`NotJson`] if the text is not JSON up to the end of the value, or if there are no more
    /// values and the rest is not JSON. After an error, further calls return nothing meaningful.
    pub fn next_value(&mut self) -> Result<Option<RawJson<'t>>, NotJson> {
        let Some(rest) = self.advance()? else {
            return Ok(None);
        };
        let mut scanner = Scanner::new(rest);
        scanner.value().ok_or(NotJson)?;
        self.pass(scanner.at()).map(Some)
    }

    /// Whether only white space is left.
    pub fn is_at_end(&self) -> bool {
        after_white_space(self.rest).is_empty()
    }

    /// Passes what is before the next value, and returns the text that begins with the value. `None`
    /// if there are no more.
    pub(crate) fn advance(&mut self) -> Result<Option<&'t str>, NotJson> {
        let next = after_white_space(self.rest);
        self.rest = match self.between {
            Between::Row if next.is_empty() => return Ok(None),
            Between::Row => next,
            Between::FirstElement | Between::Element if next.starts_with(']') => {
                self.rest = &next[1..];
                self.between = Between::Ended;
                return self.advance();
            }
            Between::FirstElement => next,
            Between::Element => after_white_space(next.strip_prefix(',').ok_or(NotJson)?),
            Between::Ended if next.is_empty() => return Ok(None),
            Between::Ended => return Err(NotJson),
        };
        Ok(Some(self.rest))
    }

    /// Passes the value that the rest begins with, which has this many bytes.
    pub(crate) fn pass(&mut self, bytes: usize) -> Result<RawJson<'t>, NotJson> {
        let (value, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        match self.between {
            Between::Row if !is_delimited(value, rest) => return Err(NotJson),
            Between::FirstElement => self.between = Between::Element,
            _ => {}
        }
        Ok(RawJson::new(value))
    }
}

/// Whether a value that this text follows has ended. A string, an array or an object ends itself;
/// `1true` is not two values.
fn is_delimited(value: &str, rest: &str) -> bool {
    value.starts_with(['"', '[', '{'])
        || rest.is_empty()
        || rest.starts_with([' ', '\t', '\n', '\r', '"', '[', ']', '{', '}', ',', ':'])
}

fn after_white_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserializer as _;
    use serde::de::{Error, SeqAccess, Visitor};
    use serde_json::value::RawValue;

    use super::*;

    /// The values up to the first error, and whether there is one.
    fn values(mut values: Values<'_>) -> (Vec<&str>, bool) {
        let mut texts = Vec::new();
        loop {
            match values.next_value() {
                Ok(Some(value)) => texts.push(value.as_str()),
                Ok(None) => return (texts, false),
                Err(NotJson) => return (texts, true),
            }
        }
    }

    fn in_row_by_serde(text: &str) -> (Vec<&str>, bool) {
        let values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        let mut texts = Vec::new();
        for value in values {
            match value {
                Ok(value) => texts.push(value.get()),
                Err(_) => return (texts, true),
            }
        }
        (texts, false)
    }

    fn of_array_by_serde(text: &str) -> (Vec<&str>, bool) {
        struct Texts<'a, 't>(&'a mut Vec<&'t str>);

        impl<'t> Visitor<'t> for Texts<'_, 't> {
            type Value = ();

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'t>>(self, mut array: A) -> Result<(), A::Error> {
                while let Some(value) = array.next_element::<&RawValue>()? {
                    self.0.push(value.get());
                }
                Ok(())
            }

            fn visit_unit<E: Error>(self) -> Result<(), E> {
                Err(E::custom("not an array"))
            }
        }

        let mut texts = Vec::new();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let done = deserializer
            .deserialize_seq(Texts(&mut texts))
            .and_then(|()| deserializer.end());
        (texts, done.is_err())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn values_are_cut_as_serde_json_cuts_them(
            pieces in prop::collection::vec(
                prop::sample::select(&[
                    "{", "}", "[", "]", ",", ",", ":", "{}", "[]", "\"a\"", "{\"a\":[1]}", "1", "-",
                    "0", ".5", "true", "null", " ", "\n", "\u{b}", "x",
                ]),
                0..8,
            )
        ) {
            let text = pieces.concat();
            prop_assert_eq!(values(Values::in_row(&text)), in_row_by_serde(&text));
            let array = format!("[{text}");
            prop_assert_eq!(values(Values::of_array(&array).unwrap()), of_array_by_serde(&array));
        }
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = format!("[{}1{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let (texts, is_wrong) = values(Values::of_array(&deep).unwrap());
        assert_eq!((texts.len(), is_wrong), (1, false));
    }
}
