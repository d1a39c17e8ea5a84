//! [`Options`]: how records are turned into events.

mod columns;

use idmerge_core::{IdRules, RuleBook};

pub use crate::options::columns::{Columns, EventName};

/// How records are turned into events.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What the events say.
    pub output: Output,
    /// The model that the events are for.
    pub target: Target,
    /// Which texts are IDs. A blocked value is left out.
    pub ids: IdRules,
    /// Whether to write updates of profiles as well.
    pub with_profiles: bool,
    /// The token of a project, for [`Output::Mixpanel`]. Without one, the events have none.
    pub token: Option<String>,
    /// The traits that name a group, for groups of RudderStack with [`Output::Mixpanel`].
    pub group_keys: Vec<String>,
    /// The table that rows of a warehouse are from, if the rows do not say it.
    pub table: Option<String>,
    /// The type of identity that is the user ID in mParticle: `customer_id`, another type, or `mpid`.
    pub user_identity: String,
    /// What names a device in Snowplow.
    pub snowplow_device: SnowplowDevice,
    /// The columns of [`Format::Csv`](crate::Format::Csv).
    pub columns: Columns,
}

/// What names a device in Snowplow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnowplowDevice {
    /// `domain_userid`, or the `userId` of the entity `client_session` of mobile trackers.
    #[default]
    Domain,
    /// `network_userid`: the cookie of the collector.
    Network,
}

/// What the events say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// What the record says.
    #[default]
    Direct,
    /// What the product's own connector would have sent to Mixpanel.
    Mixpanel,
}

/// The model that events are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// An event with a user ID and a device ID links them.
    #[default]
    Simplified,
    /// `$identify`, `$create_alias` and `$merge` join IDs.
    Original,
    /// For a comparison of both: what joins IDs in one of them is written for each.
    Both,
}

impl Target {
    /// The target for a model with these rules.
    pub fn of(rule_book: RuleBook) -> Self {
        match rule_book {
            RuleBook::Simplified => Self::Simplified,
            _ => Self::Original,
        }
    }

    /// Whether Simplified reads the events.
    pub(crate) fn has_links(self) -> bool {
        self != Self::Original
    }

    /// Whether a model that needs identity events reads the events.
    pub(crate) fn has_identity_events(self) -> bool {
        self != Self::Simplified
    }
}

impl Options {
    /// The type of identity that is the user ID in mParticle by default.
    pub(crate) const CUSTOMER_ID: &str = "customer_id";

    /// The default options for a target: what the records say, by the documented rules for IDs.
    pub fn new(target: Target) -> Self {
        Self {
            output: Output::Direct,
            target,
            ids: IdRules::default(),
            with_profiles: false,
            token: None,
            group_keys: Vec::new(),
            table: None,
            user_identity: Self::CUSTOMER_ID.to_owned(),
            snowplow_device: SnowplowDevice::default(),
            columns: Columns::default(),
        }
    }
}
