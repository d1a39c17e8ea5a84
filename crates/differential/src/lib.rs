//! Compares the engines on the same events.
//!
//! - `tests/agreement.rs`: law 8 of the rule book, section 7. On clean streams Simplified and Original give the
//!   same partition of events into users.
//! - `tests/agreement_legacy.rs`: law 8-L, section 9. On some streams Legacy and Original do.
//! - `tests/divergences.rs` and `divergences.toml`: cases in which Simplified and Original differ, with both
//!   answers. A case in which they no longer differ fails too.
//! - `tests/fuzz_inputs.rs`: the fuzz bodies over saved inputs. [`seeds`] makes the inputs that a
//!   fuzzer starts from.
//!
//! The engines never name each other, not even in their tests, so tests about both are here. Tests
//! about one rule book are in the suite, `idmerge-conformance`.

mod answer;
mod engines;
mod seeds;

pub use answer::{Answer, Attributed, groups, play};
pub use engines::{ENGINES, engines, legacy, original, simplified};
pub use seeds::{Seed, seeds};

/// Compiles and runs the examples of `README.md`. They are here because this crate depends on
/// engines and on the JSON of events, as an example may.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// The examples of `docs/choosing.md`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/choosing.md")]
pub struct Choosing;
