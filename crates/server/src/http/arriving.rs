//! [`Arriving`]: what occupies memory while it arrives. A slow one gives way to others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The bodies, or the large heads, of requests that are being read.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    /// Never used again, so that one that has given way cannot be taken for a later one.
    next_key: u64,
    by_key: BTreeMap<u64, Part>,
}

#[derive(Debug)]
struct Part {
    since: Instant,
    bytes: usize,
    /// Tells its reader to give up.
    give_up: Arc<Notify>,
}

impl Arriving {
    /// Adds one that occupies no memory yet, and returns its key. `give_up` is notified if it must give
    /// way.
    pub(crate) fn add(&mut self, give_up: Arc<Notify>) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        let part = Part {
            since: Instant::now(),
            bytes: 0,
            give_up,
        };
        self.by_key.insert(key, part);
        key
    }

    /// Counts bytes that have arrived. Returns whether it is still there: it may have given way.
    pub(crate) fn grow(&mut self, key: u64, bytes: usize) -> bool {
        match self.by_key.get_mut(&key) {
            Some(part) => {
                part.bytes += bytes;
                true
            }
            None => false,
        }
    }

    /// Makes one that has arrived for `slow_after` give way to `key`: the one that has occupied the most
    /// memory for the longest time. Returns its bytes, or `None` if none is slow.
    pub(crate) fn evict(&mut self, key: u64, slow_after: Duration) -> Option<usize> {
        let now = Instant::now();
        let slow = self.by_key.iter().filter_map(|(&other, part)| {
            let age = now.duration_since(part.since);
            let is_slow = other != key && part.bytes > 0 && age >= slow_after;
            is_slow.then_some((part.bytes as u128 * age.as_micros(), part.bytes, other))
        });
        let (.., slowest) = slow.max()?;
        // Off the list, so that the next one in need chooses another.
        let part = self.by_key.remove(&slowest)?;
        part.give_up.notify_one();
        Some(part.bytes)
    }

    /// Takes off one that is complete or gone, and returns its bytes. `None`: it has given way.
    pub(crate) fn remove(&mut self, key: u64) -> Option<usize> {
        Some(self.by_key.remove(&key)?.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_with_the_most_bytes_for_the_longest_time_gives_way_and_its_key_is_not_used_again() {
        let mut arriving = Arriving::default();
        let [empty, small, large] = [0, 10, 80].map(|bytes| {
            let key = arriving.add(Arc::default());
            assert!(arriving.grow(key, bytes));
            key
        });
        assert_eq!(arriving.evict(small, Duration::from_secs(60)), None);
        assert_eq!(arriving.evict(small, Duration::ZERO), Some(80));
        let next = arriving.add(Arc::default());
        assert!(![empty, small, large].contains(&next));
        // The one that gave way notices it, and takes off nobody else.
        assert!(!arriving.grow(large, 1));
        assert_eq!(arriving.remove(large), None);
        assert!(arriving.grow(next, 1));
        // One that occupies nothing would make no room.
        assert_eq!(arriving.remove(small), Some(10));
        assert_eq!(arriving.evict(next, Duration::ZERO), None);
    }
}
