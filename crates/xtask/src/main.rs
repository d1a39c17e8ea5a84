//! `cargo xtask`: the project's chores.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "chores read the environment and talk to whoever started them"
)]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use idmerge_xtask::bench::{self, Options, Part};
use idmerge_xtask::e2e::{self, Suite};
use idmerge_xtask::failure::Failure;
use idmerge_xtask::{fuzz, tasks};

/// The project's chores. Each prints what it starts and stops at the first failure.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Run all tests: unit, integration and doc tests, each benchmark once, what is counted, and check the fuzzer
    Test {
        /// Passed on to `cargo test`, which is then all that runs: `cargo xtask test -- id_4`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Check the formatting, clippy's lints and the documentation; no warning is let through
    Lint,
    /// Run the fuzz targets, or one of them; installs cargo-fuzz where it is missing
    Fuzz {
        /// The target: the name of a file in `fuzz/fuzz_targets`
        target: Option<String>,
        /// How long each target runs
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
    },
    /// Run the benches and write what they found to benches/RESULTS.md
    #[command(after_help = BENCH_EXAMPLES)]
    Bench {
        /// What to run; all but criterion where none is named
        part: Option<Part>,
        /// A small run, to see that it works; nothing is kept
        #[arg(long)]
        quick: bool,
        /// Take over what was counted into benches/counts.toml
        #[arg(long)]
        update: bool,
        /// Passed on to `cargo bench`, with criterion
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Run real SDKs, a real browser and schemathesis against the server; installs what they need
    E2e {
        /// What to run; all where none is named
        suite: Option<Suite>,
    },
}

const BENCH_EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench inside --quick
  cargo xtask bench counts --update
  cargo xtask bench criterion -- resolve_batch";

fn main() -> ExitCode {
    match run(&Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    let root = &root()?;
    match command {
        Command::Test { args } => tasks::test(root, args),
        Command::Lint => tasks::lint(root),
        Command::Fuzz { target, seconds } => fuzz::fuzz(root, target.as_deref(), *seconds),
        Command::Bench {
            part,
            quick,
            update,
            args,
        } => {
            let options = Options {
                quick: *quick,
                update: *update,
                args: args.clone(),
            };
            bench::bench(root, *part, &options)
        }
        Command::E2e { suite } => e2e::e2e(root, *suite),
    }
}

/// The root of the tree that this package is part of, wherever cargo was started in it.
fn root() -> Result<PathBuf, Failure> {
    // Cargo sets the variable when it runs a package. A tree that was moved keeps what was
    // compiled into its programs, so the compiled-in folder is second choice.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .ancestors()
        .nth(2)
        .map(Path::to_owned)
        .ok_or_else(|| Failure::new(format!("{} is in no workspace", package.display())))
}
