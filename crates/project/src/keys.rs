//! Hashes: by which events are found, and told from each other.

use crate::prepare::UNTIMED_MS;
use idmerge_core::{DEVICE_PREFIX, DistinctId, IdBuffer};
use twox_hash::{XxHash3_64, XxHash3_128};

/// Appends the text of a distinct_id.
pub(crate) fn push_id(id: DistinctId<'_>, text: &mut String) {
    if id.is_device() {
        text.push_str(DEVICE_PREFIX);
    }
    text.push_str(id.id().text_in(&mut IdBuffer::new()));
}

/// By which the events of a distinct_id are found.
pub(crate) fn user_key(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}

/// What makes an event the same as another.
pub(crate) struct Sameness<'e> {
    pub(crate) name: &'e str,
    pub(crate) time_ms: Option<i64>,
    pub(crate) distinct_id: Option<&'e str>,
    pub(crate) insert_id: &'e str,
    /// A `$merge` that could not be weighed must not stand in the way of one that can.
    pub(crate) is_unweighed: bool,
}

impl Sameness<'_> {
    /// 128 bits: two events that are not the same do not meet by chance.
    pub(crate) fn print(&self, scratch: &mut Vec<u8>) -> u128 {
        scratch.clear();
        scratch.push(u8::from(self.is_unweighed));
        scratch.extend(self.time_ms.unwrap_or(UNTIMED_MS).to_le_bytes());
        for text in [self.name, self.distinct_id.unwrap_or("")] {
            scratch.extend((text.len() as u64).to_le_bytes());
            scratch.extend(text.as_bytes());
        }
        scratch.extend(self.insert_id.as_bytes());
        XxHash3_128::oneshot(scratch)
    }
}

/// A checksum of bytes in a certain place, so that a good row in a wrong place is noticed.
pub(crate) fn checksum(place: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(place, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_tells_events_apart() {
        let print = |name, time_ms, distinct_id, insert_id, is_unweighed| {
            Sameness {
                name,
                time_ms,
                distinct_id,
                insert_id,
                is_unweighed,
            }
            .print(&mut Vec::new())
        };
        let all = [
            print("A", Some(1), Some("U"), "I", false),
            print("B", Some(1), Some("U"), "I", false),
            print("A", Some(2), Some("U"), "I", false),
            print("A", None, Some("U"), "I", false),
            print("A", Some(1), Some("V"), "I", false),
            print("A", Some(1), Some("U"), "J", false),
            print("A", Some(1), Some("U"), "I", true),
            print("AU", Some(1), Some(""), "I", false),
            print("A", Some(1), Some(""), "UI", false),
        ];
        for (at, print) in all.iter().enumerate() {
            assert!(!all[..at].contains(print), "{at}");
        }
        assert_eq!(all[0], print("A", Some(1), Some("U"), "I", false));
    }
}
