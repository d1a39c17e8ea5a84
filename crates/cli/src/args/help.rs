//! The arguments of `help`.

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge help resolve
  idmerge help store explain
  idmerge help rules | less")]
pub(crate) struct HelpArgs {
    /// A command, or "rules"
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,
}
