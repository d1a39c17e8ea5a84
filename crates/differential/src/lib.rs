//! The two engines side by side, on the same events.
//!
//! - `tests/agreement.rs`: law 8 of the rule book, section 7. Where both rule books speak, they
//!   give the same partition of events into users.
//! - `tests/divergences.rs` and `divergences.toml`: where they part, with the answers of both. A
//!   divergence that is no longer one fails as well.
//!
//! - `tests/fuzz_inputs.rs`: the fuzz bodies over saved inputs; [`seeds`] is what a fuzzer
//!   starts from.
//!
//! The engines never name each other, not even in their tests, so what is about both is here.
//!
//! Not here: what one rule book says by itself; that is the suite of `idmerge-conformance`.

mod answer;
mod engines;
mod seeds;

pub use answer::{Answer, Whose, groups, play};
pub use engines::{engines, original, simplified};
pub use seeds::{Seed, seeds};

/// The examples of `README.md`, so that they are compiled and run. They are here because this
/// crate knows both engines and the JSON of events, which is all that an example may need.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
