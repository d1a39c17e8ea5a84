//! The state: which device belongs to which user, and rules S-5 to S-7 and S-10 on it.

use std::sync::{Arc, OnceLock};

use idmerge_core::{
    Claim, Cluster, ConcurrentReader, DistinctId, EngineError, Id, Outcome, Rejection,
};
use idmerge_state::{BATCH_IDS, Found, IdTable, Probe};

mod loader;
mod reader;

pub(crate) use loader::LinksLoader;
use reader::LinksReader;

/// The devices and users that are linked.
///
/// Every user has a device, since an unlinked ID has no cluster (S-10). So users are numbered in the
/// order in which they got their first device.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// The owner of a device is the number of its user.
    pub(crate) devices: IdTable<DeviceRow>,
    /// The owner of a user is [`NO_OWNER`].
    pub(crate) users: IdTable<UserRow>,
    /// Once somebody has asked for it.
    reader: OnceLock<Arc<dyn ConcurrentReader>>,
}

#[derive(Debug)]
pub(crate) struct DeviceRow {
    /// The next device of the same user, in the order of linking. For the last device, the first.
    next_device: u32,
}

#[derive(Debug)]
pub(crate) struct UserRow {
    last_device: u32,
}

/// Placeholder: a user row has no owner.
const NO_OWNER: u32 = 0;

/// Placeholder: a user that is loaded has no device yet. No device has this number.
const NO_DEVICE: u32 = IdTable::<DeviceRow>::MAX_IDS;

impl Links {
    /// Rules S-5 to S-7: weighs a link of this device. `found` is its entry, if it is linked.
    #[inline]
    pub(crate) fn weigh<'a>(
        &'a mut self,
        device: Id<'a>,
        probe: &Probe<'_>,
        found: Option<Found>,
        user: Id<'a>,
    ) -> Result<Outcome<'a>, EngineError> {
        let Some(Found { owner, .. }) = found else {
            // S-5
            self.link(probe, user)?;
            return Ok(Outcome::Merged);
        };
        let holder = self.users.id(owner);
        Ok(if holder == user {
            // S-6
            Outcome::AlreadyMerged
        } else {
            // S-7
            Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready {
                anon: device,
                holder,
            })
        })
    }

    /// S-5: links a device that is not linked yet.
    pub(crate) fn link(&mut self, device: &Probe<'_>, user: Id<'_>) -> Result<(), EngineError> {
        for (room, ids) in [
            (self.devices.room(), self.devices.len()),
            (self.users.room(), self.users.len()),
        ] {
            if room == 0 {
                let ids = u64::from(ids);
                return Err(EngineError::Full { ids });
            }
        }
        let number = self.devices.len();
        let probe = self.users.probe(user);
        let (user, next_device) = match self.users.find_with_row(&probe) {
            Some(Found { number: user, .. }) => {
                let row = self.users.row_mut(user);
                let before = std::mem::replace(&mut row.last_device, number);
                let before = &mut self.devices.row_mut(before).next_device;
                (user, std::mem::replace(before, number))
            }
            None => {
                let last_device = number;
                let user = self.users.insert(&probe, NO_OWNER, UserRow { last_device });
                (user, number)
            }
        };
        self.devices.insert(device, user, DeviceRow { next_device });
        Ok(())
    }

    /// What resolves devices while another thread links them.
    pub(crate) fn concurrent_reader(&self) -> &Arc<dyn ConcurrentReader> {
        self.reader.get_or_init(|| {
            Arc::new(LinksReader {
                devices: self.devices.reader(),
                users: self.users.reader(),
            })
        })
    }

    /// Looks up at most [`BATCH_IDS`] devices at once. `None` finds nothing.
    #[inline]
    pub(crate) fn find_devices<'p>(
        &self,
        devices: impl Iterator<Item = Option<Id<'p>>>,
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        // Resolving and weighing both need the user next.
        self.devices
            .find_all(devices, |device| self.users.prefetch(device.owner))
    }

    /// Prefetches the rows that linking the devices that were not found will need.
    pub(crate) fn prefetch_users(&self, claims: &[Claim<'_>], found: &[Option<Found>; BATCH_IDS]) {
        let mut probes = [Probe::default(); BATCH_IDS];
        let mut new = 0;
        for (claim, found) in claims.iter().zip(found) {
            if let (Claim::Link { user, .. }, None) = (claim, found) {
                probes[new] = self.users.probe(*user);
                new += 1;
            }
        }
        let mut users = [None; BATCH_IDS];
        self.users.guess(&probes[..new], &mut users);
        for user in users.iter().flatten() {
            self.users.prefetch_row(user.number);
        }
        for user in users.iter().flatten() {
            self.devices
                .prefetch_row(self.users.row(user.number).last_device);
        }
    }

    /// The number of the user that the device belongs to.
    #[inline]
    pub(crate) fn device_user(&self, device: Id<'_>) -> Option<u32> {
        let found = self.devices.find(&self.devices.probe(device))?;
        Some(found.owner)
    }

    /// The number of a user.
    pub(crate) fn user(&self, user: Id<'_>) -> Option<u32> {
        let found = self.users.find(&self.users.probe(user))?;
        Some(found.number)
    }

    /// The devices of a user in the order in which they were linked.
    pub(crate) fn devices_of(&self, user: u32) -> impl Iterator<Item = Id<'_>> {
        let last = self.users.row(user).last_device;
        let first = self.devices.row(last).next_device;
        std::iter::successors(Some(first), move |&device| {
            (device != last).then(|| self.devices.row(device).next_device)
        })
        .map(|device| self.devices.id(device))
    }

    /// S-10, in part: at most `limit` members after a member, or the first ones.
    pub(crate) fn members_after(
        &self,
        user: u32,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Vec<DistinctId<'_>> {
        let canonical = DistinctId::plain(self.users.id(user));
        let last = self.users.row(user).last_device;
        let (first, device) = match after {
            None => (Some(canonical), last),
            Some(after) if after == canonical => (None, last),
            Some(after) if !after.is_device() => return Vec::new(),
            Some(after) => match self.devices.find(&self.devices.probe(after.id())) {
                Some(found) if found.owner == user && found.number != last => (None, found.number),
                _ => return Vec::new(),
            },
        };
        // The device after the last one is the first one.
        let next = self.devices.row(device).next_device;
        let devices = std::iter::successors(Some(next), |&device| {
            (device != last).then(|| self.devices.row(device).next_device)
        });
        let devices = devices.map(|device| DistinctId::device(self.devices.id(device)));
        first.into_iter().chain(devices).take(limit).collect()
    }

    /// S-10: the user, then its devices.
    pub(crate) fn cluster(&self, user: u32) -> Cluster<'_> {
        Cluster {
            canonical: DistinctId::plain(self.users.id(user)),
            members: self.members(user).collect(),
        }
    }

    /// S-10, in parts of at most this many members.
    pub(crate) fn cluster_parts(
        &self,
        user: u32,
        members_max: usize,
    ) -> impl Iterator<Item = Cluster<'_>> {
        let canonical = DistinctId::plain(self.users.id(user));
        let mut members = self.members(user);
        std::iter::from_fn(move || {
            let members: Vec<_> = members.by_ref().take(members_max.max(1)).collect();
            (!members.is_empty()).then_some(Cluster { canonical, members })
        })
    }

    fn members(&self, user: u32) -> impl Iterator<Item = DistinctId<'_>> {
        let canonical = DistinctId::plain(self.users.id(user));
        let devices = self.devices_of(user).map(DistinctId::device);
        std::iter::once(canonical).chain(devices)
    }
}
