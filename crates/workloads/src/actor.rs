//! The actors of a stream, and the world that they share.

pub(crate) mod customer;
pub(crate) mod household;

use std::fmt;

use crate::person::Person;
use crate::rng::Rng;

/// One or more people who take turns with other actors in a stream.
pub(crate) trait Actor: fmt::Debug + Send + Sync {
    /// Appends the next event as one line. The stream has `lines_left` lines after it.
    fn act(&mut self, world: &mut World, lines_left: u64, line: &mut Vec<u8>) -> Next;

    /// Returns the truth: the people, with every ID of theirs that the stream named.
    fn leave(self: Box<Self>, world: &mut World, people: &mut Vec<Person>);
}

/// The actor of the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Any actor.
    Anyone,
    /// The same actor, because its next event belongs to this one.
    Same,
    /// Any other actor: this one is finished.
    Done,
}

/// The state that all actors of one stream share.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    now_ms: u64,
    users: u64,
    anonymous: u64,
}

impl World {
    /// A day in May 2026. A time in seconds must have ten digits.
    const START_MS: u64 = 1_780_000_000_000;

    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            now_ms: Self::START_MS,
            users: 0,
            anonymous: 0,
        }
    }

    /// As [`new`](Self::new), but no user has an ID that a user of `new` has.
    pub(crate) fn of_other_users(seed: u64) -> Self {
        Self {
            users: 1 << 32,
            ..Self::new(seed)
        }
    }

    /// The time in the stream, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Sets the time.
    pub(crate) fn set_now_ms(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Advances the time by up to 50 ms.
    pub(crate) fn tick(&mut self) {
        self.now_ms += self.rng.below(51);
    }

    /// A new user ID, in one of the forms that products use: a key, an email address, or an integer
    /// as text.
    pub(crate) fn new_user_id(&mut self) -> String {
        const NAMES: [&str; 8] = [
            "ada", "ben", "chloe", "dora", "elif", "femi", "grace", "hugo",
        ];
        self.users += 1;
        let number = self.users;
        match self.rng.index(4) {
            0 => format!(
                "{}.{number}@example.com",
                NAMES[self.rng.index(NAMES.len())]
            ),
            1 => (1_000_000 + number).to_string(),
            _ => format!("user-{number:06}"),
        }
    }

    /// The name of a person who never had a user ID, for the truth.
    pub(crate) fn new_anonymous_name(&mut self) -> String {
        self.anonymous += 1;
        format!("anonymous-{}", self.anonymous)
    }

    /// A UUIDv4 in lower case.
    pub(crate) fn new_uuid(&mut self) -> String {
        let (high, low) = (self.rng.bits(), self.rng.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0x0fff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_user_id_comes_twice_and_each_kind_comes() {
        let mut world = World::new(3);
        let ids: BTreeSet<_> = (0..2_000).map(|_| world.new_user_id()).collect();
        assert_eq!(ids.len(), 2_000);
        assert!(ids.iter().any(|id| id.contains('@')));
        assert!(ids.iter().any(|id| id.parse::<u64>().is_ok()));
        assert!(ids.iter().any(|id| id.starts_with("user-")));
    }
}
