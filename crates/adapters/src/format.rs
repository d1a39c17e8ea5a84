//! [`Format`]: the products whose records can be read.

use std::fmt;

/// The product that wrote a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Calls of Segment, as its storage destinations and webhooks have them, and rows of its tables.
    Segment,
    /// Calls of RudderStack, as its storage destinations and webhooks have them, and rows of its tables.
    RudderStack,
    /// Batches of mParticle.
    MParticle,
    /// Events of Amplitude's export.
    Amplitude,
    /// Events of PostHog's batch export.
    PostHog,
    /// Events of Google Analytics 4, as its BigQuery export has them.
    Ga4,
    /// Enriched events of Snowplow.
    Snowplow,
    /// Records of one's own, whose columns are named.
    Csv,
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Self] = &[
        Self::Segment,
        Self::RudderStack,
        Self::MParticle,
        Self::Amplitude,
        Self::PostHog,
        Self::Ga4,
        Self::Snowplow,
        Self::Csv,
    ];

    /// The name in lower case, as `--from` and the property `$source` spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::RudderStack => "rudderstack",
            Self::MParticle => "mparticle",
            Self::Amplitude => "amplitude",
            Self::PostHog => "posthog",
            Self::Ga4 => "ga4",
            Self::Snowplow => "snowplow",
            Self::Csv => "csv",
        }
    }

    /// The name as the product spells it.
    pub const fn product(self) -> &'static str {
        match self {
            Self::Segment => "Segment",
            Self::RudderStack => "RudderStack",
            Self::MParticle => "mParticle",
            Self::Amplitude => "Amplitude",
            Self::PostHog => "PostHog",
            Self::Ga4 => "GA4",
            Self::Snowplow => "Snowplow",
            Self::Csv => "a table of your own",
        }
    }

    /// The field that says when the product received a record, if it has one.
    pub const fn receipt_field(self) -> Option<&'static str> {
        match self {
            Self::Segment | Self::RudderStack => Some("receivedAt"),
            Self::Amplitude => Some("server_received_time"),
            Self::PostHog => Some("created_at"),
            Self::Snowplow => Some("collector_tstamp"),
            Self::Csv => Some("its column of receipt"),
            Self::MParticle | Self::Ga4 => None,
        }
    }

    /// Whether it is known what the product's connector sends to Mixpanel.
    pub(crate) const fn has_connector(self) -> bool {
        matches!(self, Self::Segment | Self::RudderStack)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
