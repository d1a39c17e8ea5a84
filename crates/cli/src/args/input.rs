//! The arguments of every command that reads events.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Files of events, read one after another; - is stdin [default: stdin]
    #[arg(value_name = "INPUT")]
    pub(crate) paths: Vec<PathBuf>,

    /// Refuse lines with more bytes than this [default: 16777216]
    #[arg(long, value_name = "N", default_value_t = 16 * 1024 * 1024, hide_default_value = true)]
    pub(crate) max_line_bytes: u64,

    /// Show no progress and no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
