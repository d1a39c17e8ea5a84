//! Writes the members of JSON objects.

use idmerge_core::{DEVICE_PREFIX, Id, IdBuffer};
use idmerge_events::{RawJson, write_json_string};

/// Appends a key and its colon, and the comma before them if the object has members.
pub(crate) fn push_key(key: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    write_json_string(key, out);
    out.push(b':');
}

/// Appends a member whose value is a string.
pub(crate) fn push_member(key: &str, text: &str, out: &mut Vec<u8>) {
    push_key(key, out);
    write_json_string(text, out);
}

/// Appends a member whose value is an ID.
pub(crate) fn push_id(key: &str, id: Id<'_>, out: &mut Vec<u8>) {
    push_member(key, id.text_in(&mut IdBuffer::new()), out);
}

/// Appends a member whose value is a device as a distinct_id.
pub(crate) fn push_device(key: &str, id: Id<'_>, out: &mut Vec<u8>) {
    push_member(key, &format!("{DEVICE_PREFIX}{}", id.text()), out);
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
