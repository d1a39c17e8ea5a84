//! Rules S-5 to S-10: the state and what changes it.

use std::{fmt, io};

use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, Id, IdRules, IdentityResolver, InvalidEvent,
    Outcome, Reading, Rejection, Resolve, RuleBook, SnapshotError,
};
use idmerge_state::{BATCH_IDS, Found, IdTable, Probe};

use crate::{reading, snapshot};

/// What a project chooses of Simplified ID Merge. The default is what the rules document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Settings {
    /// What is taken for an id (rules ID-2 and ID-4).
    pub id_rules: IdRules,
}

impl Settings {
    /// Reads which user an event belongs to, and what it claims. Needs no engine.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] as [`IdentityResolver::read`].
    #[inline]
    pub fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        reading::read(&self.id_rules, event)
    }
}

/// The engine of Simplified ID Merge, in memory. See the [crate](crate) for what it does.
///
/// Its errors: none, until it holds 4,294,967,295 devices or as many users.
#[derive(Default)]
pub struct Simplified {
    settings: Settings,
    links: Links,
}

impl Simplified {
    /// An engine that knows of no link.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            links: Links::default(),
        }
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl fmt::Debug for Simplified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simplified")
            .field("devices", &self.links.devices.len())
            .field("users", &self.links.users.len())
            .finish_non_exhaustive()
    }
}

impl Resolve for Simplified {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Simplified
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        // S-9
        if !id.is_device() {
            return id;
        }
        match self.links.device_user(id.id()) {
            Some(user) => DistinctId::plain(self.links.users.id(user)),
            None => id,
        }
    }

    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        for ids in ids.chunks_mut(BATCH_IDS) {
            let devices = ids.iter().map(|id| id.is_device().then(|| id.id()));
            let (_, found) = self.links.find_devices(devices);
            for (id, found) in ids.iter_mut().zip(found) {
                if let Some(device) = found {
                    *id = DistinctId::plain(self.links.users.id(device.owner));
                }
            }
        }
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        let user = if id.is_device() {
            self.links.device_user(id.id())
        } else {
            self.links.user(id.id())
        };
        user.map(|user| self.links.cluster(user))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new((0..self.links.users.len()).map(|user| self.links.cluster(user)))
    }
}

impl IdentityResolver for Simplified {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.settings.read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        let Claim::Link { device, user } = claim else {
            return Ok(Outcome::Ignored);
        };
        let probe = self.links.devices.probe(device);
        let found = self.links.devices.find(&probe);
        self.links.weigh(device, &probe, found, user)
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        for claims in claims.chunks(BATCH_IDS) {
            let devices = claims.iter().map(|claim| match claim {
                Claim::Link { device, .. } => Some(*device),
                _ => None,
            });
            let (probes, found) = self.links.find_devices(devices);
            self.links.prefetch_users(claims, &found);
            for ((&claim, probe), found) in claims.iter().zip(&probes).zip(found) {
                let Claim::Link { device, user } = claim else {
                    outcome(Outcome::Ignored);
                    continue;
                };
                // A device that was not linked may have been meanwhile.
                let found = found.or_else(|| self.links.devices.find(probe));
                outcome(self.links.weigh(device, probe, found, user)?);
            }
        }
        Ok(())
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        snapshot::write(&self.links, sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.links = snapshot::read(source)?;
        Ok(())
    }
}

/// The state: which device belongs to which user.
///
/// Each user has a device, since a user comes in with the first one (S-10: an unlinked ID has no
/// cluster). So users are numbered by when they got their first device.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// The owner of a device is its user.
    pub(crate) devices: IdTable<DeviceRow>,
    /// A user has no owner.
    pub(crate) users: IdTable<UserRow>,
}

#[derive(Debug)]
pub(crate) struct DeviceRow {
    /// The number of the device of this user that was linked after it; of the last one, the first.
    next_device: u32,
}

#[derive(Debug)]
pub(crate) struct UserRow {
    last_device: u32,
}

/// Where a number is to stand that nobody reads.
const NO_OWNER: u32 = 0;

impl Links {
    /// Rules S-5 to S-7: what becomes of a link of this device, which was found if it is linked
    /// already.
    #[inline]
    fn weigh<'a>(
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

    /// S-5: a device that is not linked becomes the user's.
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
        let (user, next_device) = match self.users.find(&probe) {
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

    /// Looks for up to [`BATCH_IDS`] devices. `None` is nobody's device, and is not found.
    #[inline]
    fn find_devices<'p>(
        &self,
        devices: impl Iterator<Item = Option<Id<'p>>>,
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        // The user is needed next, whatever for.
        self.devices
            .find_all(devices, |user| self.users.prefetch(user))
    }

    /// Asks for what linking the devices that were not found will need of their users.
    fn prefetch_users(&self, claims: &[Claim<'_>], found: &[Option<Found>; BATCH_IDS]) {
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
            self.devices
                .prefetch(self.users.row(user.number).last_device);
        }
    }

    /// The number of the user whose device this is.
    #[inline]
    fn device_user(&self, device: Id<'_>) -> Option<u32> {
        let found = self.devices.find(&self.devices.probe(device))?;
        Some(found.owner)
    }

    /// The number of a user who has a device.
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

    /// S-10: the user, then its devices.
    fn cluster(&self, user: u32) -> Cluster<'_> {
        let canonical = DistinctId::plain(self.users.id(user));
        let devices = self.devices_of(user).map(DistinctId::device);
        Cluster {
            canonical,
            members: std::iter::once(canonical).chain(devices).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::{IdentityResolverExt, ResolveExt};

    use super::*;

    fn id(text: &str) -> Id<'_> {
        Id::new(text).unwrap()
    }

