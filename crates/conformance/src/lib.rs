//! The suite that every engine of ID Merge must pass.
//!
//! An engine joins with one line, in a test target of its own (`harness = false`):
//!
//! ```no_run
//! // tests/conformance.rs
//! # use idmerge_conformance::oracle::SimplifiedOracle as MyEngine;
//! fn main() -> std::process::ExitCode {
//!     idmerge_conformance::main(|settings| Box::new(MyEngine::new(settings.clone())))
//! }
//! ```
//!
//! Each vector and each law is then a trial of its own: `cargo test law::3` runs one. What the
//! trials are held to is the rule book that the engine says it keeps; the suite knows no engine
//! by name.
//!
//! - [`vectors`]: cases written down as data, each with the rules that it shows.
//! - laws: the nine of the rule book, section 7, on random claims, checked after each; and that a
//!   batch is one by one (clause 7 of the trait's contract).
//! - [`oracle`]: the rule book a second time, by brute force, compared after every claim; on
//!   random claims, and on every short sequence of them.
//!
//! [`fuzz`] has what must hold for any bytes, for a fuzzer to call. A failing case prints itself in the syntax of vectors.
//!
//! Not here: speed, and what no rule speaks of, such as how an engine spells its errors. Resolving
//! should allocate nothing; that cannot be seen from here, and each engine shows it itself.

mod check;
mod compare;
pub mod fuzz;
mod generate;
mod laws;
pub mod oracle;
mod settings;
mod suite;
pub mod vectors;

use std::process::ExitCode;

use idmerge_core::IdentityResolver;

pub use settings::{AnonIdFormat, EngineSettings};
pub use suite::{Suite, Trial};

/// Runs the whole suite as a test program does, on the engines that `make` makes.
pub fn main(
    make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver> + Send + Sync + 'static,
) -> ExitCode {
    Suite::new(make).main()
}
