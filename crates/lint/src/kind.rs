//! The kinds of findings.

use std::fmt;
use std::str::FromStr;

use idmerge_core::RuleBook;

/// What a finding costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It changes no figure now, and can later.
    Note,
    /// Some events belong to the wrong person, or to nobody.
    Warning,
    /// People are joined who are not one, or logins and events are lost, wherever the code runs.
    Error,
}

impl Severity {
    /// Every severity, the worst one first.
    pub const ALL: [Self; 3] = [Self::Error, Self::Warning, Self::Note];

    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Events are refused because an ID is a value that code sends by mistake, or no ID at all (ID-2 to ID-5, O-1).
    JunkId,
    /// An ID is the name of a variable, or a template that was not filled in.
    PlaceholderId,
    /// A device ID has more users than people share a device.
    SharedDevice,
    /// Claims are rejected because a cluster is full (O-12).
    ClusterOverCap,
    /// `$identify` is rejected because the anonymous ID is no UUIDv4 (O-8).
    AnonIdNotUuid,
    /// Identity events are refused because an ID is missing (O-3 to O-5).
    IncompleteIdentityEvent,
    /// A device passes from one user to another without a reset.
    MissingReset,
    /// A device has the user whose event arrived first, and another user's happened before.
    OrderDecided,
    /// An ID has far more events, or far more devices, than others.
    HotId,
    /// A cluster has at least 90 % of the IDs that it may have.
    ClusterNearCap,
    /// An alias is rejected because another user has it (O-9, L-6).
    AliasTaken,
    /// A claim is rejected because its anonymous ID belongs to another user (O-11).
    AnonIdTaken,
    /// A device ID is sent as the ID of a user (S-3).
    DeviceIdAsUser,
    /// Events have no ID, and belong to nobody (S-4).
    NoId,
    /// An identity event names one ID twice (O-7, L-5).
    SameIds,
    /// A cluster has anonymous IDs alone.
    AnonymousCluster,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::JunkId,
        Self::PlaceholderId,
        Self::SharedDevice,
        Self::ClusterOverCap,
        Self::AnonIdNotUuid,
        Self::IncompleteIdentityEvent,
        Self::MissingReset,
        Self::OrderDecided,
        Self::HotId,
        Self::ClusterNearCap,
        Self::AliasTaken,
        Self::AnonIdTaken,
        Self::DeviceIdAsUser,
        Self::NoId,
        Self::SameIds,
        Self::AnonymousCluster,
    ];

    /// The name, such as `missing-reset`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JunkId => "junk-id",
            Self::PlaceholderId => "placeholder-id",
            Self::SharedDevice => "shared-device",
            Self::ClusterOverCap => "cluster-over-cap",
            Self::AnonIdNotUuid => "anon-id-not-uuid",
            Self::IncompleteIdentityEvent => "incomplete-identity-event",
            Self::MissingReset => "missing-reset",
            Self::OrderDecided => "order-decided",
            Self::HotId => "hot-id",
            Self::ClusterNearCap => "cluster-near-cap",
            Self::AliasTaken => "alias-taken",
            Self::AnonIdTaken => "anon-id-taken",
            Self::DeviceIdAsUser => "device-id-as-user",
            Self::NoId => "no-id",
            Self::SameIds => "same-ids",
            Self::AnonymousCluster => "anonymous-cluster",
        }
    }

    /// How bad it is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::JunkId
            | Self::PlaceholderId
            | Self::SharedDevice
            | Self::ClusterOverCap
            | Self::AnonIdNotUuid
            | Self::IncompleteIdentityEvent => Severity::Error,
            Self::MissingReset
            | Self::OrderDecided
            | Self::HotId
            | Self::ClusterNearCap
            | Self::AliasTaken
            | Self::AnonIdTaken
            | Self::DeviceIdAsUser
            | Self::NoId => Severity::Warning,
            Self::SameIds | Self::AnonymousCluster => Severity::Note,
        }
    }

    /// The number of the rule that decides such events in a model.
    pub const fn rule(self, rule_book: RuleBook) -> &'static str {
        let is_simplified = matches!(rule_book, RuleBook::Simplified);
        let is_legacy = matches!(rule_book, RuleBook::Legacy);
        match self {
            Self::JunkId => "ID-4",
            Self::PlaceholderId | Self::HotId if is_simplified => "S-5",
            Self::SharedDevice | Self::MissingReset | Self::OrderDecided if is_simplified => "S-7",
            Self::DeviceIdAsUser => "S-3",
            Self::NoId if is_simplified => "S-4",
            Self::PlaceholderId | Self::HotId if is_legacy => "L-4",
            Self::SharedDevice | Self::MissingReset | Self::OrderDecided | Self::AliasTaken
                if is_legacy =>
            {
                "L-6"
            }
            Self::IncompleteIdentityEvent if is_legacy => "L-4",
            Self::SameIds if is_legacy => "L-5",
            Self::NoId if is_legacy => "L-2",
            Self::PlaceholderId | Self::HotId | Self::IncompleteIdentityEvent => "O-3",
            Self::SharedDevice | Self::MissingReset | Self::OrderDecided | Self::AnonIdTaken => {
                "O-11"
            }
            Self::ClusterOverCap => "O-12",
            Self::ClusterNearCap => "O-18",
            Self::AnonIdNotUuid => "O-8",
            Self::AliasTaken => "O-9",
            Self::NoId => "O-2",
            Self::SameIds => "O-7",
            Self::AnonymousCluster => "O-15",
        }
    }

    /// The mistake, in a few words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::JunkId => "events are refused for an ID that is none",
            Self::PlaceholderId => "code instead of an ID",
            Self::SharedDevice => "one device ID for many users",
            Self::ClusterOverCap => "a cluster is full, and claims are rejected",
            Self::AnonIdNotUuid => "$identify with an anonymous ID that is no UUIDv4",
            Self::IncompleteIdentityEvent => "identity events that lack an ID",
            Self::MissingReset => "a device passes to another user without a reset",
            Self::OrderDecided => "a device belongs to a later user, whose events arrived first",
            Self::HotId => "an ID with far more events or devices than others",
            Self::ClusterNearCap => "a cluster is nearly full",
            Self::AliasTaken => "an alias that another user has",
            Self::AnonIdTaken => "an anonymous ID that another user has",
            Self::DeviceIdAsUser => "a device ID is sent as a user's",
            Self::NoId => "events without an ID",
            Self::SameIds => "an identity event names one ID twice",
            Self::AnonymousCluster => "a cluster without a user",
        }
    }

    /// What to change in the tracking code.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::JunkId => {
                "send the property only if there is an ID: leave it out while nobody is logged in, and check \
                 that the value is a string before it is converted to one"
            }
            Self::PlaceholderId => {
                "pass the value and not its name: identify(user.id), not identify('user_id'); everybody who \
                 logged in with it is one person until the claims are withdrawn (idmerge store retract)"
            }
            Self::SharedDevice => {
                "do not set $device_id by hand or on a server; let the SDK make it, and call reset() at each \
                 logout, on a kiosk at the end of each visit"
            }
            Self::ClusterOverCap => {
                "stop identifying more devices with this ID: give each person an ID of their own; --max-cluster-ids \
                 changes the limit"
            }
            Self::AnonIdNotUuid => {
                "update the SDK, or send a UUIDv4 as the anonymous ID; to take IDs of old browser SDKs, use \
                 --anon-id-format sdk"
            }
            Self::IncompleteIdentityEvent => {
                "send both IDs: $identified_id and $anon_id with $identify, distinct_id and alias with \
                 $create_alias, two $distinct_ids with $merge"
            }
            Self::MissingReset => {
                "call reset() at logout, so that the next user of the device gets a new device ID"
            }
            Self::OrderDecided => {
                "send events when they happen, or weigh them by time (--order-by time); phones that were offline \
                 deliver late"
            }
            Self::HotId => {
                "leave out the events of bots, tests and servers, or give each person and each sender an ID of \
                 its own"
            }
            Self::ClusterNearCap => {
                "find out why one person gets so many IDs: a shared account, a reset() at each page, or an ID for \
                 each session"
            }
            Self::AliasTaken => {
                "call alias() once, at the sign-up, with an ID that no other user has"
            }
            Self::AnonIdTaken => "call reset() at logout, and identify a device with one user only",
            Self::DeviceIdAsUser => {
                "send a device's ID as $device_id, or in distinct_id with the prefix $device:"
            }
            Self::NoId => "send $device_id or $user_id with each event",
            Self::SameIds => {
                "call identify() with the ID of the user, at the login only, and not with the current distinct_id"
            }
            Self::AnonymousCluster => {
                "identify the user in one of the clusters first; a device's ID becomes the canonical one, and \
                 changes when the user logs in"
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(())
    }
}
