//! Writes the members of JSON objects.

use idmerge_core::{DEVICE_PREFIX, Id, IdBuffer};
use idmerge_events::RawJson;

/// Appends a string with its quotation marks.
pub(crate) fn push_text(text: &str, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

/// Appends a key and its colon, and the comma before them if the object has members.
pub(crate) fn push_key(key: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    push_text(key, out);
    out.push(b':');
}

/// Appends a member whose value is a string.
pub(crate) fn push_member(key: &str, text: &str, out: &mut Vec<u8>) {
    push_key(key, out);
    push_text(text, out);
}

/// Appends a member whose value is an ID.
pub(crate) fn push_id(key: &str, id: Id<'_>, out: &mut Vec<u8>) {
    push_member(key, id.text_in(&mut IdBuffer::new()), out);
}

/// Appends a member whose value is a device as a distinct_id.
pub(crate) fn push_device(key: &str, id: Id<'_>, out: &mut Vec<u8>) {
    push_key(key, out);
    let text = id.text();
    push_text(&format!("{DEVICE_PREFIX}{text}"), out);
}

/// Appends a value as it was written, on one line.
pub(crate) fn push_raw(json: RawJson<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(json.as_str().as_bytes());
    for byte in &mut out[start..] {
        // Line breaks in JSON are between tokens.
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
