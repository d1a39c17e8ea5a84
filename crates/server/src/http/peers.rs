//! The addresses of clients: how many connections each has, and warnings that name them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// The most addresses that a warning counts one by one. The others are counted together, so that a
/// client with many addresses cannot fill the memory.
const MAX_ADDRESSES: usize = 1_024;

/// The most addresses that a warning names.
const MAX_NAMES: usize = 5;

/// The address of a client. Of an IPv6 address only the first 64 bits count: the rest is chosen by
/// the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address => address,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// Counts the open connections of each address.
#[derive(Debug)]
pub(crate) struct ConnectionsByPeer {
    counts: Mutex<HashMap<Peer, usize>>,
    max: usize,
}

/// An open connection. It is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct CountedConnection {
    connections: Arc<ConnectionsByPeer>,
    peer: Peer,
}

impl ConnectionsByPeer {
    /// An address may have `max` connections.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let counts = Mutex::default();
        Arc::new(Self { counts, max })
    }

    /// Counts a connection, unless its address has too many.
    pub(crate) fn open(self: &Arc<Self>, peer: Peer) -> Option<CountedConnection> {
        let mut counts = self.counts.lock();
        let count = counts.entry(peer).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(CountedConnection {
            connections: Arc::clone(self),
            peer,
        })
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.connections.counts.lock().entry(self.peer) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Counts what clients did wrong, by address, for one warning a minute.
#[derive(Debug, Default)]
pub(crate) struct Sightings(Mutex<Counts>);

/// What was counted since the last warning.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    by_peer: HashMap<Peer, u64>,
}

impl Sightings {
    /// Counts one. Returns how many of this address were counted since the last warning.
    pub(crate) fn count(&self, peer: Peer) -> u64 {
        let mut counts = self.0.lock();
        counts.total += 1;
        let is_full = counts.by_peer.len() >= MAX_ADDRESSES;
        match counts.by_peer.entry(peer) {
            Entry::Occupied(mut count) => {
                *count.get_mut() += 1;
                *count.get()
            }
            // The addresses beyond the limit are treated as one.
            Entry::Vacant(_) if is_full => counts.total,
            Entry::Vacant(none) => *none.insert(1),
        }
    }

    /// Starts to count anew. Returns what was counted, if anything was.
    pub(crate) fn take(&self) -> Option<Counts> {
        let counts = std::mem::take(&mut *self.0.lock());
        (counts.total > 0).then_some(counts)
    }
}

/// The addresses, those with the most first.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut peers: Vec<_> = self.by_peer.iter().collect();
        peers.sort_unstable_by_key(|&(&peer, &count)| (std::cmp::Reverse(count), peer));
        let mut named = 0;
        for (index, (peer, count)) in peers.iter().take(MAX_NAMES).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{peer} ({count})")?;
            named += *count;
        }
        match self.total - named {
            0 => Ok(()),
            others => write!(f, ", other addresses ({others})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:2"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_eq!(peer("2001:db8::1").to_string(), "2001:db8::/64");
    }

    #[test]
    fn connections_are_counted_until_they_close() {
        let connections = ConnectionsByPeer::new(2);
        let (a, b) = (peer("10.0.0.1"), peer("10.0.0.2"));
        let first = connections.open(a).unwrap();
        let _second = connections.open(a).unwrap();
        assert!(connections.open(a).is_none());
        assert!(connections.open(b).is_some());
        drop(first);
        assert!(connections.open(a).is_some());
        // Addresses without connections take no memory.
        assert_eq!(connections.counts.lock().len(), 1);
    }

    #[test]
    fn warnings_name_few_addresses_and_remember_few() {
        let sightings = Sightings::default();
        assert!(sightings.take().is_none());
        for index in 0..10_000_u32 {
            sightings.count(Peer::from(IpAddr::from(index.to_be_bytes())));
        }
        let often = peer("0.0.0.7");
        assert_eq!((0..4).map(|_| sightings.count(often)).last(), Some(5));
        let counts = sightings.take().unwrap();
        assert_eq!(counts.by_peer.len(), MAX_ADDRESSES);
        assert_eq!(
            counts.to_string(),
            "0.0.0.7 (5), 0.0.0.0 (1), 0.0.0.1 (1), 0.0.0.2 (1), 0.0.0.3 (1), \
             other addresses (9995)"
        );
        assert!(sightings.take().is_none());
    }
}
