//! [`Adapter`]: turns records of one product into events.

use std::fmt;

use crate::adapted::Adapted;
use crate::counts::Counts;
use crate::format::Format;
use crate::options::{Options, Output};
use crate::read::record::Record;
use crate::vendors::{amplitude, calls, columns, ga4, mparticle, posthog, snowplow};

/// Turns records of one product into events.
#[derive(Clone, Debug)]
pub struct Adapter {
    format: Format,
    options: Options,
}

/// It is not known what the connector of the product sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoConnector {
    /// The product.
    pub format: Format,
}

impl fmt::Display for NoConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "what {} would send to Mixpanel is known for segment and rudderstack only, not for {} (A-4)",
            self.format.product(),
            self.format
        )
    }
}

impl std::error::Error for NoConnector {}

impl Adapter {
    /// An adapter for this product.
    ///
    /// # Errors
    ///
    /// [`NoConnector`] if [`Output::Mixpanel`] is asked of a product whose connector is not known.
    pub fn new(format: Format, options: Options) -> Result<Self, NoConnector> {
        if options.output == Output::Mixpanel && !format.has_connector() {
            return Err(NoConnector { format });
        }
        Ok(Self { format, options })
    }

    /// The product.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What to warn of after records with these counts: fields that the options name, and that no record had. Their IDs
    /// are missing then, and no record is refused for it.
    pub fn unfound(&self, counts: &Counts) -> Vec<String> {
        if counts.records == 0 {
            return Vec::new();
        }
        match self.format {
            Format::Csv => columns::unfound(&self.options.columns, counts),
            Format::MParticle => mparticle::unfound(&self.options, counts)
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Turns a record, the text of one JSON object, into events. `number` is the number of the record,
    /// which its lines will have.
    ///
    /// A record that cannot be used has a refusal in place of its events; so has a part of a batch that
    /// cannot be used, and the other parts are used.
    pub fn adapt(&self, number: u64, record: &str, to: &mut Adapted) {
        to.start_record(number);
        let options = &self.options;
        let mut shapes = to.shapes.take().unwrap_or_default();
        let record = match options.output {
            Output::Direct if self.format != Format::Csv => Record::of_stream(record, &mut shapes),
            // What a connector sends is put together from lists, and a row has no fields of known names.
            _ => Record::of_text(record),
        };
        to.attempt(|to| match self.format {
            Format::Segment | Format::RudderStack => calls::adapt(self.format, options, record, to),
            Format::MParticle => mparticle::adapt(options, record, to),
            Format::Amplitude => amplitude::adapt(options, record, to),
            Format::PostHog => posthog::adapt(options, record, to),
            Format::Ga4 => ga4::adapt(options, record, to),
            Format::Snowplow => snowplow::adapt(options, record, to),
            Format::Csv => columns::adapt(options, record.text, to),
        });
        to.shapes = Some(shapes);
    }
}
