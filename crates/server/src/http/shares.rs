//! [`Shares`]: the parts of a memory that requests occupy. When it is used up, some give way to others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::http::peers::Peer;

/// One that does not grow by as much as this within [`Limits::stalled_after`] is slow, whatever its age.
const LEAST_BYTES: usize = 64 * 1024;

/// How much memory there is, and how long others leave it to one that is slow.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The bytes of all the memory.
    pub(crate) max_bytes: usize,
    /// The most bytes that the large shares may have together. The rest is left to small ones.
    pub(crate) max_large_bytes: usize,
    /// A share with more bytes is large.
    pub(crate) small_bytes: usize,
    /// One that has arrived for this long is slow.
    pub(crate) slow_after: Duration,
    /// One that has grown by less than 64 KiB in this time is slow.
    pub(crate) stalled_after: Duration,
    /// If any give way, they free at least this many bytes, so that they are not searched for each request.
    pub(crate) spare_bytes: usize,
}

/// The bodies, or the large heads, of requests.
#[derive(Debug)]
pub(crate) struct Shares {
    limits: Limits,
    /// Never used again, so that one that has given way cannot be taken for a later one.
    next_key: u64,
    by_key: BTreeMap<u64, Share>,
    used: Room,
    by_peer: HashMap<Peer, usize>,
}

/// What a share is occupied for. This decides when it gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The client still sends. It gives way if it is slow, or if a small one needs room.
    Arriving,
    /// It is complete, and waits for its turn.
    Waiting,
    /// It is being processed, and gives way to none.
    Processed,
}

#[derive(Debug)]
struct Share {
    peer: Option<Peer>,
    is_large: bool,
    used_for: Use,
    since: Instant,
    bytes: usize,
    /// When the last [`LEAST_BYTES`] were complete, and how many bytes came since then.
    kept_up: (Instant, usize),
    /// Tells its reader to give up.
    give_up: Arc<Notify>,
}

/// Bytes of memory.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    bytes: usize,
    /// The part of them that large shares occupy.
    large_bytes: usize,
}

/// The order in which shares give way: the highest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_of_greedy: bool,
    is_slow: bool,
    /// The memory, and for how long.
    byte_micros: u128,
}

