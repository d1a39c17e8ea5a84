//! What the text of an input can begin and end with.

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
