//! The tasks that only start cargo.

use std::ffi::OsString;
use std::path::Path;
use std::{fs, thread};

use anyhow::Context;
use xshell::{Shell, cmd};

use crate::beside::all_passed;
use crate::output::Output;
use crate::packages::{Package, members};
use crate::{install, shell_at};

/// The version of cargo-deny to install if it is missing.
const CARGO_DENY_VERSION: &str = "0.20.2";

/// Setting this variable keeps libfuzzer-sys from compiling the fuzzer itself, which takes a C++
/// compiler. Only a run of the fuzzer needs that.
const WITHOUT_FUZZER: (&str, &str) = ("CUSTOM_LIBFUZZER_PATH", "none/libfuzzer.a");

/// The package of Python.
const PYTHON: &str = "python/Cargo.toml";

/// Checking it needs no Python: the limited API is the same everywhere, and an extension is linked with no library.
const WITHOUT_PYTHON: [(&str, &str); 2] = [
    ("PYO3_NO_PYTHON", "1"),
    ("PYO3_BUILD_EXTENSION_MODULE", "1"),
];

/// An engine of a model of its own, which joins the suite from outside the workspace.
const EXAMPLE: &str = "examples/posthog-model/Cargo.toml";

/// Runs all tests: unit, integration and documentation tests, each benchmark once, and the counts
/// against `benches/counts.toml`. Meanwhile runs the tests of all orders of memory accesses and those of the example
/// engine, and checks that the fuzz targets compile.
///
/// If there are `args`, runs `cargo test` with them and nothing else.
///
/// # Errors
///
/// Fails if a command fails.
pub fn test(root: &Path, args: &[OsString]) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let all = ["--workspace", "--all-features"];
    if !args.is_empty() {
        return Ok(cmd!(sh, "cargo test {all...} --no-fail-fast {args...}").run()?);
    }
    cmd!(sh, "cargo test {all...} --no-run").run()?;
    // Many tests wait.
    let tests = || {
        // One run tells every test that fails.
        Ok(cmd!(sh, "cargo test {all...} --no-fail-fast").run()?)
    };
    with_apart(root, "test-apart", test_apart, tests)?;
    if root.join("benches").is_dir() {
        // `cargo test` runs a benchmark once and measures nothing. `--benches` would run the unit
        // tests of all libraries again.
        cmd!(sh, "cargo test {all...} --bench *").run()?;
    }
    Ok(())
}

/// Runs programs of other workspaces or profiles, which cargo compiles in other folders, while `rest` runs. What they print
/// comes in one piece when they have ended.
fn with_apart(
    root: &Path,
    name: &str,
    apart: fn(&Shell, &Path, &mut Output) -> anyhow::Result<()>,
    rest: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let apart = || {
        let sh = shell_at(root)?;
        let folder = root.join("target");
        fs::create_dir_all(&folder)?;
        let mut output = Output::kept(&folder, name)?;
        let result = apart(&sh, root, &mut output);
        output.show(name)?;
        result
    };
    let errors = thread::scope(|scope| {
        let apart = scope.spawn(apart);
        let rest = rest();
        let apart = apart.join().expect("running a command does not panic");
        [rest.err(), apart.err()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    });
    all_passed(&errors)
}

/// The tests that are compiled in another way than those of the workspace.
fn test_apart(sh: &Shell, root: &Path, output: &mut Output) -> anyhow::Result<()> {
    if root.join("benches").is_dir() {
        // Counts instructions of a release build. Without valgrind it prints that it does not.
        output.run(cmd!(
            sh,
            "cargo run --release -p idmerge-benches --bin counts"
        ))?;
    }
    let loom = [
        "-p",
        "idmerge-state",
        "--lib",
        "loom_tests",
        "--target-dir",
        "target/loom",
    ];
    // Another compilation of a few packages: atomics that try every order.
    output.run(cmd!(sh, "cargo test {loom...}").env("RUSTFLAGS", "--cfg loom"))?;
    if root.join(EXAMPLE).is_file() {
        output.run(cmd!(sh, "cargo test --manifest-path {EXAMPLE}"))?;
    }
    if root.join("fuzz").is_dir() {
        let check = cmd!(
            sh,
            "cargo check --manifest-path fuzz/Cargo.toml --all-targets"
        );
        output.run(check.env(WITHOUT_FUZZER.0, WITHOUT_FUZZER.1))?;
    }
    Ok(())
}

/// Checks formatting, runs clippy, builds the documentation, packs the packages that are published,
/// and checks the dependencies. Every warning of the compiler and of clippy is an error.
///
/// # Errors
///
/// Fails if a command fails.
pub fn lint(root: &Path) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    cmd!(sh, "cargo fmt --all --check").run()?;
    for manifest in ["fuzz/Cargo.toml", EXAMPLE, PYTHON] {
        if root.join(manifest).is_file() {
            cmd!(sh, "cargo fmt --manifest-path {manifest} --check").run()?;
        }
    }
    let members = members(root)?;
    let workspace = || {
        clippy(&sh, &members)?;
        let doc = cmd!(sh, "cargo doc --workspace --no-deps --all-features");
        doc.env("RUSTDOCFLAGS", "-D warnings").run()?;

        let published = members.iter().filter(|member| member.is_published());
        let published = published.flat_map(|it| ["-p", it.metadata.name.as_str()]);
        let options = ["--quiet", "--no-verify", "--allow-dirty"];
        cmd!(sh, "cargo package {options...} {published...}").run()?;
        deny(&sh)
    };
    // Each package is checked alone, which keeps one core busy.
    with_apart(root, "lint-apart", lint_apart, workspace)
}

