//! The keys of the index of events.

use idmerge_core::{DEVICE_PREFIX, DistinctId, IdBuffer};
use twox_hash::XxHash3_64;

/// Appends the text of a distinct_id.
pub(crate) fn push_id(id: DistinctId<'_>, text: &mut String) {
    if id.is_device() {
        text.push_str(DEVICE_PREFIX);
    }
    text.push_str(id.id().text_in(&mut IdBuffer::new()));
}

/// The key of a distinct_id in the index of events, by its text.
pub(crate) fn user_key(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}

/// The key of a distinct_id in the index of events.
pub(crate) fn user_key_of(id: DistinctId<'_>) -> u64 {
    let mut text = String::new();
    push_id(id, &mut text);
    user_key(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key is in the files of users: it must stay XXH3-64 of the text.
    #[test]
    fn the_key_of_an_id_is_the_xxh3_of_its_text() {
        // The published value for no bytes.
        assert_eq!(user_key(""), 0x2d06_8005_38d3_94c2);
        assert_ne!(user_key("U1"), user_key("U2"));
    }
}
