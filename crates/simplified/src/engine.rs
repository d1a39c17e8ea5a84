//! Rules S-5 to S-10: the state, and how claims change it.

use std::sync::Arc;
use std::{fmt, io};

use idmerge_core::{
    Claim, Cluster, ConcurrentReader, DistinctId, EngineError, Event, IdRules, IdentityResolver,
    ImageSink, ImageSource, InvalidEvent, Outcome, Reading, Resolve, RuleBook, SnapshotError,
};
use idmerge_state::BATCH_IDS;

use crate::links::Links;
use crate::{image, reading, snapshot};

/// The settings of Simplified ID Merge. The defaults are those of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Settings {
    /// Which texts are IDs (rules ID-2 and ID-4).
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

/// The engine of Simplified ID Merge, in memory. The documentation of the [crate](crate) describes
/// it.
///
/// It fails only when it holds 4,294,967,295 devices, or as many users, and gets another one.
#[derive(Default)]
pub struct Simplified {
    settings: Settings,
    pub(crate) links: Links,
}

impl Simplified {
    /// An engine without links.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            links: Links::default(),
        }
    }

    /// The settings of this engine.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The number of the user in the cluster of this ID.
    fn user_of(&self, id: DistinctId<'_>) -> Option<u32> {
        if id.is_device() {
            self.links.device_user(id.id())
        } else {
            self.links.user(id.id())
        }
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
        self.user_of(id).map(|user| self.links.cluster(user))
    }

    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        // The user, and its devices.
        let members = |user| 1 + self.links.devices_of(user).count();
        self.user_of(id).map_or(0, members)
    }

    fn is_clustered(&self, id: DistinctId<'_>) -> bool {
        // A user can have any number of devices, so they are not counted.
        self.user_of(id).is_some()
    }

    fn clustered_ids(&self) -> usize {
        self.links.devices.len() as usize + self.links.users.len() as usize
    }

    fn members_after<'a>(
        &'a self,
        id: DistinctId<'a>,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Option<Vec<DistinctId<'a>>> {
        let user = self.user_of(id)?;
        Some(self.links.members_after(user, after, limit))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new((0..self.links.users.len()).map(|user| self.links.cluster(user)))
    }

    fn cluster_parts(&self, members_max: usize) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        let parts = move |user| self.links.cluster_parts(user, members_max);
        Box::new((0..self.links.users.len()).flat_map(parts))
    }

    fn concurrent_reader(&self) -> Option<&Arc<dyn ConcurrentReader>> {
        Some(self.links.concurrent_reader())
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
                // An earlier claim of this batch may have linked the device.
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

    fn write_image(
        &self,
        snapshot: &mut dyn io::Read,
        sink: &mut dyn ImageSink,
    ) -> Result<bool, SnapshotError> {
        image::write(snapshot, sink)?;
        Ok(true)
    }

    fn read_image(&mut self, image: &dyn ImageSource) -> Result<(), SnapshotError> {
        self.links = image::read(image)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Id, IdentityResolverExt, Rejection, ResolveExt};
    use idmerge_state::IdTable;

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
    fn s_10_the_parts_of_a_cluster_have_its_members_in_order() {
        let links = [("D1", "U1"), ("D2", "U2"), ("D3", "U1"), ("D4", "U1")];
        let engine = engine(&links);
        let parts = |members_max| {
            let parts = engine.cluster_parts(members_max);
            let parts = parts.map(|part| (part.canonical.to_string(), part.members.len()));
            parts.collect::<Vec<_>>()
        };
        let [first, second] = ["U1", "U2"].map(str::to_owned);
        let whole = [(first.clone(), 4), (second.clone(), 2)];
        assert_eq!(parts(4), whole);
        assert_eq!(parts(usize::MAX), whole);
        assert_eq!(parts(3), [(first.clone(), 3), (first, 1), (second, 2)]);
        for members_max in 0..6 {
            let members = engine.cluster_parts(members_max);
            let members = members.flat_map(|part| part.members);
            assert!(members.eq(engine.clusters().flat_map(|cluster| cluster.members)));
        }
        assert_eq!(parts(0), parts(1));
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
    fn s_9_ids_that_resolve_to_one_id_are_one_user() {
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
        let id = engine.read_id("U2").unwrap();
        let devices = engine.members_after(id, engine.read_id("$device:D9").ok(), 9);
        let devices = devices.unwrap();
        assert_eq!(
            devices
                .iter()
                .map(DistinctId::to_string)
                .collect::<Vec<_>>(),
            expected[2..]
        );
        for no_member in ["$device:D5", "$device:D7", "$device:D2", "U1"] {
            let after = engine.read_id(no_member).ok();
            assert_eq!(
                engine.members_after(id, after, 9),
                Some(Vec::new()),
                "{no_member}"
            );
        }
        for unlinked in ["$device:D2", "D9", "$device:U2"] {
            assert_eq!(members(&engine, unlinked), None);
        }
        let users: Vec<_> = engine.clusters().map(|c| c.canonical.to_string()).collect();
        assert_eq!(users, ["U2", "U1"]);
    }

    #[test]
    fn an_engine_keeps_its_settings() {
        let settings = Settings {
            id_rules: IdRules::new(9, ["x"]),
        };
        assert_eq!(Simplified::new(settings.clone()).settings(), &settings);
    }

    #[test]
    fn debug_output_shows_the_size_of_an_engine() {
        let engine = engine(&[("D1", "U1"), ("D2", "U1")]);
        let shown = "Simplified { devices: 2, users: 1, .. }";
        assert_eq!(format!("{engine:?}"), shown);
    }

    #[test]
    fn a_full_engine_returns_an_error_and_keeps_its_state() {
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
