//! The values that are written, as JSON.

use std::fmt;

use idmerge_core::{DEVICE_PREFIX, DistinctId, Id, IdBuffer};

use crate::json::is_plain;

/// A value to write: a JSON string, or `true`.
#[derive(Clone, Copy)]
pub(super) enum NewValue<'a> {
    Id(Id<'a>),
    DistinctId(DistinctId<'a>),
    Text(&'a str),
    Display(&'a (dyn fmt::Display + 'a)),
    True,
}

impl NewValue<'_> {
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Id(id) => push_string(&[id.text_in(&mut IdBuffer::new())], out),
            Self::DistinctId(id) => {
                let prefix = if id.is_device() { DEVICE_PREFIX } else { "" };
                push_string(&[prefix, id.id().text_in(&mut IdBuffer::new())], out);
            }
            Self::Text(text) => write_json_string(text, out),
            Self::Display(value) => write_json_string(&value.to_string(), out),
            Self::True => out.extend_from_slice(b"true"),
        }
    }
}

/// Writes a key and its colon. No key that is written needs an escape.
pub(super) fn push_key(key: &str, out: &mut Vec<u8>) {
    push_quoted(&[key], out);
    out.push(b':');
}

/// Writes a text as a JSON string.
#[inline]
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    if is_plain(text.as_bytes()) {
        out.reserve(text.len() + 2);
        push_quoted(&[text], out);
    } else {
        push_escaped(text, out);
    }
}

/// Writes these parts as one JSON string.
fn push_string(parts: &[&str], out: &mut Vec<u8>) {
    if parts.iter().all(|part| is_plain(part.as_bytes())) {
        push_quoted(parts, out);
    } else {
        push_escaped(&parts.concat(), out);
    }
}

#[cold]
fn push_escaped(text: &str, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

/// Writes these parts between quotation marks, without escapes.
#[inline]
fn push_quoted(parts: &[&str], out: &mut Vec<u8>) {
    out.push(b'"');
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}
