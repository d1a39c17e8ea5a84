//! What events say about IDs: which kind each one is, and which device is shown with which user.

use idmerge_core::one_namespace::{alias_ids, anon_id, identified_id};
use idmerge_core::{Claim, DistinctId, Event, Id, IdProperty, IdRules, Value};
use idmerge_engines::AnonIdFormat;

/// What the events say about an ID, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdKind(u8);

impl IdKind {
    /// `$user_id`, or the identified ID of `$identify`.
    pub const USER: Self = Self(1);
    /// `$device_id`, an anonymous ID of `$identify`, or an ID after `$device:`.
    pub const DEVICE: Self = Self(2);
    /// The alias of `$create_alias`.
    pub const ALIAS: Self = Self(4);
    /// ID-6
    pub const UUID_V4: Self = Self(8);
    /// A form that SDKs give to anonymous IDs, UUIDv4 included.
    pub const SDK_FORM: Self = Self(16);
    /// `$device_id`, or an ID after `$device:`. It is a [`DEVICE`](Self::DEVICE) too.
    pub const DEVICE_ID: Self = Self(32);

    /// Whether it has one of these bits.
    pub const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 != 0
    }

    /// Whether nothing is known.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The form of an ID, which the text alone tells.
    pub fn form_of(id: Id<'_>) -> Self {
        let text = id.text();
        match &*text {
            text if AnonIdFormat::UuidV4.accepts(text) => Self::UUID_V4.and(Self::SDK_FORM),
            text if AnonIdFormat::Sdk.accepts(text) => Self::SDK_FORM,
            _ => Self(0),
        }
    }

    /// Whether the ID is anonymous: no event names it as a user, and it is named as a device, or looks
    /// like an anonymous ID of an SDK and is no alias.
    pub fn is_anonymous(self) -> bool {
        !self.has(Self::USER)
            && (self.has(Self::DEVICE) || (self.has(Self::SDK_FORM) && !self.has(Self::ALIAS)))
    }
}

/// Calls `name` with each ID that an event names, without the prefix `$device:`, and what this says about it.
/// IDs that are not valid are passed over.
pub fn each_named_id<'e>(event: &Event<'e>, rules: &IdRules, mut name: impl FnMut(Id<'e>, IdKind)) {
    let mut name = |id: Id<'e>, kind: IdKind| name(id, kind.and(IdKind::form_of(id)));
    for (property, value) in [
        (IdProperty::UserId, event.user_id),
        (IdProperty::DeviceId, event.device_id),
        (IdProperty::DistinctId, event.distinct_id),
        (IdProperty::DistinctId, event.distinct_id_before_identity),
    ] {
        let Some(id) = read(rules, property, value) else {
            continue;
        };
        let kind = match property {
            IdProperty::DeviceId => IdKind::DEVICE.and(IdKind::DEVICE_ID),
            _ if id.is_device() => IdKind::DEVICE.and(IdKind::DEVICE_ID),
            IdProperty::UserId => IdKind::USER,
            _ => IdKind::default(),
        };
        name(id.id(), kind);
    }
    match event.name {
        Event::IDENTIFY => {
            let (user, anon) = (identified_id(rules, event).ok(), anon_id(rules, event).ok());
            if let Some(anon) = anon {
                name(anon, IdKind::DEVICE);
            }
            // A call of `identify` without an ID names the device twice.
            if let Some(user) = user.filter(|user| anon != Some(*user)) {
                name(user, IdKind::USER);
            }
        }
        Event::CREATE_ALIAS => {
            if let Ok([_, alias]) = alias_ids(rules, event) {
                name(alias, IdKind::ALIAS);
            }
        }
        _ => {}
    }
}

/// Whether an event carries a user ID (S-0).
pub fn has_user_id(event: &Event<'_>, rules: &IdRules) -> bool {
    read(rules, IdProperty::UserId, event.user_id).is_some_and(|id| !id.is_device())
}

fn read<'e>(rules: &IdRules, property: IdProperty, value: Value<'e>) -> Option<DistinctId<'e>> {
    let text = rules.text(property, value).ok()??;
    rules.distinct_id(property, text).ok()
}

/// A device that a claim shows with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'e> {
    /// The device, or the anonymous ID, without the prefix `$device:`.
    pub device: Id<'e>,
    /// The user.
    pub user: Id<'e>,
}

impl<'e> Shown<'e> {
    /// The device and the user that a claim shows together, if it does.
    pub fn by(claim: &Claim<'e>) -> Option<Self> {
        let (device, user) = match *claim {
            Claim::Link { device, user } => (device, user),
            Claim::Identify { identified, anon } if identified != anon => (anon, identified),
            // A sign-up in the way of Legacy. An alias of a user ID shows no device.
            Claim::Alias { distinct_id, alias } => {
                let is_anonymous = |id| IdKind::form_of(id).has(IdKind::SDK_FORM);
                if !is_anonymous(distinct_id) || is_anonymous(alias) {
                    return None;
                }
                (distinct_id, alias)
            }
            _ => return None,
        };
        Some(Self { device, user })
    }
}
