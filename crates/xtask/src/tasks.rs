//! The tasks that only start cargo.

use std::ffi::OsString;
use std::path::Path;

use xshell::{Shell, cmd};

use crate::packages::members;
use crate::shell_at;

/// Setting this variable keeps libfuzzer-sys from compiling the fuzzer itself, which takes a C++
/// compiler. Only a run of the fuzzer needs that.
const WITHOUT_FUZZER: (&str, &str) = ("CUSTOM_LIBFUZZER_PATH", "none/libfuzzer.a");

/// Runs all tests: unit, integration and documentation tests, each benchmark once, and the counts
/// against `benches/counts.toml`. Then checks that the fuzz targets compile.
///
/// If there are `args`, runs `cargo test` with them and nothing else.
///
/// # Errors
///
/// Fails with the first command that fails.
pub fn test(root: &Path, args: &[OsString]) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    cmd!(sh, "cargo test --workspace --all-features {args...}").run()?;
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
    if root.join("fuzz").is_dir() {
        let check = cmd!(
            sh,
            "cargo check --manifest-path fuzz/Cargo.toml --all-targets"
        );
        check.env(WITHOUT_FUZZER.0, WITHOUT_FUZZER.1).run()?;
    }
    Ok(())
}

/// Checks formatting, runs clippy and builds the documentation. Every warning is an error.
///
/// # Errors
///
/// Fails with the first command that fails.
pub fn lint(root: &Path) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let has_fuzz = root.join("fuzz").is_dir();

    cmd!(sh, "cargo fmt --all --check").run()?;
    if has_fuzz {
        cmd!(sh, "cargo fmt --manifest-path fuzz/Cargo.toml --check").run()?;
    }
    clippy(&sh, root)?;
    if has_fuzz {
        let fuzz = ["--manifest-path", "fuzz/Cargo.toml", "--all-targets"];
        let clippy = cmd!(sh, "cargo clippy {fuzz...} -- -D warnings");
        clippy.env(WITHOUT_FUZZER.0, WITHOUT_FUZZER.1).run()?;
    }
    let doc = cmd!(sh, "cargo doc --workspace --no-deps --all-features");
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(())
}

/// Checks each package alone, then with its tests, then all with all features. Checked together,
/// packages share features: one that another package or a test enables would hide an error that
/// users of the package alone see.
fn clippy(sh: &Shell, root: &Path) -> anyhow::Result<()> {
    for member in members(root)? {
        let package = member.metadata.name.as_str();
        let clippy = ["clippy", "-p", package, "--no-deps"];
        cmd!(sh, "cargo {clippy...} -- -D warnings").run()?;
        cmd!(sh, "cargo {clippy...} --all-targets -- -D warnings").run()?;
    }
    let all = ["--workspace", "--all-targets", "--all-features"];
    cmd!(sh, "cargo clippy {all...} -- -D warnings").run()?;
    Ok(())
}
