//! [`DedupKey`]: the fields that an event and its duplicates have in common (AR-2).

use twox_hash::XxHash3_128;

/// The fields in which a duplicate equals an event (AR-2).
///
/// An event without an insert ID has no key, because it has no duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupKey<'e> {
    /// The name of the event.
    pub name: &'e str,
    /// The time of the event; `None` if it has none.
    pub time_ms: Option<i64>,
    /// The text of its own distinct_id; `None` if it is unattributed.
    pub distinct_id: Option<&'e str>,
    /// `$insert_id`, or the ID that SDKs of phones send instead.
    pub insert_id: &'e str,
}

impl DedupKey<'_> {
    /// The time in the key of an event without a time.
    pub const UNTIMED_MS: i64 = i64::MIN;

    /// A hash of the fields. With 128 bits, two different events never share one in practice.
    /// `scratch` is memory to reuse; its content does not count.
    ///
    /// Stores keep these hashes, so they are part of the format on disk.
    pub fn fingerprint(&self, scratch: &mut Vec<u8>) -> u128 {
        scratch.clear();
        // Earlier versions hashed a flag here.
        scratch.push(0);
        scratch.extend(self.time_ms.unwrap_or(Self::UNTIMED_MS).to_le_bytes());
        for text in [self.name, self.distinct_id.unwrap_or("")] {
            scratch.extend((text.len() as u64).to_le_bytes());
            scratch.extend(text.as_bytes());
        }
        scratch.extend(self.insert_id.as_bytes());
        XxHash3_128::oneshot(scratch)
    }
}

/// An event that can have duplicates: the fingerprint of its [`DedupKey`], and the time in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeatable {
    /// [`DedupKey::fingerprint`].
    pub fingerprint: u128,
    /// The time, or [`DedupKey::UNTIMED_MS`].
    pub time_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_changes_the_fingerprint() {
        let fingerprint = |name, time_ms, distinct_id, insert_id| {
            DedupKey {
                name,
                time_ms,
                distinct_id,
                insert_id,
            }
            .fingerprint(&mut Vec::new())
        };
        let all = [
            fingerprint("A", Some(1), Some("U"), "I"),
            fingerprint("B", Some(1), Some("U"), "I"),
            fingerprint("A", Some(2), Some("U"), "I"),
            fingerprint("A", None, Some("U"), "I"),
            fingerprint("A", Some(1), Some("V"), "I"),
            fingerprint("A", Some(1), Some("U"), "J"),
            fingerprint("AU", Some(1), Some(""), "I"),
            fingerprint("A", Some(1), Some(""), "UI"),
        ];
        for (index, fingerprint) in all.iter().enumerate() {
            assert!(!all[..index].contains(fingerprint), "{index}");
        }
        assert_eq!(all[0], fingerprint("A", Some(1), Some("U"), "I"));
    }
}
