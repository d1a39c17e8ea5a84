//! The arguments of a command that this build leaves out.

/// Takes any arguments, so that the error names the Cargo feature and not a missing argument.
#[derive(Debug, clap::Args)]
pub(crate) struct LeftOutArgs {
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    _arguments: Vec<String>,
}
