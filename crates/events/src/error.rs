//! Why a line is not an event.

use thiserror::Error;

/// Why a line is not an event (rule IN-1). Return the line to its sender.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MalformedEvent {
    /// The line is not UTF-8.
    #[error("not UTF-8 from byte {valid_bytes} on; save or send the text as UTF-8 (IN-1)")]
    NotUtf8 {
        /// How many bytes before that are UTF-8.
        valid_bytes: usize,
    },
    /// The line is not JSON.
    #[error("not JSON: {} (IN-1)", in_one_line(.0))]
    NotJson(#[source] serde_json::Error),
    /// The line is JSON, but not an object.
    #[error("{json} is not a JSON object with \"event\" and \"properties\" (IN-1)")]
    NotAnObject {
        /// The JSON text, quoted and shortened.
        json: String,
    },
    /// The object has no `event`, or it is not a string.
    #[error("\"event\" must be a string, but is {} (IN-1)", or_missing(.json))]
    NoName {
        /// The JSON text of `event`, quoted and shortened. `None` if the key is missing.
        json: Option<String>,
    },
    /// The object has no `properties`, or they are not an object.
    #[error("\"properties\" must be an object, but is {} (IN-1)", or_missing(.json))]
    NoProperties {
        /// The name of the event.
        name: String,
        /// The JSON text of `properties`, quoted and shortened. `None` if the key is missing.
        json: Option<String>,
    },
}

impl MalformedEvent {
    /// The number of the rule that refuses the line.
    pub fn rule(&self) -> &'static str {
        "IN-1"
    }
}

/// The error without its line number, which is always 1: the caller counts the lines of the input.
fn in_one_line(error: &serde_json::Error) -> String {
    error
        .to_string()
        .replace(" at line 1 column ", " at column ")
}

fn or_missing(json: &Option<String>) -> &str {
    json.as_deref().unwrap_or("missing")
}
