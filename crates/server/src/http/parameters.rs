//! Reads the parameters of a query. Its errors name the parameter, its value, and what is accepted.

use std::borrow::Cow;
use std::fmt;

use idmerge_analysis::Filter;
use serde::de::value::CowStrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::http::api_error::ApiError;

/// The most characters of a value that an error repeats.
const MAX_CHARS: usize = 60;

/// The longest `where`. Sessions remember it.
const MAX_FILTER_BYTES: usize = 64 << 10;

/// Reads parameters from the query of a URL, or from the body of a form.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    let pairs = Pairs {
        pairs: form_urlencoded::parse(text.as_bytes()),
        next: None,
    };
    let read = T::deserialize(de::value::MapAccessDeserializer::new(pairs));
    read.map_err(|error| ApiError::bad_request(error.0))
}

/// Reads a JSON array of strings. The text can be empty: then there is none.
pub(crate) fn strings(name: &str, text: Option<&str>) -> Result<Option<Vec<String>>, ApiError> {
    json_array(name, text, r#"a JSON array of strings, such as ["A","B"]"#)
}

/// Reads a JSON array. The text can be empty: then there is none. An error says what is `accepted`.
pub(crate) fn json_array<T: DeserializeOwned>(
    name: &str,
    text: Option<&str>,
    accepted: &str,
) -> Result<Option<Vec<T>>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|_| ApiError::bad_request(format!("{name} is {}; give {accepted}", quoted(text))))
}

/// Reads the parameter `where`. It can be empty: then it selects all.
pub(crate) fn filter(text: Option<&str>) -> Result<Option<Filter>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.len() > MAX_FILTER_BYTES {
        return Err(ApiError::bad_request(format!(
            "where has {} bytes; give at most {MAX_FILTER_BYTES}",
            text.len()
        )));
    }
    Filter::parse(text)
        .map(Some)
        .map_err(|error| ApiError::bad_request(format!("where: {error}")))
}

/// The beginning of a value, escaped.
fn quoted(text: &str) -> String {
    let start: String = text.chars().take(MAX_CHARS).collect();
    let dots = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{dots}")
}

#[derive(Debug)]
struct ParameterError(String);

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParameterError {}

impl de::Error for ParameterError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn missing_field(name: &'static str) -> Self {
        Self(format!("the parameter {name} is missing"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self(format!(
            "the parameter {name} is given more than once; give it once"
        ))
    }
}

/// The parameters that are left to read.
struct Pairs<'t> {
    pairs: form_urlencoded::Parse<'t>,
    next: Option<Parameter<'t>>,
}

struct Parameter<'t> {
    name: Cow<'t, str>,
    value: Cow<'t, str>,
}

impl<'de> de::MapAccess<'de> for Pairs<'de> {
    type Error = ParameterError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ParameterError> {
        let Some((name, value)) = self.pairs.next() else {
            return Ok(None);
        };
        let key: CowStrDeserializer<'_, ParameterError> = name.clone().into_deserializer();
        self.next = Some(Parameter { name, value });
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, ParameterError> {
        let next = self.next.take();
        seed.deserialize(next.ok_or(ParameterError("a value without a name".to_owned()))?)
    }
}

impl Parameter<'_> {
    fn error(&self, accepted: impl fmt::Display) -> ParameterError {
        let Self { name, value } = self;
        ParameterError(format!("{name} is {}; give {accepted}", quoted(value)))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
            match self.value.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(self.error(format_args!(
                    "a whole number from {} to {}",
                    $type::MIN,
                    $type::MAX
                ))),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for Parameter<'de> {
    type Error = ParameterError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        visitor.visit_string(self.value.into_owned())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        match &*self.value {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(self.error("true or false")),
        }
    }

    integers! {
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParameterError> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParameterError> {
        if !names.contains(&&*self.value) {
            return Err(self.error(names.join(" or ")));
        }
        visitor.visit_enum(self.value.into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParameterError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}
