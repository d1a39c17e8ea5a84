//! The users of each device, in arrival order.

use foldhash::{HashMap, HashSet};

use crate::report::At;

/// What events show of a device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) first_user: u32,
    pub(crate) last_user: u32,
    pub(crate) users: u32,
    pub(crate) first: At,
    pub(crate) first_ms: Option<i64>,
    /// How many events show it with another user than its first.
    pub(crate) events: u64,
    /// Its second user, and where that one came.
    pub(crate) second: Option<(u32, At, Option<i64>)>,
    /// By the claims that count.
    pub(crate) owner: Option<Owner>,
}

/// The first user of a device by arrival, and the first one of the others by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) at: At,
    /// The earliest time of its claims.
    pub(crate) time_ms: Option<i64>,
    /// Of another user: the earliest time.
    pub(crate) other: Option<(u32, At, i64)>,
}

impl Device {
    /// The user that came before its owner, or at the same time.
    pub(crate) fn earlier_user(&self) -> Option<(Owner, (u32, At, i64))> {
        let owner = self.owner?;
        let other = owner.other?;
        (other.2 <= owner.time_ms?).then_some((owner, other))
    }
}

/// The devices that events show with a user.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    of: HashMap<u32, Device>,
    /// The pairs of a device and a user that is not its first.
    further: HashSet<(u32, u32)>,
}

impl Devices {
    /// An event shows a device with a user. Returns whether it is the first one that shows both.
    pub(crate) fn show(&mut self, device: u32, user: u32, time_ms: Option<i64>, at: At) -> bool {
        let mut is_new = false;
        let known = self.of.entry(device).or_insert_with(|| {
            is_new = true;
            Device {
                first_user: user,
                last_user: user,
                users: 1,
                first: at,
                first_ms: time_ms,
                events: 0,
                second: None,
                owner: None,
            }
        });
        if known.first_user != user {
            known.events += 1;
            if known.last_user != user && self.further.insert((device, user)) {
                is_new = true;
                known.users += 1;
                known.second.get_or_insert((user, at, time_ms));
            }
        }
        known.last_user = user;
        is_new
    }

    /// A claim that counts says that a device belongs to a user.
    pub(crate) fn claim(&mut self, device: u32, user: u32, time_ms: Option<i64>, at: At) {
        let Some(device) = self.of.get_mut(&device) else {
            return;
        };
        let owner = device.owner.get_or_insert(Owner {
            user,
            at,
            time_ms,
            other: None,
        });
        let Some(time_ms) = time_ms else {
            return;
        };
        if owner.user == user {
            owner.time_ms = Some(owner.time_ms.map_or(time_ms, |known| known.min(time_ms)));
        } else if owner.other.is_none_or(|(_, _, known)| time_ms < known) {
            owner.other = Some((user, at, time_ms));
        }
    }

    pub(crate) fn get(&self, device: u32) -> Option<&Device> {
        self.of.get(&device)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Device)> {
        self.of.iter().map(|(number, device)| (*number, device))
    }

    /// The users of these devices.
    pub(crate) fn users_of(&self, is_of: impl Fn(u32) -> bool) -> HashSet<u32> {
        let mut users: HashSet<u32> = HashSet::default();
        let firsts = self.of.iter().filter(|(number, _)| is_of(**number));
        users.extend(firsts.map(|(_, device)| device.first_user));
        let further = self.further.iter().filter(|(device, _)| is_of(*device));
        users.extend(further.map(|(_, user)| *user));
        users
    }
}
