//! [`Options`]: how records are turned into events.

use std::str::FromStr;

use idmerge_core::{IdRules, RuleBook};

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

/// The columns of a table of one's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The column with the user ID.
    pub user: Option<String>,
    /// The column with the device ID.
    pub device: Option<String>,
    /// The name of the event.
    pub event: EventName,
    /// The column with the time.
    pub time: Option<String>,
    /// The column with the unique ID of a row.
    pub id: Option<String>,
    /// The column with the time of receipt.
    pub receipt: Option<String>,
}

/// Where the name of an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventName {
    /// In this column.
    Column(String),
    /// Every row has this name.
    Always(String),
}

impl Default for EventName {
    fn default() -> Self {
        Self::Column("event".to_owned())
    }
}

impl FromStr for Columns {
    type Err = String;

    /// Reads `user=COL,device=COL,event=COL,time=COL,id=COL,receipt=COL`. The value of `event` is a name for
    /// every row if it is in single quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = Self::default();
        for pair in text.split(',') {
            let Some((part, column)) = pair
                .split_once('=')
                .filter(|(_, column)| !column.is_empty())
            else {
                return Err(format!(
                    "\"{pair}\" is not a part and its column, as in user=email"
                ));
            };
            let column = column.to_owned();
            match part {
                "user" => columns.user = Some(column),
                "device" => columns.device = Some(column),
                "time" => columns.time = Some(column),
                "id" => columns.id = Some(column),
                "receipt" => columns.receipt = Some(column),
                "event" => {
                    let name = column
                        .strip_prefix('\'')
                        .and_then(|name| name.strip_suffix('\''));
                    columns.event = match name {
                        Some(name) => EventName::Always(name.to_owned()),
                        None => EventName::Column(column),
                    };
                }
                _ => {
                    return Err(format!(
                        "there is no part {part:?}; the parts are user, device, event, time, id and receipt"
                    ));
                }
            }
        }
        match (&columns.user, &columns.device) {
            (None, None) => Err("name the column of the user, of the device, or both".to_owned()),
            _ => Ok(columns),
        }
    }
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
            user_identity: "customer_id".to_owned(),
            snowplow_device: SnowplowDevice::default(),
            columns: Columns::default(),
        }
    }
}
