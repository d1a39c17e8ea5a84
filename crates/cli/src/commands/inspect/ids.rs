//! What the events say about each ID: whether it is a user or a device, and which users a device has.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault};

use foldhash::quality::RandomState;
use idmerge_core::{DistinctId, Event, Id, IdProperty, IdRules, Resolve, Value};
use idmerge_lint::{IdKind, Shown, each_named_id};
use serde::Serialize;

use crate::output::users::NoHasher;

/// A map from the hash of an ID, so that no ID is kept that is in no cluster.
pub(super) type ByHash<T> = HashMap<u64, T, BuildHasherDefault<NoHasher>>;

/// The IDs that events name, by the hash of the ID without the prefix `$device:`.
#[derive(Debug, Default)]
pub(super) struct Kinds(ByHash<IdKind>);

impl Kinds {
    /// Adds the IDs that an event names.
    pub(super) fn add_event(&mut self, event: &Event<'_>, rules: &IdRules, hasher: &RandomState) {
        each_named_id(event, rules, |id, kind| {
            if !kind.is_empty() {
                self.add_kind(hash_of(id, hasher), kind);
            }
        });
    }

    fn add_kind(&mut self, id: u64, kind: IdKind) {
        let known = self.0.entry(id).or_default();
        *known = known.and(kind);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (id, kind) in &other.0 {
            self.add_kind(*id, *kind);
        }
    }

    /// Whether the ID with this hash is anonymous.
    pub(super) fn is_anonymous(&self, hash: u64) -> bool {
        self.0.get(&hash).is_some_and(|kind| kind.is_anonymous())
    }

    /// The anonymous IDs by their form.
    pub(super) fn anonymous_ids(&self) -> AnonymousIds {
        let mut count = AnonymousIds::default();
        for kind in self.0.values().filter(|kind| kind.is_anonymous()) {
            *if kind.has(IdKind::UUID_V4) {
                &mut count.uuid_v4
            } else if kind.has(IdKind::SDK_FORM) {
                &mut count.other_sdk_form
            } else {
                &mut count.other_form
            } += 1;
        }
        count
    }
}

fn read<'e>(rules: &IdRules, property: IdProperty, value: Value<'e>) -> Option<DistinctId<'e>> {
    let text = rules.text(property, value).ok()??;
    rules.distinct_id(property, text).ok()
}

/// The number of anonymous IDs of each form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct AnonymousIds {
    /// ID-6
    pub(super) uuid_v4: u64,
    /// Another UUID, or what browser SDKs made before 2025 (O-8).
    pub(super) other_sdk_form: u64,
    pub(super) other_form: u64,
}

/// The IDs that an export has moved to another ID, and that other ID: the hashes of both, without prefix.
#[derive(Debug, Default)]
pub(super) struct Moves(ByHash<u64>);

impl Moves {
    pub(super) fn add_event(&mut self, event: &Event<'_>, rules: &IdRules, hasher: &RandomState) {
        if event.distinct_id_before_identity.is_absent() {
            return;
        }
        let id = |value| read(rules, IdProperty::DistinctId, value).map(|it| it.id());
        let ids = (id(event.distinct_id_before_identity), id(event.distinct_id));
        if let (Some(before), Some(after)) = ids
            && before != after
        {
            let [before, after] = [before, after].map(|id| hash_of(id, hasher));
            self.0.insert(before, after);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// How many of the moved IDs are in one cluster with the ID that they were moved to.
    pub(super) fn explained_by(&self, engine: &dyn Resolve, hasher: &RandomState) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        let mut clusters: ByHash<usize> = ByHash::default();
        for (number, cluster) in engine.clusters().enumerate() {
            let members = cluster.members.iter();
            clusters.extend(members.map(|member| (hash_of(member.id(), hasher), number)));
        }
        let is_explained = |(before, after): &(&u64, &u64)| {
            let cluster = clusters.get(before);
            cluster.is_some() && cluster == clusters.get(after)
        };
        self.0.iter().filter(is_explained).count() as u64
    }
}

/// The hash of an ID, with or without the prefix of a device.
pub(super) fn hash_of(id: Id<'_>, hasher: &RandomState) -> u64 {
    hasher.hash_one(DistinctId::plain(id))
}

/// The users of each device that an event shows with a user. All are hashes.
#[derive(Debug, Default)]
pub(super) struct Devices {
    of: ByHash<DeviceUsers>,
    /// The users.
    users: HashSet<u64, BuildHasherDefault<NoHasher>>,
    missing: MissingResets,
}

#[derive(Debug)]
struct DeviceUsers {
    first: u64,
    last: u64,
    has_several: bool,
}

/// A call of `reset()` gives a device a new ID. So if events show one device ID with one user, and then
/// with another, a call is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct MissingResets {
    /// How often a device is shown with another user than the last time.
    pub(super) calls: u64,
    /// The devices with a missing call.
    pub(super) devices: u64,
    /// The events that show a device with another user than its first one.
    pub(super) events: u64,
}

/// The hashes of a device and of a user that an event shows together.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownHashes {
    device: u64,
    user: u64,
    /// Whether the event shows the user with another device too.
    is_shown_otherwise: bool,
}

impl ShownHashes {
    pub(super) fn of_event(all: &[Shown<'_>], hasher: &RandomState) -> impl Iterator<Item = Self> {
        all.iter().map(|shown| Self {
            device: hash_of(shown.device, hasher),
            user: hash_of(shown.user, hasher),
            is_shown_otherwise: all.len() > 1,
        })
    }
}

impl Devices {
    /// Adds what events show, in arrival order.
    pub(super) fn add(&mut self, all: &[ShownHashes]) {
        for shown in all {
            self.users.insert(shown.user);
            if self.users.contains(&shown.device) {
                // A login while another user is logged in: the SDK names that user as the anonymous ID.
                if shown.is_shown_otherwise {
                    continue;
                }
                if !self.of.contains_key(&shown.device) {
                    self.show(shown.device, shown.device);
                }
            }
            self.show(shown.device, shown.user);
        }
    }

    fn show(&mut self, device: u64, user: u64) {
        let users = self.of.entry(device).or_insert(DeviceUsers {
            first: user,
            last: user,
            has_several: false,
        });
        if users.last != user {
            users.last = user;
            self.missing.calls += 1;
            self.missing.devices += u64::from(!users.has_several);
            users.has_several = true;
        }
        self.missing.events += u64::from(users.first != user);
    }

    /// The number of devices that events show with a user.
    pub(super) fn count(&self) -> u64 {
        self.of.len() as u64
    }

    pub(super) fn missing_resets(&self) -> MissingResets {
        self.missing
    }
}
