//! The truth: the people of a stream and their IDs.

use std::io;

use serde::{Deserialize, Serialize};

/// One person, and all distinct_ids that really belong to this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The user ID, or `anonymous-` and a number for a person whose user ID the stream never names.
    #[serde(rename = "person")]
    pub name: String,
    /// Every distinct_id of this person in the stream, as the SDK spells it. No ID is listed twice,
    /// and no ID belongs to two people of one stream.
    pub ids: Vec<String>,
}

impl Person {
    /// Writes the person as one line of JSON: `{"person":"…","ids":["…"]}`.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    pub fn write_truth(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        serde_json::to_writer(&mut *sink, self)?;
        sink.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_is_one_line_for_each_person() {
        let person = Person {
            name: "U1".to_owned(),
            ids: vec!["U1".to_owned(), "$device:D1".to_owned()],
        };
        let mut line = Vec::new();
        person.write_truth(&mut line).unwrap();
        let expected = "{\"person\":\"U1\",\"ids\":[\"U1\",\"$device:D1\"]}\n";
        assert_eq!(line, expected.as_bytes());
        assert_eq!(serde_json::from_slice::<Person>(&line).unwrap(), person);
    }
}
