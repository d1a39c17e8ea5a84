//! What is no event.

use thiserror::Error;

/// A line that is no event at all (rule IN-1). What to do: hand it back to whoever sent it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MalformedEvent {
    /// The line is not UTF-8.
    #[error("not UTF-8 from byte {valid_bytes} on (IN-1)")]
    NotUtf8 {
        /// How many bytes before it are.
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
    #[error("\"event\" is {}, not a string (IN-1)", or_missing(.json))]
    NoName {
        /// The JSON text of `event`, quoted and shortened, if it is there.
        json: Option<String>,
    },
    /// The object has no `properties`, or they are not an object.
    #[error("\"properties\" is {}, not an object (IN-1)", or_missing(.json))]
    NoProperties {
        /// The name of the event.
        name: String,
        /// The JSON text of `properties`, quoted and shortened, if it is there.
        json: Option<String>,
    },
}

impl MalformedEvent {
    /// The rule that refuses the line.
    pub fn rule(&self) -> &'static str {
        "IN-1"
    }
}

/// The error without the number of the line, of which there is one; whoever has several counts
/// them otherwise.
fn in_one_line(error: &serde_json::Error) -> String {
    error
        .to_string()
        .replace(" at line 1 column ", " at column ")
}

fn or_missing(json: &Option<String>) -> &str {
    json.as_deref().unwrap_or("missing")
}