    fn link<'a>(device: &'a str, user: &'a str) -> Claim<'a> {
        Claim::Link {
            device: id(device),
            user: id(user),
        }
    }

    fn engine(links: &[(&str, &str)]) -> Simplified {
        let mut engine = Simplified::default();
        for (device, user) in links {
            engine.apply(link(device, user)).unwrap();
        }
        engine
    }

    fn resolved(engine: &Simplified, text: &str) -> String {
        let id = engine.read_id(text).unwrap();
        engine.resolve(id).to_string()
    }

    fn members(engine: &Simplified, text: &str) -> Option<Vec<String>> {
        let cluster = engine.cluster(engine.read_id(text).unwrap())?;
        assert_eq!(cluster.canonical, cluster.members[0]);
        Some(cluster.members.iter().map(DistinctId::to_string).collect())
    }

    #[test]
    fn s_5_the_first_event_with_both_ids_links_the_device() {
        let mut engine = Simplified::default();
        assert_eq!(resolved(&engine, "$device:D1"), "$device:D1");
        assert_eq!(engine.apply(link("D1", "U1")).unwrap(), Outcome::Merged);
        assert_eq!(resolved(&engine, "$device:D1"), "U1");
    }

    #[test]
    fn s_6_the_same_link_again_changes_nothing() {
        let mut engine = engine(&[("D1", "U1")]);
        assert_eq!(
            engine.apply(link("D1", "U1")).unwrap(),
            Outcome::AlreadyMerged
        );
        assert_eq!(members(&engine, "U1").unwrap(), ["U1", "$device:D1"]);
    }

    #[test]
    fn s_7_a_linked_device_stays_with_its_user() {
        let mut engine = engine(&[("D1", "U1")]);
        assert_eq!(
            engine.apply(link("D1", "U2")).unwrap(),
            Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready {
                anon: id("D1"),
                holder: id("U1"),
            }),
        );
        assert_eq!(resolved(&engine, "$device:D1"), "U1");
        assert_eq!(members(&engine, "U2"), None);
    }

    #[test]
    fn s_8_claims_of_the_other_rule_book_are_ignored() {
        let mut engine = engine(&[("D1", "U1")]);
        let (a, b) = (id("D1"), id("U2"));
        for claim in [
            Claim::Identify {
                identified: b,
                anon: a,
            },
            Claim::Alias {
                distinct_id: b,
                alias: a,
            },
            Claim::Merge {
                first: b,
                second: a,
            },
        ] {
            assert_eq!(engine.apply(claim).unwrap(), Outcome::Ignored);
        }
        assert_eq!(members(&engine, "U2"), None);
    }

    #[test]
    fn s_9_devices_and_users_are_two_namespaces() {
        let engine = engine(&[("X", "U1"), ("U1", "X")]);
        assert_eq!(resolved(&engine, "$device:X"), "U1");
        assert_eq!(resolved(&engine, "$device:U1"), "X");
        assert_eq!(resolved(&engine, "X"), "X");
        assert_eq!(resolved(&engine, "U1"), "U1");
    }

    #[test]
    fn s_9_whoever_resolves_to_one_id_is_one_user() {
        let engine = engine(&[("D1", "U1"), ("D2", "U1"), ("D3", "U2")]);
        let device = |text| DistinctId::device(id(text));
        assert!(engine.same_user(device("D1"), device("D2")));
        assert!(engine.same_user(device("D1"), DistinctId::plain(id("U1"))));
        assert!(!engine.same_user(device("D1"), device("D3")));
    }

    #[test]
    fn s_10_a_cluster_is_the_user_and_its_devices_in_the_order_of_linking() {
        let engine = engine(&[("D9", "U2"), ("D5", "U1"), ("D1", "U2"), ("D7", "U2")]);
        let expected = ["U2", "$device:D9", "$device:D1", "$device:D7"];
        assert_eq!(members(&engine, "$device:D1").unwrap(), expected);
        assert_eq!(members(&engine, "U2").unwrap(), expected);
        for unlinked in ["$device:D2", "D9", "$device:U2"] {
            assert_eq!(members(&engine, unlinked), None);
        }
        let users: Vec<_> = engine.clusters().map(|c| c.canonical.to_string()).collect();
        assert_eq!(users, ["U2", "U1"]);
    }

    #[test]
    fn an_engine_has_the_settings_that_it_was_made_with() {
        let settings = Settings {
            id_rules: IdRules::new(9, ["x"]),
        };
        assert_eq!(Simplified::new(settings.clone()).settings(), &settings);
    }

    #[test]
    fn an_engine_is_shown_by_its_size() {
        let engine = engine(&[("D1", "U1"), ("D2", "U1")]);
        let shown = "Simplified { devices: 2, users: 1, .. }";
        assert_eq!(format!("{engine:?}"), shown);
    }

    #[test]
    fn a_full_engine_says_so_and_keeps_its_state() {
        let mut engine = engine(&[]);
        engine.links.devices = IdTable::with_max_ids(2);
        engine.links.users = IdTable::with_max_ids(1);
        engine.apply(link("D1", "U1")).unwrap();
        let error = engine.apply(link("D2", "U2")).unwrap_err();
        assert!(matches!(error, EngineError::Full { ids: 1 }));
        assert_eq!(members(&engine, "U1").unwrap(), ["U1", "$device:D1"]);
        assert_eq!(resolved(&engine, "$device:D2"), "$device:D2");
    }
}
