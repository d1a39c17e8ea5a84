//! The arguments of every command that reads events.

use std::path::PathBuf;

use crate::output::destination::Destination;
use crate::stream::blocks::Limits;

#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Event files, read in this order; - is stdin [default: stdin]
    #[arg(value_name = "INPUT")]
    pub(crate) paths: Vec<PathBuf>,

    /// Refuse lines longer than N bytes [default: 16777216]
    #[arg(long, value_name = "N", default_value_t = 16 * 1024 * 1024, hide_default_value = true)]
    pub(crate) max_line_bytes: u64,

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

impl OutputArgs {
    /// # Errors
    ///
    /// No file can be at this path.
    pub(crate) fn destination(&self) -> anyhow::Result<Destination> {
        Destination::of(self.output.as_deref())
    }
}

impl InputArgs {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_line_bytes: self.max_line_bytes,
            allow_incomplete: self.allow_incomplete,
        }
    }
}
