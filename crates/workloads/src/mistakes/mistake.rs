//! A mistake that was planted.

use std::io;

use serde::{Deserialize, Serialize};

/// One mistake that was planted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mistake {
    /// What is wrong, such as `missing-reset`.
    pub mistake: String,
    /// The ID that shows it, without `$device:`; if there are several, each of them does. For events without an
    /// ID it is the name of the event, and for values that are no IDs the value.
    pub ids: Vec<String>,
    /// The models in which it does harm.
    pub models: Vec<String>,
}

impl Mistake {
    /// Writes the mistake as one line of JSON: `{"mistake":"…","ids":["…"],"models":["…"]}`.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    pub fn write(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        serde_json::to_writer(&mut *sink, self)?;
        sink.write_all(b"\n")
    }
}
