//! Writes the members of a JSON object.

use idmerge_events::{RawJson, write_json_string};

use crate::read::fields::Member;
use crate::read::value::Value;

/// Whether the rules read a property with this key, so that no carried property may have it.
fn is_reserved(key: &str) -> bool {
    matches!(
        key,
        "$device_id"
            | "$user_id"
            | "distinct_id"
            | "time"
            | "$insert_id"
            | "$source"
            | "$anon_id"
            | "$identified_id"
            | "alias"
            | "$distinct_ids"
            | "$anon_distinct_id"
            // These are read too: IN-5, AR-2 and AR-4.
            | "$distinct_id_before_identity"
            | "$idmerge_unweighed"
            | "$idmerge_time_ms"
            | "$mp_metadata"
            | "mp_processing_time_ms"
    )
}

/// Writes the head of an event. Its properties follow, and then two closing braces.
pub(crate) fn start_event<'o>(name: &str, out: &'o mut Vec<u8>) -> Members<'o> {
    out.extend_from_slice(b"{\"event\":");
    write_json_string(name, out);
    out.extend_from_slice(b",\"properties\":{");
    Members::new(out)
}

/// Writes members into an object that is open.
#[derive(Debug)]
pub(crate) struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Members<'o> {
    /// The object begins with the next member.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            is_first: true,
        }
    }

    /// More members of an object that has one.
    pub(crate) fn continued(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            is_first: false,
        }
    }

    /// The key is written as it is: it must need no escapes, or have them.
    fn key(&mut self, key: &str) {
        self.start_key("", key);
        self.end_key();
    }

    fn start_member(&mut self) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
    }

    fn start_key(&mut self, prefix: &str, key: &str) {
        self.start_member();
        self.out.push(b'"');
        self.out.extend_from_slice(prefix.as_bytes());
        self.out.extend_from_slice(key.as_bytes());
    }

    fn end_key(&mut self) {
        self.out.extend_from_slice(b"\":");
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_json_string(text, self.out);
    }

    pub(crate) fn number(&mut self, key: &str, number: i64) {
        self.key(key);
        self.out.extend_from_slice(number.to_string().as_bytes());
    }

    /// JSON that is written already.
    pub(crate) fn json(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A value, unless the field is missing.
    pub(crate) fn value(&mut self, key: &str, value: Value<'_>) {
        if value != Value::Missing {
            self.key(key);
            write_value(value, self.out);
        }
    }

    /// A member as it is in the record.
    pub(crate) fn verbatim(&mut self, (name, value): Member<'_>) {
        self.key(between_quotes(name));
        write_value(value, self.out);
    }

    /// JSON that is written already, under any key.
    pub(crate) fn any(&mut self, key: &str, json: &str) {
        self.start_member();
        write_json_string(key, self.out);
        self.out.push(b':');
        self.out.extend_from_slice(json.as_bytes());
    }

    pub(crate) fn texts(&mut self, key: &str, texts: &[&str]) {
        self.key(key);
        write_texts(texts, self.out);
    }

    pub(crate) fn object(&mut self, key: &str, write: impl FnOnce(&mut Members<'_>)) {
        self.key(key);
        self.out.push(b'{');
        write(&mut Members::new(self.out));
        self.out.push(b'}');
    }

    /// A property of the record that no rule reads, under its own name with a prefix. If the rules read
    /// that name, it becomes `source_<name>`.
    pub(crate) fn carried(&mut self, prefix: &str, (name, value): Member<'_>) {
        let Some(text) = name.string() else {
            return;
        };
        let is_reserved = match prefix {
            "" => is_reserved(&text),
            _ => is_reserved(&format!("{prefix}{text}")),
        };
        if is_reserved {
            self.start_key("source_", prefix);
        } else {
            self.start_key("", prefix);
        }
        self.out.extend_from_slice(between_quotes(name).as_bytes());
        self.end_key();
        write_value(value, self.out);
    }
}

/// The text of a name, with its escapes.
fn between_quotes(name: RawJson<'_>) -> &str {
    let json = name.as_str();
    json.get(1..json.len() - 1).unwrap_or_default()
}

pub(crate) fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(value.as_str().as_bytes());
}

/// Writes an array of JSON strings.
pub(crate) fn write_texts(texts: &[&str], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_json_string(text, out);
    }
    out.push(b']');
}
