//! The arguments of every command that reads events.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Event files, read in this order; - is stdin [default: stdin]
    #[arg(value_name = "INPUT")]
    pub(crate) paths: Vec<PathBuf>,

    /// Refuse lines longer than N bytes [default: 16777216]
    #[arg(long, value_name = "N", default_value_t = 16 * 1024 * 1024, hide_default_value = true)]
    pub(crate) max_line_bytes: u64,

    /// Show no progress and no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
