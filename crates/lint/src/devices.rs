//! The users of each device, in arrival order.

use foldhash::{HashMap, HashSet};

use crate::report::Evidence;

/// What events show of a device.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) first_user: u32,
    pub(crate) last_user: u32,
    pub(crate) users: u32,
    /// The first event that shows it with a user.
    pub(crate) first: Evidence,
    /// How many events show it with another user than its first.
    pub(crate) events: u64,
    /// Its second user, and the first event of that one.
    pub(crate) second: Option<(u32, Evidence)>,
    /// By the claims that count.
    pub(crate) owner: Option<Owner>,
}

/// The first user of a device by arrival, and the first one of the others by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    /// Where its first claim is, with the earliest time of its claims.
    pub(crate) first: Evidence,
    /// Of the other users: the earliest claim that has a time.
    pub(crate) other: Option<(u32, Evidence)>,
}

impl Device {
    /// The user that came before its owner, or at the same time.
    pub(crate) fn earlier_user(&self) -> Option<(Owner, (u32, Evidence))> {
        let owner = self.owner?;
        let other = owner.other?;
        (other.1.time_ms? <= owner.first.time_ms?).then_some((owner, other))
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
    pub(crate) fn show(&mut self, device: u32, user: u32, event: Evidence) -> bool {
        let mut is_new = false;
        let known = self.of.entry(device).or_insert_with(|| {
            is_new = true;
            Device {
                first_user: user,
                last_user: user,
                users: 1,
                first: event,
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
                known.second.get_or_insert((user, event));
            }
        }
        known.last_user = user;
        is_new
    }

    /// A claim that counts says that a device belongs to a user.
    pub(crate) fn claim(&mut self, device: u32, user: u32, event: Evidence) {
        let Some(device) = self.of.get_mut(&device) else {
            return;
        };
        let owner = device.owner.get_or_insert(Owner {
            user,
            first: event,
            other: None,
        });
        let Some(time_ms) = event.time_ms else {
            return;
        };
        let is_earlier = |known: Evidence| known.time_ms.is_none_or(|known_ms| time_ms < known_ms);
        if owner.user != user {
            if owner.other.is_none_or(|(_, known)| is_earlier(known)) {
                owner.other = Some((user, event));
            }
        } else if is_earlier(owner.first) {
            owner.first.time_ms = Some(time_ms);
        }
    }

    pub(crate) fn get(&self, device: u32) -> Option<&Device> {
        self.of.get(&device)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Device)> {
        self.of.iter().map(|(number, device)| (*number, device))
    }

    /// The users of these devices, whose numbers are sorted.
    pub(crate) fn users_of(&self, devices: &[u32]) -> HashSet<u32> {
        let is_of = |device: &u32| devices.binary_search(device).is_ok();
        let firsts = self.of.iter().filter(|(device, _)| is_of(device));
        let firsts = firsts.map(|(_, device)| device.first_user);
        let further = self.further.iter().filter(|(device, _)| is_of(device));
        firsts.chain(further.map(|(_, user)| *user)).collect()
    }
}