/// Clippy's lints of the packages that are workspaces of their own.
fn lint_apart(sh: &Shell, root: &Path, output: &mut Output) -> anyhow::Result<()> {
    if root.join("fuzz").is_dir() {
        let fuzz = ["--manifest-path", "fuzz/Cargo.toml", "--all-targets"];
        let clippy = cmd!(sh, "cargo clippy {fuzz...} -- -D warnings");
        output.run(clippy.env(WITHOUT_FUZZER.0, WITHOUT_FUZZER.1))?;
    }
    if root.join(EXAMPLE).is_file() {
        let example = ["--manifest-path", EXAMPLE, "--all-targets"];
        output.run(cmd!(sh, "cargo clippy {example...} -- -D warnings"))?;
    }
    if root.join(PYTHON).is_file() {
        let python = ["--manifest-path", PYTHON, "--all-targets"];
        for features in [&[] as &[&str], &["--no-default-features"]] {
            let clippy = cmd!(sh, "cargo clippy {python...} {features...} -- -D warnings");
            output.run(clippy.envs(WITHOUT_PYTHON))?;
        }
    }
    Ok(())
}

/// Builds with the oldest Rust that the packages support, if it is installed.
///
/// # Errors
///
/// Fails if the build fails. Prints a warning and succeeds if that Rust is not installed.
pub fn msrv(root: &Path) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let members = members(root)?;
    let version = members
        .first()
        .and_then(|it| it.metadata.rust_version.as_ref());
    let version = version.context("the workspace has no `rust-version`")?;
    let oldest = format!("{}.{}", version.major, version.minor);

    let installed = cmd!(sh, "rustup toolchain list").quiet().ignore_stderr();
    let installed = installed.read().unwrap_or_default();
    let Some(toolchain) = toolchain(&installed, &oldest) else {
        eprintln!(
            "\nNOT TESTED: the build with Rust {oldest}, the oldest that the packages support. To \
             test it, run `rustup toolchain install {oldest}`\n"
        );
        return Ok(());
    };
    // A folder of its own: the other builds stay as they are.
    let build = [
        "--workspace",
        "--all-features",
        "--locked",
        "--target-dir",
        "target/msrv",
    ];
    cmd!(sh, "rustup run {toolchain} cargo check {build...}").run()?;
    Ok(())
}

/// Checks `deny.toml`. Installing cargo-deny takes about two minutes, once.
fn deny(sh: &Shell) -> anyhow::Result<()> {
    install(sh, "deny", CARGO_DENY_VERSION)?;
    let check = ["check", "--hide-inclusion-graph"];
    cmd!(sh, "cargo deny {check...} licenses bans sources").run()?;
    if cmd!(sh, "cargo deny fetch db").run().is_err() {
        eprintln!("\nNOT CHECKED: advisories, because their database cannot be downloaded\n");
        return Ok(());
    }
    Ok(cmd!(sh, "cargo deny {check...} --disable-fetch advisories").run()?)
}

/// The toolchain of a version, such as `1.91.0-x86_64-unknown-linux-gnu`, in a list of rustup.
fn toolchain<'a>(installed: &'a str, version: &str) -> Option<&'a str> {
    let mut names = installed.lines().filter_map(|line| line.split(' ').next());
    names.find(|name| {
        let rest = name.strip_prefix(version);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

/// Checks each package alone, with its tests and without features, then all with all features.
/// Packages that are checked together share features: a feature that another package or a test
/// enables would hide an error that users of the package alone see.
fn clippy(sh: &Shell, members: &[Package]) -> anyhow::Result<()> {
    for member in members {
        let package = member.metadata.name.as_str();
        let clippy = ["clippy", "-p", package, "--no-deps"];
        cmd!(sh, "cargo {clippy...} -- -D warnings").run()?;
        cmd!(sh, "cargo {clippy...} --all-targets -- -D warnings").run()?;
        if member.metadata.features.contains_key("default") {
            cmd!(sh, "cargo {clippy...} --no-default-features -- -D warnings").run()?;
        }
    }
    let all = ["--workspace", "--all-targets", "--all-features"];
    cmd!(sh, "cargo clippy {all...} -- -D warnings").run()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_found_by_its_version() {
        let installed = "stable-x86_64-unknown-linux-gnu (active, default)\n\
                         1.9.0-x86_64-unknown-linux-gnu\n1.91-x86_64-unknown-linux-gnu\n";
        let found = toolchain(installed, "1.91");
        assert_eq!(found, Some("1.91-x86_64-unknown-linux-gnu"));
        let found = toolchain(installed, "1.9");
        assert_eq!(found, Some("1.9.0-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain(installed, "1.92"), None);
        assert_eq!(toolchain("", "1.91"), None);
    }
}
