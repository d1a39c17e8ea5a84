//! The tasks that only start cargo.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;
use xshell::{Shell, cmd};

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
/// against `benches/counts.toml`. Then runs the tests of all orders of memory accesses and those of the example engine, and checks that the fuzz
/// targets compile.
///
/// If there are `args`, runs `cargo test` with them and nothing else.
///
/// # Errors
///
/// Fails with the first command that fails.
pub fn test(root: &Path, args: &[OsString]) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    // One run tells every test that fails. Arguments can end with some for the tests.
    cmd!(
        sh,
        "cargo test --workspace --all-features --no-fail-fast {args...}"
    )
    .run()?;
    if !args.is_empty() {
        return Ok(());
    }
    if root.join("benches").is_dir() {
        // `cargo test` runs a benchmark once and measures nothing. `--benches` would run the unit
        // tests of all libraries again.
        cmd!(sh, "cargo test --workspace --all-features --bench *").run()?;
        // Counts instructions of a release build. Without valgrind it prints that it does not.
        cmd!(sh, "cargo run --release -p idmerge-benches --bin counts").run()?;
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
    cmd!(sh, "cargo test {loom...}")
        .env("RUSTFLAGS", "--cfg loom")
        .run()?;
    if root.join(EXAMPLE).is_file() {
        cmd!(sh, "cargo test --manifest-path {EXAMPLE}").run()?;
    }
    if root.join("fuzz").is_dir() {
        let check = cmd!(
            sh,
            "cargo check --manifest-path fuzz/Cargo.toml --all-targets"
        );
        check.env(WITHOUT_FUZZER.0, WITHOUT_FUZZER.1).run()?;
    }
    Ok(())
}

/// Checks formatting, runs clippy, builds the documentation, packs the packages that are published,
/// and checks the dependencies. Every warning of the compiler and of clippy is an error.
///
/// # Errors
///
/// Fails with the first command that fails.
pub fn lint(root: &Path) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let has_fuzz = root.join("fuzz").is_dir();
    let has_example = root.join(EXAMPLE).is_file();
    let has_python = root.join(PYTHON).is_file();

    cmd!(sh, "cargo fmt --all --check").run()?;
    if has_fuzz {
        cmd!(sh, "cargo fmt --manifest-path fuzz/Cargo.toml --check").run()?;
    }
    if has_example {
        cmd!(sh, "cargo fmt --manifest-path {EXAMPLE} --check").run()?;
    }
    if has_python {
        cmd!(sh, "cargo fmt --manifest-path {PYTHON} --check").run()?;
    }
    let members = members(root)?;
    clippy(&sh, &members)?;
    if has_fuzz {
        let fuzz = ["--manifest-path", "fuzz/Cargo.toml", "--all-targets"];
        let clippy = cmd!(sh, "cargo clippy {fuzz...} -- -D warnings");
        clippy.env(WITHOUT_FUZZER.0, WITHOUT_FUZZER.1).run()?;
    }
    if has_example {
        let example = ["--manifest-path", EXAMPLE, "--all-targets"];
        cmd!(sh, "cargo clippy {example...} -- -D warnings").run()?;
    }
    if has_python {
        let python = ["--manifest-path", PYTHON, "--all-targets"];
        for features in [&[] as &[&str], &["--no-default-features"]] {
            let clippy = cmd!(sh, "cargo clippy {python...} {features...} -- -D warnings");
            clippy.envs(WITHOUT_PYTHON).run()?;
        }
    }
    let doc = cmd!(sh, "cargo doc --workspace --no-deps --all-features");
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;

    let published = members.iter().filter(|member| member.is_published());
    let published = published.flat_map(|it| ["-p", it.metadata.name.as_str()]);
    let options = ["--quiet", "--no-verify", "--allow-dirty"];
    cmd!(sh, "cargo package {options...} {published...}").run()?;
    deny(&sh)
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
