//! Rules S-5 to S-10: the state and what changes it.

use std::{fmt, io};

use idmerge_core::{
    Claim, Cluster, DistinctId, Event, Id, IdRules, IdentityResolver, Outcome, Reading, Refused,
    Rejection, ResolveError, RuleBook, SnapshotError,
};
use idmerge_state::IdTable;

use crate::{reading, snapshot};

/// What a project chooses of Simplified ID Merge. The default is what the rules document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct Settings {
    /// What is taken for an id (rules ID-2 and ID-4).
    pub id_rules: IdRules,
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

impl IdentityResolver for Simplified {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Simplified
    }

    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, Refused> {
        reading::read(&self.settings.id_rules, event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, ResolveError> {
        let Claim::Link { device, user } = claim else {
            return Ok(Outcome::Ignored);
        };
        match self.links.device_user(device) {
            // S-5
            None => {
                self.links.link(device, user)?;
                Ok(Outcome::Merged)
            }
            Some(number) => {
                let holder = self.links.users.id(number);
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
        }
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

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        let user = if id.is_device() {
            self.links.device_user(id.id())
        } else {
            self.links.users.number(id.id())
        };
        user.map(|user| self.links.cluster(user))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new((0..self.links.users.len()).map(|user| self.links.cluster(user)))
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
    pub(crate) devices: IdTable,
    pub(crate) users: IdTable,
    /// Of each device: the number of its user, and of the next device of that user.
    device_rows: Vec<DeviceRow>,
    /// Of each user: the numbers of its first and last device.
    user_rows: Vec<UserRow>,
}

#[derive(Debug)]
struct DeviceRow {
    user: u32,
    next_device: Option<DeviceNumber>,
}

#[derive(Debug)]
struct UserRow {
    first_device: u32,
    last_device: u32,
}

/// The number of a device that is not a user's first, and so never 0.
type DeviceNumber = std::num::NonZeroU32;

impl Links {
    /// S-5: a device that is not linked becomes the user's.
    pub(crate) fn link(&mut self, device: Id<'_>, user: Id<'_>) -> Result<(), ResolveError> {
        for table in [&self.devices, &self.users] {
            if table.room() == 0 {
                let ids = u64::from(table.len());
                return Err(ResolveError::Full { ids });
            }
        }
        let device = self.devices.intern(device);
        let user = self.users.intern(user);
        self.device_rows.push(DeviceRow {
            user,
            next_device: None,
        });
        match self.user_rows.get_mut(user as usize) {
            Some(row) => {
                let before = std::mem::replace(&mut row.last_device, device);
                self.device_rows[before as usize].next_device = DeviceNumber::new(device);
            }
            None => self.user_rows.push(UserRow {
                first_device: device,
                last_device: device,
            }),
        }
        Ok(())
    }

    /// The number of the user whose device this is.
    fn device_user(&self, device: Id<'_>) -> Option<u32> {
        let device = self.devices.number(device)?;
        Some(self.device_rows[device as usize].user)
    }

    /// The devices of a user in the order in which they were linked.
    pub(crate) fn devices_of(&self, user: u32) -> impl Iterator<Item = Id<'_>> {
        let first = self.user_rows[user as usize].first_device;
        std::iter::successors(Some(first), |&device| {
            let next = self.device_rows[device as usize].next_device;
            next.map(DeviceNumber::get)
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
    use idmerge_core::IdentityResolverExt;

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
        assert!(matches!(error, ResolveError::Full { ids: 1 }));
        assert_eq!(members(&engine, "U1").unwrap(), ["U1", "$device:D1"]);
        assert_eq!(resolved(&engine, "$device:D2"), "$device:D2");
    }
}
