//! The arguments about records that another product wrote.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use idmerge_adapters::{Columns, Format, Options, Output, SnowplowDevice, Target};
use idmerge_engines::Settings;

use crate::output::summary::{self, SummaryForm};
use crate::report::wrong_usage;
use crate::stream::adapt::{Adapting, Origin};

#[derive(Debug, clap::Args)]
pub(crate) struct AdaptArgs {
    /// Read the raw records of this product, as in `--from segment`; auto finds out which it is
    /// [default: mixpanel]
    #[arg(long, value_name = "FORMAT", value_parser = origins(), hide_possible_values = true)]
    from: Option<Origin>,

    /// The events to make of the records of another product
    #[arg(long = "as", value_name = "direct|mixpanel", value_enum, default_value_t = As::Direct)]
    #[arg(hide_possible_values = true)]
    form: As,

    #[command(flatten)]
    product: ProductArgs,
}

/// The arguments that only some products have, and what to do with duplicates.
#[derive(Debug, clap::Args)]
pub(crate) struct ProductArgs {
    /// The columns of --from csv: user=COL,device=COL,event=COL,time=COL,id=COL,receipt=COL; event='NAME' is one
    /// name for all rows
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(Columns))]
    map: Option<Columns>,

    /// The table that rows of a warehouse are from, if they do not say it: pages, identifies and so on
    #[arg(long, value_name = "NAME")]
    table: Option<String>,

    /// The identity that is the user ID in mParticle: a type, or mpid [default: customer_id]
    #[arg(long, value_name = "TYPE")]
    user_identity: Option<String>,

    /// The field that names a device in Snowplow
    #[arg(
        long,
        value_name = "domain_userid|network_userid",
        value_enum,
        hide_possible_values = true
    )]
    snowplow_device: Option<DeviceField>,

    /// Leave out the later ones of equal events, by name, time, ID and $insert_id
    /// [default: yes for another product, no for mixpanel]
    #[arg(long, value_name = "yes|no", value_enum, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "yes", hide_possible_values = true)]
    dedup: Option<YesNo>,
}

/// The events to make of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum As {
    /// What the records say
    Direct,
    /// What the product's own connector would send to Mixpanel
    Mixpanel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DeviceField {
    #[value(name = "domain_userid")]
    Domain,
    #[value(name = "network_userid")]
    Network,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

fn origins() -> impl TypedValueParser<Value = Origin> {
    let names = ["auto", "mixpanel"].into_iter();
    let names = names.chain(Format::ALL.iter().map(|format| format.name()));
    PossibleValuesParser::new(names).map(|name| {
        let format = Format::ALL.iter().find(|format| format.name() == name);
        match format {
            Some(format) => Origin::Product(*format),
            None if name == "auto" => Origin::Auto,
            None => Origin::Mixpanel,
        }
    })
}

impl AdaptArgs {
    /// How records become events for the model of these settings. `None` if they are events, and nothing is
    /// left out.
    ///
    /// # Errors
    ///
    /// The arguments do not fit together.
    pub(crate) fn adapting(
        &self,
        settings: &Settings,
        is_silent: bool,
    ) -> anyhow::Result<Option<Adapting>> {
        self.adapting_for(Target::of(settings.rule_book()), settings, is_silent)
    }

    /// The same, for this target.
    ///
    /// # Errors
    ///
    /// The arguments do not fit together.
    pub(crate) fn adapting_for(
        &self,
        target: Target,
        settings: &Settings,
        is_silent: bool,
    ) -> anyhow::Result<Option<Adapting>> {
        let origin = self.from.unwrap_or(Origin::Mixpanel);
        if origin == Origin::Mixpanel && self.form == As::Mixpanel {
            return Err(wrong_usage(format_args!(
                "--as mixpanel says what another product would send: name it with --from"
            )));
        }
        let mut options = Options::new(target);
        options.output = match self.form {
            As::Direct => Output::Direct,
            As::Mixpanel => Output::Mixpanel,
        };
        if target == Target::Both && options.output == Output::Mixpanel {
            return Err(wrong_usage(format_args!(
                "inspect compares the models, and a connector sends to one of them: leave --as out"
            )));
        }
        self.product.adapting(origin, options, settings, is_silent)
    }

    /// Says what became of the records of another product, for a command without a summary.
    pub(crate) fn say(adapting: Option<&Adapting>, is_quiet: bool) {
        if let Some(report) = adapting.and_then(Adapting::report)
            && !is_quiet
        {
            summary::print(&report, SummaryForm::Text);
            report.warn(SummaryForm::Text);
        }
    }
}

impl ProductArgs {
    /// How records of this origin become events for the model of these settings. `None` if they are events, and
    /// nothing is left out.
    ///
    /// # Errors
    ///
    /// There is an argument of another product, or one that this product needs is missing.
    pub(crate) fn adapting(
        &self,
        origin: Origin,
        mut options: Options,
        settings: &Settings,
        is_silent: bool,
    ) -> anyhow::Result<Option<Adapting>> {
        self.set_for_one_product(origin, &mut options)?;
        let dedup = self.dedup.map(|answer| answer == YesNo::Yes);
        if origin == Origin::Mixpanel && dedup != Some(true) {
            return Ok(None);
        }
        Adapting::new(origin, options, settings, dedup, is_silent).map(Some)
    }

    /// Sets the options that only one product has.
    fn set_for_one_product(&self, origin: Origin, options: &mut Options) -> anyhow::Result<()> {
        let is = |formats: &[Format]| match origin {
            Origin::Product(format) => formats.contains(&format),
            Origin::Auto => !formats.contains(&Format::Csv),
            Origin::Mixpanel => false,
        };
        let warehouses = [Format::Segment, Format::RudderStack];
        for (name, is_given, formats) in [
            ("--map", self.map.is_some(), &[Format::Csv][..]),
            ("--table", self.table.is_some(), &warehouses),
            (
                "--user-identity",
                self.user_identity.is_some(),
                &[Format::MParticle],
            ),
            (
                "--snowplow-device",
                self.snowplow_device.is_some(),
                &[Format::Snowplow],
            ),
        ] {
            if is_given && !is(formats) {
                return Err(wrong_usage(format_args!(
                    "{name} needs --from {}; add it, or leave {name} out",
                    formats[0]
                )));
            }
        }
        match (&self.map, origin) {
            (Some(columns), _) => options.columns = columns.clone(),
            (None, Origin::Product(Format::Csv)) => {
                return Err(wrong_usage(format_args!(
                    "--from csv needs the columns, as in --map user=email,device=cookie,event=event,time=time"
                )));
            }
            _ => {}
        }
        options.table.clone_from(&self.table);
        if let Some(kind) = &self.user_identity {
            options.user_identity.clone_from(kind);
        }
        if self.snowplow_device == Some(DeviceField::Network) {
            options.snowplow_device = SnowplowDevice::Network;
        }
        Ok(())
    }
}
