//! What a migration is asked to do.

use foldhash::HashSet;
use idmerge_core::InvalidEvent;
use idmerge_engines::{Model, Settings};
use idmerge_events::Envelope;
use regex::Regex;

use crate::reading::SourceEvent;

/// Everything that changes the answer of a migration, besides the input.
#[derive(Clone, Debug)]
pub struct Options {
    /// The settings of the model that the events come from.
    pub source: Settings,
    /// The settings by which claims are folded (M-5): those of the source, or of Original if the source is
    /// Legacy and its other claims count too.
    pub claims: Settings,
    /// The settings of the model that they go to.
    pub target: Settings,
    /// Which rejected claims count all the same (M-5). [`beyond_limits`](Self::beyond_limits) sets it.
    pub source_rules: SourceRules,
    /// What becomes of a cluster with more than one user (M-9).
    pub on_conflict: OnConflict,
    /// Whether the events of the other users of a conflict get the elected user (M-11).
    pub rewrites_users: bool,
    /// Which IDs are users (M-7).
    pub users: UserRules,
    /// The name of the events that link (M-12).
    pub link_event: String,
    /// The time of the events that link, in milliseconds since 1970. `None`: it follows from the
    /// events (M-12).
    pub link_time_ms: Option<i64>,
    /// The time of this migration, in milliseconds since 1970 (M-15).
    pub now_ms: i64,
    /// The property with the person of each event by the source's own count, to compare with (M-19).
    pub compare: Option<String>,
    /// To whom the source gives the events of a device that name no user. `None`: to the device's first user,
    /// or as its claims say.
    pub anonymous_events: Option<AnonymousEvents>,
}

/// To whom a source gives the events of a device that name no user, if not to the device's first user (M-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnonymousEvents {
    /// To the last user of the device before the event. Amplitude does so.
    UserBefore,
    /// To the latest user of the device. The package for web events of Snowplow does so.
    LatestUser,
}

impl Options {
    /// The defaults, for a migration at this time.
    pub fn new(source: Settings, target: Settings, now_ms: i64) -> Self {
        let is_from_legacy = source.model() == Model::Legacy;
        let claims = match target.model() {
            Model::Original if is_from_legacy => &target,
            _ => &source,
        };
        Self {
            claims: claims.clone(),
            source,
            target,
            source_rules: SourceRules::default(),
            on_conflict: OnConflict::default(),
            rewrites_users: false,
            users: UserRules::default(),
            link_event: Self::LINK_EVENT.to_owned(),
            link_time_ms: None,
            now_ms,
            compare: None,
            anonymous_events: None,
        }
    }

    /// Reads an event by the rules of the source.
    ///
    /// # Errors
    ///
    /// The source refuses the event.
    pub fn read<'e>(&self, envelope: &'e Envelope<'e>) -> Result<SourceEvent<'e>, InvalidEvent> {
        SourceEvent::read(self, envelope)
    }

    /// Takes also the claims that the source rejected for its limits (M-5).
    #[must_use]
    pub fn beyond_limits(mut self) -> Self {
        self.source_rules = SourceRules::BeyondLimits;
        if self.claims.model() == Model::Legacy {
            let rules = self.claims.id_rules().clone();
            self.claims = Settings::of(Model::Original).with_id_rules(rules);
        }
        self
    }

    /// The name of the events that link, by default.
    pub const LINK_EVENT: &'static str = "Identity Link";
}

/// Which claims of the source count (M-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceRules {
    /// Those that the source accepted.
    #[default]
    AsWas,
    /// Also those that it rejected for a limit that the target does not have. Legacy takes no claims but
    /// aliases; all others are such claims.
    BeyondLimits,
}

/// What becomes of the devices of a cluster with more than one user (M-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// None is linked.
    Report,
    /// Each goes to the user with whom it has the best evidence.
    #[default]
    Direct,
    /// As `Direct`; the oldest user (O-14) gets the others.
    Oldest,
    /// As `Direct`; the youngest user (O-14) gets the others.
    Latest,
    /// As `Direct`; the user with the most events gets the others.
    MostEvents,
}

impl OnConflict {
    /// Whether one user of a conflict is elected.
    pub fn elects_one(self) -> bool {
        matches!(self, Self::Oldest | Self::Latest | Self::MostEvents)
    }
}

/// Which IDs are users, besides those that the events say (M-7).
#[derive(Clone, Debug, Default)]
pub struct UserRules {
    /// IDs that match are users. If there is one, the form of an ID says nothing.
    pub pattern: Option<Regex>,
    /// IDs that are no users, whatever the events say.
    pub not_users: HashSet<String>,
}

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the input, in the order of the arguments.
    pub file: u32,
    /// The number of the line or record, counted from 1.
    pub line: u64,
}
