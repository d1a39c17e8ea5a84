//! The arguments of every command that reads events.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

pub(crate) mod adapt;
pub(crate) mod conflicts;
pub(crate) mod sorting;

use std::path::PathBuf;

use clap::ValueEnum;

use crate::output::destination::{self, Destination, Layout};
use crate::output::refused::{MaxRefused, RefusedWriter};
use crate::output::summary::SummaryForm;
use crate::report::wrong_usage;
use crate::stream::block::Limits;
use crate::stream::input::Input;

#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Event files, read in this order; - is stdin [default: stdin]
    #[arg(value_name = "INPUT")]
    pub(crate) paths: Vec<PathBuf>,

    /// Refuse lines longer than N bytes [default: 16777216]
    #[arg(long, value_name = "N", default_value_t = 16 * 1024 * 1024, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_line_bytes: u64,

    /// Write refused lines to FILE, each with its line number, error and rule
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,

    /// If any line is refused, write nothing and exit with code 1; `ingest` keeps what it
    /// committed before
    #[arg(long, conflicts_with = "max_refused")]
    strict: bool,

    /// If more than N lines are refused, write nothing and exit with code 1; `ingest` keeps what it
    /// committed before
    #[arg(long, value_name = "N")]
    max_refused: Option<u64>,

    /// Accept exports whose last line is "export terminated early"
    #[arg(long)]
    pub(crate) allow_incomplete: bool,

    /// Show no progress and no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// The argument of every command that can write to a file.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Write to FILE, compressed if it ends with .gz or .zst; on failure FILE stays as it was
    /// [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The argument of every command that ends with a summary.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct SummaryArgs {
    /// Print the summary in this form on stderr; json is printed with --quiet too, and hides refused
    /// lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    summary: ReportFormat,
}

/// The format of a summary or of the answer of `inspect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Text to read
    Text,
    /// One JSON object
    Json,
}

impl SummaryArgs {
    /// The form of the summary; `--quiet` leaves out that of text.
    pub(crate) fn form(self, quiet: bool) -> SummaryForm {
        match self.summary {
            ReportFormat::Json => SummaryForm::Json,
            ReportFormat::Text if quiet => SummaryForm::None,
            ReportFormat::Text => SummaryForm::Text,
        }
    }
}

impl OutputArgs {
    /// # Errors
    ///
    /// No file can be at this path, or it is to be a table that the command does not write.
    pub(crate) fn destination(&self) -> anyhow::Result<Destination> {
        let path = self.output.as_deref();
        if let Some(path) = path.filter(|path| destination::is_parquet(path)) {
            return Err(wrong_usage(format_args!(
                "this command writes no Parquet, and --output names {}; name a file with another ending",
                path.display()
            )));
        }
        Destination::of(path)
    }

    /// The destination of lines that can become the rows of a table.
    ///
    /// # Errors
    ///
    /// No file can be at this path.
    pub(crate) fn destination_of(&self, layout: Layout) -> anyhow::Result<Destination> {
        Destination::of_table(self.output.as_deref(), layout)
    }
}

impl InputArgs {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_line_bytes: self.max_line_bytes,
            allow_incomplete: self.allow_incomplete,
        }
    }

    /// How many lines may be refused.
    pub(crate) fn max_refused(&self) -> MaxRefused {
        match self.max_refused {
            Some(max) => MaxRefused::Lines(max),
            None if self.strict => MaxRefused::Strict,
            None => MaxRefused::Any,
        }
    }

    /// The destination of refused lines.
    ///
    /// # Errors
    ///
    /// No file can be there, or the output goes there.
    pub(crate) fn refused(
        &self,
        output: Option<&Destination>,
    ) -> anyhow::Result<Option<Destination>> {
        let refused = self
            .refused
            .as_deref()
            .map(|path| Destination::of(Some(path)));
        let refused = refused.transpose()?;
        if let (Some(refused), Some(output)) = (&refused, output)
            && refused.clashes_with(output)
        {
            return Err(wrong_usage(format_args!(
                "--output and --refused name the same file"
            )));
        }
        Ok(refused)
    }

    /// Opens the writer of refused lines.
    ///
    /// # Errors
    ///
    /// The destination cannot be written, or is an input.
    pub(crate) fn refused_writer<'i>(
        &self,
        refused: Option<Destination>,
        inputs: impl IntoIterator<Item = &'i Input>,
    ) -> anyhow::Result<RefusedWriter> {
        if let Some(refused) = &refused {
            refused.must_keep(inputs, "--refused")?;
        }
        RefusedWriter::new(refused, self.max_refused())
    }
}