impl Shares {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_key: 0,
            by_key: BTreeMap::new(),
            used: Room::default(),
            by_peer: HashMap::new(),
        }
    }

    /// Adds one that occupies no memory yet, and returns its key. `give_up` is notified if it must give way.
    pub(crate) fn add(&mut self, peer: Option<Peer>, give_up: Arc<Notify>, now: Instant) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        let share = Share {
            peer,
            is_large: false,
            used_for: Use::Arriving,
            since: now,
            bytes: 0,
            kept_up: (now, 0),
            give_up,
        };
        self.by_key.insert(key, share);
        key
    }

    /// The bytes that all of them occupy.
    pub(crate) fn bytes_used(&self) -> usize {
        self.used.bytes
    }

    /// Takes memory for more bytes of one. If there is none, others give way. Returns whether it has the
    /// memory: there may be none for it, and it may have given way itself.
    pub(crate) fn take(&mut self, key: u64, bytes: usize, now: Instant) -> bool {
        let small_bytes = self.limits.small_bytes;
        let is_large = |share: &Share| share.is_large || share.bytes + bytes > small_bytes;
        let is_large = self.by_key.get(&key).is_some_and(is_large);
        self.occupy(key, bytes, is_large, now)
    }

    /// Counts one as large, as [`take`](Self::take) does.
    pub(crate) fn make_large(&mut self, key: u64, now: Instant) -> bool {
        self.occupy(key, 0, true, now)
    }

    /// Says what one is used for from now on. Returns whether it is still there: it may have given way.
    pub(crate) fn set_use(&mut self, key: u64, used_for: Use) -> bool {
        let share = self.by_key.get_mut(&key);
        share.map(|share| share.used_for = used_for).is_some()
    }

    /// Takes off one that is gone, which may have given way before.
    pub(crate) fn remove(&mut self, key: u64) -> Option<usize> {
        Some(self.take_off(key)?.bytes)
    }

    fn occupy(&mut self, key: u64, bytes: usize, is_large: bool, now: Instant) -> bool {
        let Some(share) = self.by_key.get(&key) else {
            return false;
        };
        let added = Room {
            bytes,
            large_bytes: match (is_large, share.is_large) {
                (false, _) => 0,
                (true, false) => share.bytes + bytes,
                (true, true) => bytes,
            },
        };
        if !self.make_room(key, added, is_large, now) {
            return false;
        }
        let Some(share) = self.by_key.get_mut(&key) else {
            return false;
        };
        share.is_large |= is_large;
        share.bytes += bytes;
        share.kept_up.1 += bytes;
        if share.kept_up.1 >= LEAST_BYTES {
            share.kept_up = (now, 0);
        }
        self.used.bytes += added.bytes;
        self.used.large_bytes += added.large_bytes;
        if let Some(peer) = share.peer {
            *self.by_peer.entry(peer).or_default() += bytes;
        }
        true
    }

    /// Makes others give way if there is not enough memory. None does if that would not be enough.
    fn make_room(&mut self, key: u64, added: Room, is_large: bool, now: Instant) -> bool {
        let over = |used: usize, added: usize, max: usize| {
            let bytes = used.saturating_add(added).saturating_sub(max);
            if added == 0 { 0 } else { bytes }
        };
        let limits = &self.limits;
        let missing = Room {
            bytes: over(self.used.bytes, added.bytes, limits.max_bytes),
            large_bytes: over(
                self.used.large_bytes,
                added.large_bytes,
                limits.max_large_bytes,
            ),
        };
        if Room::default().covers(missing) {
            return true;
        }
        let (mut ranked, free) = self.that_give_way(key, is_large, now);
        if !free.covers(missing) {
            return false;
        }
        ranked.sort_unstable();
        let mut freed = Room::default();
        while !freed.covers(missing) || freed.bytes < self.limits.spare_bytes {
            let Some((_, key)) = ranked.pop() else { break };
            let is_large = self.by_key.get(&key).is_some_and(|share| share.is_large);
            let needs_large = freed.large_bytes < missing.large_bytes;
            if needs_large && !is_large && freed.bytes >= missing.bytes {
                continue;
            }
            if let Some(share) = self.take_off(key) {
                freed.add(&share);
                share.give_up.notify_one();
            }
        }
        true
    }

    /// Those that give way to one, and the memory of all of them.
    fn that_give_way(&self, to: u64, is_large: bool, now: Instant) -> (Vec<(Rank, u64)>, Room) {
        let peer = self.by_key.get(&to).and_then(|share| share.peer);
        let is_greedy = |other: Option<Peer>| {
            let bytes = other.and_then(|other| self.by_peer.get(&other));
            other != peer && bytes.is_some_and(|&bytes| bytes > self.limits.max_bytes / 2)
        };
        let mut free = Room::default();
        let mut ranked = Vec::new();
        for (&key, share) in &self.by_key {
            let age = now.duration_since(share.since);
            let is_slow = age >= self.limits.slow_after
                || now.duration_since(share.kept_up.0) >= self.limits.stalled_after;
            let is_of_greedy = is_greedy(share.peer);
            let gives_way = match share.used_for {
                Use::Arriving => is_slow || is_of_greedy || !is_large,
                Use::Waiting => is_of_greedy,
                Use::Processed => false,
            };
            if gives_way && key != to && share.bytes > 0 {
                let rank = Rank {
                    is_of_greedy,
                    is_slow,
                    byte_micros: share.bytes as u128 * age.as_micros().max(1),
                };
                free.add(share);
                ranked.push((rank, key));
            }
        }
        (ranked, free)
    }

    fn take_off(&mut self, key: u64) -> Option<Share> {
        let share = self.by_key.remove(&key)?;
        self.used.bytes -= share.bytes;
        if share.is_large {
            self.used.large_bytes -= share.bytes;
        }
        if let Some(peer) = share.peer
            && let Some(bytes) = self.by_peer.get_mut(&peer)
        {
            *bytes -= share.bytes;
            if *bytes == 0 {
                self.by_peer.remove(&peer);
            }
        }
        Some(share)
    }
}

impl Room {
    fn add(&mut self, share: &Share) {
        self.bytes += share.bytes;
        if share.is_large {
            self.large_bytes += share.bytes;
        }
    }

