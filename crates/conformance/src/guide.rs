//! Guide: an engine for a model of your own, from start to end.
//!
//! The example implements a model like that of `PostHog`: `$identify` merges the anonymous ID into
//! the identified one, unless the anonymous ID has been identified already. It is the package
//! `examples/posthog-model` of the repository, which passes the suite: copy that folder. It uses
//! `idmerge-state` for its table of IDs and its snapshots; you may write your own.
//!
//! 1. **Name the model** with [`RuleBook::Custom`](idmerge_core::RuleBook::Custom): lower case,
//!    without spaces.
//! 2. **Read.** [`read`](idmerge_core::IdentityResolver::read) takes the identity properties of an
//!    event, and returns the ID that the event is attributed to and the
//!    [`Claim`](idmerge_core::Claim) that it makes, if any. Choose the kind of claim that says what
//!    your event says. [`IdRules`](idmerge_core::IdRules) refuses values such as `"null"`, by rules
//!    ID-2 to ID-5. Where a rule of yours reads `distinct_id`, read
//!    [`own_distinct_id`](idmerge_core::Event::own_distinct_id), so that events of exports keep
//!    their own ID (IN-5). A marked event makes no claim
//!    ([`is_unweighed`](idmerge_core::Event::is_unweighed), AR-4).
//! 3. **Apply.** [`apply`](idmerge_core::IdentityResolver::apply) answers
//!    [`Merged`](idmerge_core::Outcome::Merged) if the claim joins two IDs,
//!    [`AlreadyMerged`](idmerge_core::Outcome::AlreadyMerged) if they were joined before,
//!    [`Rejected`](idmerge_core::Outcome::Rejected) if a rule turns the claim down, and
//!    [`Ignored`](idmerge_core::Outcome::Ignored) for a kind of claim that the model does not have.
//!    The suite applies claims of every kind.
//! 4. **Resolve.** [`resolve`](idmerge_core::Resolve::resolve),
//!    [`cluster`](idmerge_core::Resolve::cluster) and [`clusters`](idmerge_core::Resolve::clusters)
//!    show the state. Choose an order for clusters and for their members, and keep to it.
//! 5. **Write and read snapshots.** Equal states give equal bytes. A damaged snapshot is an error. The
//!    checksum finds damage, not forgery, and the suite does not forge snapshots: check yourself
//!    that no ID occurs twice and that every count is possible.
//! 6. **Bring vectors.** They state what your rules give, in the [syntax of vectors](crate::vectors).
//!    `rules` is optional here: number your rules as you like. The order of clusters and members is
//!    that of your engine.
//!
//! # The engine
//!
//! `src/lib.rs`:
//!
#![doc = "```ignore"]
#![doc = include_str!("../posthog-model/lib.rs")]
#![doc = "```"]
//!
//! # The test
//!
//! `tests/conformance.rs`:
//!
#![doc = "```ignore"]
#![doc = include_str!("../posthog-model/conformance.rs")]
#![doc = "```"]
//!
//! `tests/vectors.toml`:
//!
#![doc = "```toml"]
#![doc = include_str!("../posthog-model/vectors.toml")]
#![doc = "```"]
//!
//! `cargo test --test conformance` prints, among others:
//!
//! ```text
//! test law::3-monotone                                   ... ok
//! test vector::own::a-login-merges-the-anonymous-id      ... ok
//! test [left out, this compares Simplified and Original ID Merge] law::8-agreement ... ignored
//! ```
