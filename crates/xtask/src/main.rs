//! `cargo xtask`: the development tasks of the repository.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tasks read the environment and print to the terminal"
)]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;
use idmerge_xtask::bench::{self, Options, Part};
use idmerge_xtask::e2e::{self, Suite};
use idmerge_xtask::{fuzz, soak, tasks};

/// Development tasks. Each prints the programs it starts, and stops at the first failure, once what runs beside it has ended.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    /// Run all tests: unit, integration and doc tests, each benchmark once, the counts, the example engine, and check the fuzz targets
    Test {
        /// Run only `cargo test` with these arguments: `cargo xtask test -- id_4`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Check formatting, clippy's lints, documentation, packages and dependencies; installs cargo-deny if it is missing
    Lint,
    /// Build with the oldest Rust that the packages support, if it is installed
    Msrv,
    /// Run the fuzz targets; installs cargo-fuzz if it is missing
    Fuzz {
        /// Run only this target: the name of a file in `fuzz/fuzz_targets`
        target: Option<String>,
        /// Seconds to run each target
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
    },
    /// Run the benchmarks and write the results to benches/RESULTS.md
    #[command(after_help = BENCH_EXAMPLES)]
    Bench {
        /// Run only this part [default: all but criterion]
        part: Option<Part>,
        /// Run each part briefly, to check that it works; the results are not kept
        #[arg(long)]
        quick: bool,
        /// Write the new counts to benches/counts.toml
        #[arg(long)]
        update: bool,
        /// Arguments for the program of the part; with criterion, for `cargo bench`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Test the server with real SDKs, a real browser and schemathesis; installs what they need
    E2e {
        /// Run only this suite
        suite: Option<Suite>,
    },
    /// Send a server good, broken and hostile traffic; check its memory and that no event is lost or doubled
    Soak {
        /// Minutes of traffic
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
        minutes: u32,
    },
}

const BENCH_EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench inside --quick
  cargo xtask bench counts --update
  cargo xtask bench server -- --baseline ../older-version/target/release/idmerge
  cargo xtask bench criterion -- resolve_batch";

fn main() -> anyhow::Result<()> {
    let root = &root()?;
    match Command::parse() {
        Command::Test { args } => tasks::test(root, &args),
        Command::Lint => tasks::lint(root),
        Command::Msrv => tasks::msrv(root),
        Command::Fuzz { target, seconds } => fuzz::fuzz(root, target.as_deref(), seconds),
        Command::Bench {
            part,
            quick,
            update,
            args,
        } => {
            let options = Options {
                quick,
                update,
                args,
            };
            bench::bench(root, part, &options)
        }
        Command::E2e { suite } => e2e::e2e(root, suite),
        Command::Soak { minutes } => soak::soak(root, minutes),
    }
}

/// The root of the tree that this package is part of.
fn root() -> anyhow::Result<PathBuf> {
    // Cargo sets the variable when it runs a package. The folder that was compiled in is the
    // second choice: it is out of date if the tree was moved.
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.ancestors().nth(2).map(Path::to_owned);
    root.with_context(|| format!("{} is not in a workspace", package.display()))
}
