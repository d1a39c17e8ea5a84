//! The suite that every engine of ID Merge must pass.
//!
//! # Join the suite
//!
//! An engine joins with a test target of one line. In `Cargo.toml`:
//!
//! ```toml
//! [dev-dependencies]
//! idmerge-conformance = { git = "https://github.com/idmerge/idmerge" }
//!
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! In `tests/conformance.rs`:
//!
//! ```no_run
//! # use idmerge_conformance::oracle::SimplifiedOracle as MyEngine;
//! fn main() -> std::process::ExitCode {
//!     idmerge_conformance::main(|settings| Box::new(MyEngine::new(settings.clone())))
//! }
//! ```
//!
//! The closure returns a new engine with the given [settings](EngineSettings). `cargo test` then runs
//! each vector and each law as a test of its own; `cargo test --test conformance law::3` runs one.
//! The trials depend on the [rule book](idmerge_core::RuleBook) that the engine returns: Simplified,
//! Original, Legacy, or [`Custom`](idmerge_core::RuleBook::Custom) for a model of your own. [`guide`] is a
//! complete engine for a model of its own, with its vectors. The suite names no engine.
//!
//! # What is checked
//!
//! | trials | what they check | for a custom model |
//! |---|---|---|
//! | `vector::…` | [test cases](vectors) written as data, each with the rules that it shows | those that you bring with [`Suite::vectors`] |
//! | `law::0-an-event-merges` | random identity events make claims, and some merge: otherwise the laws would check nothing | only here |
//! | `law::1-replay` | equal claims give equal snapshots; an engine continues from a snapshot as if there were none | yes |
//! | `law::1-image` | an engine continues from the image of a snapshot as from the snapshot | yes, if it has images |
//! | `law::2-idempotence` | a claim that is applied twice in a row changes nothing the second time | yes |
//! | `law::3-monotone` | two IDs that resolve to one ID do so for ever | yes |
//! | `law::4-canonical-is-a-member` | `resolve`, `cluster` and `clusters` agree | yes |
//! | `law::5-bounded` | no cluster exceeds the limit | no: a rule of Original |
//! | `law::6-one-user-per-device` | a device keeps its first user | no: a rule of Simplified |
//! | `law::7-rejected-leaves-no-trace` | a claim that is rejected or ignored does not change the snapshot | yes |
//! | `law::7-damaged-snapshot-leaves-no-trace` | a damaged snapshot is an error and changes nothing | yes |
//! | `law::7-damaged-image-leaves-no-trace` | a damaged image is an error and changes nothing, or gives a state that a snapshot can have | yes, if it has images |
//! | `law::8-agreement` | Simplified and Original find the same users on clean streams | no: about these two models |
//! | `law::9-independence` | IDs that no claim connects do not affect each other | yes |
//! | `law::10-round-trip` | events that were resolved give the same state, and the same bytes, when they are resolved again | yes |
//! | `law::batch-is-one-by-one` | `apply_batch` and `resolve_batch` answer as `apply` and `resolve` do, and so does a [`ConcurrentReader`](idmerge_core::ConcurrentReader), if there is one | yes |
//! | `law::marked-event-makes-no-claim` | an event with `$idmerge_unweighed` makes no claim and keeps its user | yes |
//! | `law::outcome-says-what-happened` | after `Merged` and `AlreadyMerged` the IDs are one user; before `Merged` they were not | yes |
//! | `law::reading-is-pure` | `read` depends on no state and changes none | yes |
//! | `exhaustive::laws-on-every-short-sequence-of-claims` | laws 1 to 4 and 7, on every short sequence of claims | no: for Legacy |
//! | `oracle::…`, `exhaustive::…` | every answer equals that of a [second implementation](oracle) of the rules, on random claims and on every short sequence of claims | no: there is no oracle of your model |
//!
//! Trials that are left out for a custom model are listed as ignored tests, each with the reason, and
//! by [`Suite::left_out`].
//!
//! Laws run on random claims and are checked after each claim. A model that attributes events at their
//! arrival ([`Attribution::AtArrival`](idmerge_core::Attribution::AtArrival)), as Legacy does, is not
//! retroactive: vectors and law 10 then expect what is written when an event arrives.
//! The claims of a custom model are those
//! that your engine reads from random events: `$identify` as browsers and servers send it,
//! `$create_alias`, `$merge`, and events that carry a user and a device. `PROPTEST_CASES=10000` tries
//! harder. A failing case is printed in the syntax of vectors.
//!
//! An engine that cannot pass a trial says so with [`Suite::skip`].
//!
//! # What is not checked
//!
//! Speed, and anything that no rule mentions, such as how an engine words its errors. Resolving
//! should not allocate; the suite cannot see that, so each engine has a test of its own for it.
//! [`fuzz`] has properties that hold for any bytes, for you to call from a fuzzer.

mod check;
mod compare;
pub mod fuzz;
mod generate;
pub mod guide;
mod laws;
pub mod oracle;
mod settings;
mod suite;
pub mod vectors;

use std::process::ExitCode;

use idmerge_core::IdentityResolver;

pub use settings::{AnonIdFormat, EngineSettings};
pub use suite::{LeftOut, Suite, Trial};

/// Runs the whole suite like a test program, on the engines that `make` creates.
pub fn main(
    make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver> + Send + Sync + 'static,
) -> ExitCode {
    Suite::new(make).main()
}
