//! The values of the options of `migrate`.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use idmerge_adapters::Format;
use idmerge_engines::Model;
use idmerge_migrate::{AnonymousEvents, OnConflict, Options};

use crate::report::wrong_usage;
use crate::stream::adapt::{Adapting, Origin};

/// The model, or the product, that the events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A project with Original ID Merge.
    Original,
    /// A project without ID Merge.
    Legacy,
    /// The raw records of a product that is to be found out.
    Auto,
    /// The raw records of a product, read as events of Original.
    Product(Format),
}

/// Parses the value of `--from`.
pub(crate) fn sources() -> impl TypedValueParser<Value = Source> {
    let sources = || {
        let products = Format::ALL.iter().copied().map(Source::Product);
        [Source::Original, Source::Legacy, Source::Auto]
            .into_iter()
            .chain(products)
    };
    PossibleValuesParser::new(sources().map(Source::name)).map(move |name| {
        let named = sources().find(|source| source.name() == name);
        named.unwrap_or(Source::Original)
    })
}

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Legacy => "legacy",
            Self::Auto => "auto",
            Self::Product(format) => format.name(),
        }
    }

    /// The model whose rules say who is who in the source. The calls that products have for it are the
    /// claims of Original.
    pub(crate) fn model(self) -> Model {
        match self {
            Self::Legacy => Model::Legacy,
            Self::Original | Self::Auto | Self::Product(_) => Model::Original,
        }
    }

    /// The origin of the records of the source.
    pub(crate) fn origin(self) -> Origin {
        match self {
            Self::Product(format) => Origin::Product(format),
            Self::Auto => Origin::Auto,
            Self::Original | Self::Legacy => Origin::Mixpanel,
        }
    }

    /// The source, once the first records were looked at.
    ///
    /// # Errors
    ///
    /// They are events of Mixpanel, which do not say the model of their project.
    pub(crate) fn settled(self, adapting: Option<&Adapting>) -> anyhow::Result<Self> {
        match (self, adapting.map(Adapting::settled_origin)) {
            (Self::Auto, Some(Origin::Product(format))) => Ok(Self::Product(format)),
            (Self::Auto, Some(Origin::Mixpanel)) => Err(wrong_usage(format_args!(
                "--from auto: the records are events of Mixpanel, which do not say the model of their project: \
                 name it, as in `--from original` or `--from legacy` (A-8); `idmerge inspect` says which it \
                 probably is"
            ))),
            _ => Ok(self),
        }
    }

    /// To whom the product gives the events of a device that name no user, if not to the device's first user.
    pub(crate) fn anonymous_events(self) -> Option<AnonymousEvents> {
        match self {
            Self::Product(Format::Amplitude) => Some(AnonymousEvents::UserBefore),
            Self::Product(Format::Snowplow) => Some(AnonymousEvents::LatestUser),
            _ => None,
        }
    }
}

/// The model of the new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewModel {
    /// A project with Simplified ID Merge
    Simplified,
    /// A project with Original ID Merge
    Original,
}

impl NewModel {
    pub(crate) fn model(self) -> Model {
        match self {
            Self::Simplified => Model::Simplified,
            Self::Original => Model::Original,
        }
    }
}

/// Which claims of the source count (M-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rules {
    /// Those that the source accepted
    AsWas,
    /// Also those that it turned down because a cluster was full or an anonymous ID was no UUID; of a
    /// Legacy project also $identify and $merge, which join nothing there
    BeyondLimits,
}

impl Rules {
    pub(crate) fn of(self, options: Options) -> Options {
        match self {
            Self::AsWas => options,
            Self::BeyondLimits => options.beyond_limits(),
        }
    }
}

/// What becomes of a person with more than one user ID (M-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Conflict {
    /// Link none of the devices
    Report,
    /// Link each device to the user with whom it has the best evidence
    Direct,
    /// As direct; the oldest user gets the other devices
    Oldest,
    /// As direct; the youngest user gets the other devices
    Latest,
    /// As direct; the user with the most events gets the other devices
    MostEvents,
}

impl Conflict {
    pub(crate) fn on_conflict(self) -> OnConflict {
        match self {
            Self::Report => OnConflict::Report,
            Self::Direct => OnConflict::Direct,
            Self::Oldest => OnConflict::Oldest,
            Self::Latest => OnConflict::Latest,
            Self::MostEvents => OnConflict::MostEvents,
        }
    }
}