    fn covers(self, missing: Self) -> bool {
        self.bytes >= missing.bytes && self.large_bytes >= missing.large_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Shares of 1,000 bytes, with at most 800 for those of more than 100.
    fn shares() -> Shares {
        Shares::new(Limits {
            max_bytes: 1_000,
            max_large_bytes: 800,
            small_bytes: 100,
            slow_after: 5 * SECOND,
            stalled_after: SECOND,
            spare_bytes: 0,
        })
    }

    fn add(shares: &mut Shares, peer: u8, bytes: usize, now: Instant) -> Option<u64> {
        let peer = Peer::from(IpAddr::from([10, 0, 0, peer]));
        let key = shares.add(Some(peer), Arc::default(), now);
        shares.take(key, bytes, now).then_some(key)
    }

    fn is_there(shares: &Shares, key: u64) -> bool {
        shares.by_key.contains_key(&key)
    }

    #[test]
    fn large_ones_leave_memory_to_small_ones() {
        let (mut shares, now) = (shares(), Instant::now());
        let large = add(&mut shares, 1, 750, now).unwrap();
        assert_eq!(add(&mut shares, 1, 101, now), None);
        // One that grows is large too.
        let grown = add(&mut shares, 1, 40, now).unwrap();
        assert!(!shares.take(grown, 61, now));
        assert!(shares.take(grown, 60, now));
        assert!(!shares.make_large(grown, now));
        for _ in 0..15 {
            assert!(add(&mut shares, 1, 10, now).is_some());
        }
        assert_eq!(shares.bytes_used(), 1_000);
        // A small one takes the place of the large one that still arrives, and of no more.
        assert!(add(&mut shares, 1, 1, now).is_some());
        assert!(!is_there(&shares, large));
        assert_eq!(shares.bytes_used(), 251);
        assert!(shares.make_large(grown, now));
    }

    #[test]
    fn one_that_is_complete_keeps_its_memory() {
        let (mut shares, now) = (shares(), Instant::now());
        for used_for in [Use::Waiting, Use::Processed] {
            for _ in 0..5 {
                let key = add(&mut shares, 1, 100, now).unwrap();
                assert!(shares.set_use(key, used_for));
            }
        }
        assert_eq!(add(&mut shares, 1, 1, now + 9 * SECOND), None);
        assert_eq!(shares.bytes_used(), 1_000);
    }

    #[test]
    fn slow_ones_give_way_to_large_ones_and_the_most_memory_for_the_longest_time_comes_first() {
        let (mut shares, start) = (shares(), Instant::now());
        let [first, second, third] =
            [200, 300, 300].map(|bytes| add(&mut shares, 1, bytes, start).unwrap());
        let soon = start + SECOND / 2;
        assert_eq!(add(&mut shares, 1, 200, soon), None);
        let later = start + SECOND;
        let new = add(&mut shares, 1, 200, later).unwrap();
        let left = [first, second, third, new].map(|key| is_there(&shares, key));
        assert_eq!(left, [true, true, false, true]);
        // One that gave way notices it, and removes no other.
        assert!(!shares.take(third, 1, later));
        assert!(!shares.set_use(third, Use::Waiting));
        assert_eq!(shares.remove(third), None);
        // If all that could give way are not enough, none does.
        assert_eq!(add(&mut shares, 1, 601, later), None);
        assert_eq!(shares.bytes_used(), 700);
    }

    #[test]
    fn one_that_arrives_fast_is_slow_only_by_its_age() {
        let mut shares = Shares::new(Limits {
            max_bytes: 10 * LEAST_BYTES,
            max_large_bytes: 10 * LEAST_BYTES,
            ..shares().limits
        });
        let start = Instant::now();
        let fast = add(&mut shares, 1, LEAST_BYTES, start).unwrap();
        let stalled = add(&mut shares, 1, 2 * LEAST_BYTES, start).unwrap();
        let mut now = start;
        for _ in 0..7 {
            now += SECOND / 2;
            assert!(shares.take(fast, LEAST_BYTES, now));
        }
        assert!(add(&mut shares, 1, LEAST_BYTES, now).is_some());
        assert!(is_there(&shares, fast) && !is_there(&shares, stalled));
        assert_eq!(add(&mut shares, 1, 3 * LEAST_BYTES, now), None);
        assert!(shares.take(fast, 1, start + 5 * SECOND));
        assert!(add(&mut shares, 1, 3 * LEAST_BYTES, start + 5 * SECOND).is_some());
        assert!(!is_there(&shares, fast));
    }

    #[test]
    fn an_address_with_more_than_half_gives_way_to_others_and_not_to_itself() {
        let (mut shares, now) = (shares(), Instant::now());
        let waiting = add(&mut shares, 1, 300, now).unwrap();
        assert!(shares.set_use(waiting, Use::Waiting));
        let busy = add(&mut shares, 1, 150, now).unwrap();
        assert!(shares.set_use(busy, Use::Processed));
        let other = add(&mut shares, 2, 350, now).unwrap();
        assert_eq!(add(&mut shares, 1, 150, now), None);
        // No address has more than half.
        assert_eq!(add(&mut shares, 3, 150, now), None);
        let small = add(&mut shares, 1, 60, now).unwrap();
        assert!(add(&mut shares, 3, 150, now).is_some());
        let left = [waiting, busy, other, small].map(|key| is_there(&shares, key));
        assert_eq!(left, [false, true, true, true]);
    }

    #[test]
    fn memory_is_given_back() {
        let (mut shares, now) = (shares(), Instant::now());
        let keys: Vec<_> = (0..10)
            .map(|at| add(&mut shares, at, 20 * usize::from(at), now).unwrap())
            .collect();
        let removed: usize = keys.into_iter().filter_map(|key| shares.remove(key)).sum();
        assert_eq!((removed, shares.bytes_used()), (900, 0));
        assert_eq!(shares.used.large_bytes, 0);
        assert!(shares.by_peer.is_empty() && shares.by_key.is_empty());
    }
}
