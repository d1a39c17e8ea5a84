//! The argument of every command that names the cases that a person must decide.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use std::path::PathBuf;

use crate::args::input::InputArgs;
use crate::output::conflicts::ConflictsWriter;
use crate::output::destination::Destination;
use crate::report::wrong_usage;
use crate::stream::input::Input;

#[derive(Debug, clap::Args)]
pub(crate) struct ConflictsArgs {
    /// Write the cases that a person must decide to FILE: two users said to be one person, and claims that were
    /// rejected, each with its lines, its rule and what would settle it
    #[arg(long, value_name = "FILE")]
    conflicts: Option<PathBuf>,
}

impl ConflictsArgs {
    /// Opens the writer of the cases. `others` are what else is written, each with its argument.
    ///
    /// # Errors
    ///
    /// The file cannot be written, is an input, or another output goes there.
    pub(crate) fn writer<'i>(
        &self,
        others: &[(&str, Option<&Destination>)],
        inputs: impl IntoIterator<Item = &'i Input>,
        input: &InputArgs,
    ) -> anyhow::Result<Option<ConflictsWriter>> {
        let Some(destination) = Destination::of_option(self.conflicts.as_deref())? else {
            return Ok(None);
        };
        for (option, other) in others {
            if other.is_some_and(|other| destination.clashes_with(other)) {
                return Err(wrong_usage(format_args!(
                    "{option} and --conflicts name the same file"
                )));
            }
        }
        destination.must_keep(inputs, "--conflicts")?;
        ConflictsWriter::create(destination, input.max_line_bytes).map(Some)
    }
}
