//! Messages to the user on stderr, and errors in the arguments.

use std::fmt;
use std::io::{self, Write};

use clap::error::ErrorKind;

/// Writes a message to stderr. Ignores that stderr may be closed.
pub(crate) fn say(message: fmt::Arguments<'_>) {
    let _unheard = writeln!(io::stderr(), "idmerge: {message}");
}

/// Damaged Parquet data can make its library panic, which is caught, and becomes an error. That panic is not
/// reported too.
#[cfg(feature = "tables")]
pub(crate) fn silence_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !idmerge_tables::is_decoding() {
            report(panic);
        }
    }));
}

/// The exit code of the program. The package of Python reads it, and the type of the standard library cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitCode(pub(crate) u8);

impl ExitCode {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const FAILURE: Self = Self(1);
    pub(crate) const WRONG_USAGE: Self = Self(2);
}

/// An error in the arguments: the program ends with exit code 2 and a hint to `--help`.
#[derive(Debug)]
pub(crate) struct UsageError(String);

/// An error in the arguments that clap cannot find.
pub(crate) fn wrong_usage(message: fmt::Arguments<'_>) -> anyhow::Error {
    UsageError(message.to_string()).into()
}

/// The error for a command or an option that this build leaves out.
#[cfg(not(all(feature = "store", feature = "serve")))]
pub(crate) fn left_out(what: &str, feature: &str) -> anyhow::Error {
    let package = match feature {
        "serve" => " (the package of Python has no server)",
        _ => "",
    };
    wrong_usage(format_args!(
        "this build of idmerge has no {what}{package}: install it with the Cargo feature \"{feature}\" \
         (cargo install idmerge --features {feature})"
    ))
}

impl UsageError {
    /// Prints the error as clap prints its own. Ignores that stderr may be closed.
    pub(crate) fn show(&self) -> ExitCode {
        let error = clap::Error::raw(
            ErrorKind::ArgumentConflict,
            format_args!("{self}\n\nFor more information, try '--help'.\n"),
        );
        let _unheard = error.print();
        ExitCode::WRONG_USAGE
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
