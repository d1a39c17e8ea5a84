//! The types of ID Merge, and the traits that its engines implement.
//!
//! An event carries the IDs of its user, and some events claim that two IDs belong together. An
//! engine weighs claims in arrival order. Everything else is a fold over the log of claims:
//!
//! ```text
//! Event ──read──▶ Reading { distinct_id, claim } ──apply──▶ Outcome
//!                                                    │
//!                    DistinctId ──resolve──▶ canonical DistinctId
//! ```
//!
//! This crate has the types of that picture ([`Event`], [`Reading`], [`Claim`], [`Outcome`],
//! [`DistinctId`]) and two traits: [`Resolve`] answers which user an ID belongs to, and
//! [`IdentityResolver`] is an engine. A [`ConcurrentReader`] resolves while another thread applies claims. This crate has no
//! engine, reads no JSON, does no I/O and reads no clock. The rules are in [`rules`]; error texts, tests and comments cite
//! them by number.
//!
//! An [`InvalidEvent`] is bad input: an error. A [`Rejection`] is the answer of a guardrail to a
//! well-formed claim: an outcome.
//!
//! We did not give the traits an associated error type and associated iterators. They would save
//! a few boxes, and the traits would no longer be object safe, so that a service could not choose
//! its engine at run time.
//!
//! # Where to go next
//!
//! `idmerge-simplified`, `idmerge-original` and `idmerge-legacy` are the engines, `idmerge-engines`
//! chooses one of them at run time, and `idmerge-events` reads JSON.
//!
//! # Features
//!
//! `serde`: `Serialize` for the public data types, and `Deserialize` for those that own their data;
//! these refuse unknown fields. Borrowed types cannot be deserialised: an SDK's event is not the
//! JSON form of an [`Event`], so read it with `idmerge-events`. No file format or wire format of
//! idmerge depends on these derives, except that settings files use those of the settings.

mod claim;
mod engine;
mod event;
mod id;
mod invalid_event;
pub mod one_namespace;
mod outcome;
pub mod rules;
#[cfg(feature = "serde")]
mod serde;

pub use claim::{Claim, ClaimKind, Reading};
pub use engine::{
    ApplyEventError, Attribution, Cluster, ConcurrentReader, EngineError, IdentityResolver,
    IdentityResolverExt, ImagePiece, ImageSink, ImageSource, Resolve, ResolveExt, RuleBook,
    SnapshotError, UnknownRuleBook,
};
pub use event::{DistinctIds, Event, IdProperty, Value};
pub use id::{
    AsDistinctId, DEVICE_PREFIX, DistinctId, DistinctIdBuf, Id, IdBuffer, IdForm, IdRules,
    InvalidId, UuidText,
};
pub use invalid_event::{InvalidEvent, InvalidEventReason, quote};
pub use outcome::{Outcome, Rejection};
