//! Hashes: the keys of indexes, and the fingerprints that detect repeated events.

use idmerge_core::{DEVICE_PREFIX, DistinctId, IdBuffer};
use twox_hash::{XxHash3_64, XxHash3_128};

/// The time of an event without a time.
pub(crate) const UNTIMED_MS: i64 = i64::MIN;

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

/// The fields that two events share if they are the same event.
pub(crate) struct DedupKey<'e> {
    pub(crate) name: &'e str,
    pub(crate) time_ms: Option<i64>,
    pub(crate) distinct_id: Option<&'e str>,
    pub(crate) insert_id: &'e str,
    /// Whether it is a `$merge` whose claim may not be applied. The same event from a sender with
    /// the permission is not a repetition: its claim must be applied.
    pub(crate) is_forbidden_merge: bool,
}

impl DedupKey<'_> {
    /// A hash of the fields. With 128 bits, two different events never share one in practice.
    pub(crate) fn fingerprint(&self, scratch: &mut Vec<u8>) -> u128 {
        scratch.clear();
        scratch.push(u8::from(self.is_forbidden_merge));
        scratch.extend(self.time_ms.unwrap_or(UNTIMED_MS).to_le_bytes());
        for text in [self.name, self.distinct_id.unwrap_or("")] {
            scratch.extend((text.len() as u64).to_le_bytes());
            scratch.extend(text.as_bytes());
        }
        scratch.extend(self.insert_id.as_bytes());
        XxHash3_128::oneshot(scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_changes_the_fingerprint() {
        let fingerprint = |name, time_ms, distinct_id, insert_id, is_forbidden_merge| {
            DedupKey {
                name,
                time_ms,
                distinct_id,
                insert_id,
                is_forbidden_merge,
            }
            .fingerprint(&mut Vec::new())
        };
        let all = [
            fingerprint("A", Some(1), Some("U"), "I", false),
            fingerprint("B", Some(1), Some("U"), "I", false),
            fingerprint("A", Some(2), Some("U"), "I", false),
            fingerprint("A", None, Some("U"), "I", false),
            fingerprint("A", Some(1), Some("V"), "I", false),
            fingerprint("A", Some(1), Some("U"), "J", false),
            fingerprint("A", Some(1), Some("U"), "I", true),
            fingerprint("AU", Some(1), Some(""), "I", false),
            fingerprint("A", Some(1), Some(""), "UI", false),
        ];
        for (index, fingerprint) in all.iter().enumerate() {
            assert!(!all[..index].contains(fingerprint), "{index}");
        }
        assert_eq!(all[0], fingerprint("A", Some(1), Some("U"), "I", false));
    }
}
