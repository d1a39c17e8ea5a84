//! What the text of an input can begin and end with.

use idmerge_events::Values;

/// How many records the choice of a format looks at.
const RECORDS_LOOKED_AT: usize = 100;

/// May be at the start of any line (IN-4).
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text up to the first byte that is not UTF-8. The last character of bytes that are cut
/// off can be incomplete.
pub(crate) fn valid_text(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// The first records of an input that begins like this: those that are complete.
pub(crate) fn first_records(head: &[u8]) -> Vec<String> {
    let text = valid_text(after_empty_arrays(after_space(head)));
    let start = text.find(['{', '[']).unwrap_or(text.len());
    let text = &text[start..];
    let mut values = match text.starts_with('[') {
        true => Values::of_array(text),
        false => Some(Values::in_row(text)),
    };
    let mut records = Vec::new();
    while records.len() < RECORDS_LOOKED_AT
        && let Some(values) = &mut values
        && let Ok(Some(value)) = values.next_value()
    {
        records.push(value.as_str().to_owned());
    }
    records
}

/// The text after white space and after the byte order marks of its lines (IN-4).
pub(crate) fn after_space(mut text: &[u8]) -> &[u8] {
    loop {
        let rest = text.trim_ascii_start();
        match rest.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => text = rest,
            None => return rest,
        }
    }
}

/// The text after the arrays that begin it and have nothing in them.
pub(crate) fn after_empty_arrays(mut text: &[u8]) -> &[u8] {
    while let Some(array) = text.strip_prefix(b"[")
        && let Some(rest) = after_space(array).strip_prefix(b"]")
    {
        text = after_space(rest);
    }
    text
}
