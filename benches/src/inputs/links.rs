//! The workload in memory: links of devices to users, and lookups of devices.

use crate::inputs::ids::{Spelling, scattered_below, write_user};

/// The number of devices of each user.
pub const DEVICES_PER_USER: u64 = 4;

/// A prime: steps of this size reach every user before they repeat one.
const STRIDE: u64 = 2_147_483_647;

/// The user of each device, and the order in which the links arrive: the devices of a user come far
/// apart, and users in no order.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The number of devices.
    pub devices: u64,
    /// The form of their IDs.
    pub spelling: Spelling,
    /// The number of users that arrive before each of them has all its devices.
    users_per_block: u64,
}

impl Plan {
    /// A plan in which all users arrive before any gets a second device.
    ///
    /// # Panics
    ///
    /// Panics if the devices cannot be divided equally among users.
    pub fn new(devices: u64, spelling: Spelling) -> Self {
        assert!(devices > 0 && devices.is_multiple_of(DEVICES_PER_USER));
        Self {
            devices,
            spelling,
            users_per_block: devices / DEVICES_PER_USER,
        }
    }

    /// A plan in which users arrive in blocks, so that at the end of each block every user has four
    /// devices.
    ///
    /// # Panics
    ///
    /// Panics if the devices do not fill whole blocks.
    pub fn in_blocks(devices: u64, spelling: Spelling, users_per_block: u64) -> Self {
        assert!(devices.is_multiple_of(users_per_block * DEVICES_PER_USER));
        Self {
            devices,
            spelling,
            users_per_block,
        }
    }

    /// The same plan for the first devices only.
    pub fn up_to(self, devices: u64) -> Self {
        Self { devices, ..self }
    }

    /// The number of users.
    pub fn users(&self) -> u64 {
        self.devices / DEVICES_PER_USER
    }

    /// The user of a device.
    pub fn user(&self, device: u64) -> u64 {
        let block = device / (self.users_per_block * DEVICES_PER_USER);
        let place = device % self.users_per_block * STRIDE % self.users_per_block;
        block * self.users_per_block + place
    }

    /// Whether the device is the last one of its user.
    fn is_last(&self, device: u64) -> bool {
        device / self.users_per_block % DEVICES_PER_USER == DEVICES_PER_USER - 1
    }

    /// The links of these devices, in order of arrival.
    pub fn links(&self, devices: std::ops::Range<u64>) -> Links {
        let mut devices_texts = Texts::new(self.spelling.text_bytes());
        let mut users_texts = Texts::new(crate::inputs::ids::USER_TEXT_BYTES);
        let are_last = devices.clone().map(|device| self.is_last(device)).collect();
        for device in devices {
            devices_texts.push_with(|text| self.spelling.write_device(device, text));
            users_texts.push_with(|text| write_user(self.user(device), text));
        }
        Links {
            devices: devices_texts,
            users: users_texts,
            spelling: self.spelling,
            are_last,
        }
    }

    /// `count` devices in a random order that depends on the seed. `percent_missing` percent of them
    /// were never linked.
    pub fn lookups(&self, count: u64, percent_missing: u64, seed: u64) -> Texts {
        let mut texts = Texts::new(self.spelling.text_bytes());
        for number in 0..count {
            let number = (seed << 40) | (number << 1);
            let mut device = scattered_below(number, self.devices);
            if scattered_below(number + 1, 100) < percent_missing {
                device += self.devices;
            }
            texts.push_with(|text| self.spelling.write_device(device, text));
        }
        texts
    }
}

/// One link as text.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The ID of the device.
    pub device: &'a str,
    /// The ID of its user.
    pub user: &'a str,
    /// The form of the device ID.
    pub spelling: Spelling,
    /// Whether the user has all its devices now.
    pub is_last: bool,
}

/// Links in order of arrival.
#[derive(Debug)]
pub struct Links {
    devices: Texts,
    users: Texts,
    spelling: Spelling,
    are_last: Vec<bool>,
}

impl Links {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The links one by one.
    pub fn iter(&self) -> impl Iterator<Item = Link<'_>> {
        let texts = self.devices.iter().zip(self.users.iter());
        texts
            .zip(&self.are_last)
            .map(|((device, user), &is_last)| Link {
                device,
                user,
                spelling: self.spelling,
                is_last,
            })
    }

    /// Only the devices, in the same order.
    pub fn devices(&self) -> &Texts {
        &self.devices
    }

    /// The user of each device, in the same order.
    pub fn users(&self) -> &Texts {
        &self.users
    }
}

/// Texts of equal length in one buffer: reading them in order causes no cache miss.
#[derive(Clone, Debug)]
pub struct Texts {
    bytes: String,
    text_bytes: usize,
}

impl Texts {
    fn new(text_bytes: usize) -> Self {
        Self {
            bytes: String::new(),
            text_bytes,
        }
    }

    fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.bytes);
        debug_assert!(self.bytes.len().is_multiple_of(self.text_bytes));
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.text_bytes
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The texts one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| &self.bytes[at * self.text_bytes..][..self.text_bytes])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_user_has_four_devices_and_the_last_is_known() {
        for plan in [
            Plan::new(4_000, Spelling::Uuid),
            Plan::in_blocks(4_000, Spelling::Sdk, 100),
        ] {
            let links = plan.links(0..plan.devices);
            assert_eq!(links.len(), 4_000);
            let mut devices_of: BTreeMap<&str, u64> = BTreeMap::new();
            for link in links.iter() {
                let devices = devices_of.entry(link.user).or_default();
                *devices += 1;
                assert_eq!(link.is_last, *devices == DEVICES_PER_USER);
            }
            assert_eq!(devices_of.len(), 1_000);
            assert!(
                devices_of
                    .values()
                    .all(|&devices| devices == DEVICES_PER_USER)
            );
        }
    }

    #[test]
    fn a_block_is_complete_at_its_end() {
        let plan = Plan::in_blocks(4_000, Spelling::Uuid, 100);
        let links = plan.links(0..800);
        assert!(links.iter().all(|link| link.user < "user-00000200"));
    }

    #[test]
    fn lookups_hit_except_for_the_missing_share() {
        let plan = Plan::new(400, Spelling::Uuid);
        let links = plan.links(0..400);
        let known: std::collections::BTreeSet<_> = links.devices().iter().collect();
        let hits = |percent_missing, seed| {
            let lookups = plan.lookups(1_000, percent_missing, seed);
            lookups.iter().filter(|id| known.contains(id)).count()
        };
        assert_eq!(hits(0, 1), 1_000);
        assert!((650..750).contains(&hits(30, 1)));
        let [one, two] = [1, 2].map(|seed| plan.lookups(9, 0, seed).bytes);
        assert_ne!(one, two);
    }
}
