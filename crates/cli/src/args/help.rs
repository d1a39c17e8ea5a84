//! The arguments of `help`, `man` and `completions`.

use std::path::PathBuf;

use clap_complete::Shell;

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

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge man > idmerge.1 && man ./idmerge.1
  idmerge man store explain > idmerge-store-explain.1
  sudo idmerge man -o /usr/local/share/man/man1

Afterwards, `man idmerge` and `man idmerge-resolve` show the pages.")]
pub(crate) struct ManArgs {
    /// Print the page of this command [default: the page of idmerge]
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    pub(crate) topic: Vec<String>,

    /// Write the pages of all commands to DIR
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge completions bash > ~/.local/share/bash-completion/completions/idmerge
  idmerge completions zsh > \"${fpath[1]}/_idmerge\"
  idmerge completions fish > ~/.config/fish/completions/idmerge.fish
  idmerge completions elvish >> ~/.config/elvish/rc.elv
  idmerge completions powershell >> $PROFILE

They take effect in the next shell. zsh must run compinit after its fpath is set.")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}
