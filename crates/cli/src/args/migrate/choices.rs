//! The values of the options of `migrate`.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use idmerge_adapters::Format;
use idmerge_engines::{Model, Settings};
use idmerge_migrate::{OnConflict, Options};

use crate::stream::adapt::{Adapting, Origin};

/// The model, or the product, that the events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A project with Original ID Merge.
    Original,
    /// A project without ID Merge.
    Legacy,
    /// The raw records of a product, read as events of Original.
    Product(Format),
}

/// A table of one's own says nothing about claims, and its columns would have to be named.
fn products() -> impl Iterator<Item = Format> {
    let formats = Format::ALL.iter().copied();
    formats.filter(|format| *format != Format::Csv)
}

/// Parses the value of `--from`.
pub(crate) fn sources() -> impl TypedValueParser<Value = Source> {
    let sources = || {
        let products = products().map(Source::Product);
        [Source::Original, Source::Legacy]
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
            Self::Product(format) => format.name(),
        }
    }

    /// The model whose rules say who is who in the source. The calls that products have for it are the
    /// claims of Original.
    pub(crate) fn model(self) -> Model {
        match self {
            Self::Legacy => Model::Legacy,
            Self::Original | Self::Product(_) => Model::Original,
        }
    }

    /// How the records of the source become events. `None` if they are events.
    ///
    /// # Errors
    ///
    /// The records of the product cannot be read.
    pub(crate) fn adapting(
        self,
        settings: &Settings,
        is_silent: bool,
    ) -> anyhow::Result<Option<Adapting>> {
        let Self::Product(format) = self else {
            return Ok(None);
        };
        let options = idmerge_adapters::Options::new(idmerge_adapters::Target::Original);
        let origin = Origin::Product(format);
        Adapting::new(origin, options, settings, None, is_silent).map(Some)
    }
}

/// The model of the new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// A project with Simplified ID Merge
    Simplified,
    /// A project with Original ID Merge
    Original,
}

impl Target {
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
