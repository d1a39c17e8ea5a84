//! The chores that only start cargo.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::program::{cargo, run, run_cargo};
use crate::rooms::rooms;

/// Runs all tests: unit, integration and doc tests, each benchmark once, and what is counted beside
/// `benches/counts.toml`; and checks that the fuzz targets compile. `args` go to `cargo test`, which is then all that runs.
///
/// # Errors
///
/// The first command that fails.
pub fn test(root: &Path, args: &[OsString]) -> Result<(), Failure> {
    run(cargo(root, "test --workspace --all-features").args(args))?;
    if !args.is_empty() {
        return Ok(());
    }
    if root.join("benches").is_dir() {
        // `cargo test` runs a benchmark once and measures nothing. Not `--benches`, which would
        // run the unit tests of all libraries again.
        run_cargo(root, "test --workspace --all-features --bench *")?;
        // Instructions are counted in a release build, and where valgrind is; it says so where not.
        run_cargo(root, "run --release -p idmerge-benches --bin counts")?;
    }
    if root.join("fuzz").is_dir() {
        let check = "check --manifest-path fuzz/Cargo.toml --all-targets";
        run(&mut without_fuzzer(root, check))?;
    }
    Ok(())
}

/// Checks the formatting, clippy's lints and the documentation. No warning is let through.
///
/// # Errors
///
/// The first command that fails.
pub fn lint(root: &Path) -> Result<(), Failure> {
    let has_fuzz = root.join("fuzz").is_dir();

    run_cargo(root, "fmt --all --check")?;
    if has_fuzz {
        run_cargo(root, "fmt --manifest-path fuzz/Cargo.toml --check")?;
    }

    for member in rooms(root)?.iter().filter(|room| !room.is_workspace()) {
        // Each package alone, and then with its tests: a feature that another package turns on,
        // or that its own tests do, hides nothing that its users would miss.
        let clippy = format!("clippy -p {} --no-deps", member.package());
        run_cargo(root, &format!("{clippy} -- -D warnings"))?;
        run_cargo(root, &format!("{clippy} --all-targets -- -D warnings"))?;
    }
    let all = "clippy --workspace --all-targets --all-features -- -D warnings";
    run_cargo(root, all)?;
    if has_fuzz {
        let all = "clippy --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings";
        run(&mut without_fuzzer(root, all))?;
    }

    let doc = "doc --workspace --no-deps --all-features";
    run(cargo(root, doc).env("RUSTDOCFLAGS", "-D warnings"))
}

/// A cargo command for the fuzz targets that links none of them.
fn without_fuzzer(root: &Path, args: &str) -> Command {
    let mut command = cargo(root, args);
    // Where this is set, libfuzzer-sys does not compile the fuzzer itself, which takes a C++
    // compiler that nothing but a run of the fuzzer needs.
    command.env("CUSTOM_LIBFUZZER_PATH", "none/libfuzzer.a");
    command
}
