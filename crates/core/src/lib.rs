//! The vocabulary of ID Merge, and the trait that its engines implement.
//!
//! Events say who they belong to, and some of them make a claim. An engine weighs claims in
//! arrival order. Everything else is a fold over the log of claims:
//!
//! ```text
//! Event ──read──▶ Reading { distinct_id, claim } ──apply──▶ Outcome
//!                                                    │
//!                    DistinctId ──resolve──▶ canonical DistinctId
//! ```
//!
//! This crate has the types of that picture ([`Event`], [`Reading`], [`Claim`], [`Outcome`],
//! [`DistinctId`]) and the trait [`IdentityResolver`]. It has no engine, reads no JSON, does no
//! I/O and knows no clock. The rules themselves are in `docs/rules.md`; error texts, tests and
//! comments cite them by number.
//!
//! Two things that look alike and are not: an event is [`InvalidEvent`] where it is bad input (an
//! error), and a claim is [rejected](Rejection) where a guardrail turns it down (an outcome).
//!
//! The design that was not taken: a trait with an associated error type and associated
//! iterators. It would spare a box here and there, and cost the `dyn` that lets a service choose
//! its engine at run time.
//!
//! # Where to go next
//!
//! `idmerge-simplified` and `idmerge-original` are the engines, `idmerge-events` reads JSON.
//!
//! # Features
//!
//! `serde`: `Serialize` for the public data types, and `Deserialize` for those that own their data;
//! these refuse unknown fields. Borrowed types cannot be deserialised: an SDK's event is not the
//! JSON form of an [`Event`], so read it with `idmerge-events`. No file format or wire format of
//! idmerge depends on these derives, except that settings files use those of the settings.

mod claim;
mod distinct_id_buf;
mod event;
mod id;
mod id_rules;
mod invalid_event;
mod outcome;
mod resolver;
mod rule_book;
#[cfg(feature = "serde")]
mod serde;
mod snapshot;
mod uuid_text;

pub use claim::{Claim, ClaimKind, Reading};
pub use distinct_id_buf::{AsDistinctId, DistinctIdBuf};
pub use event::{DistinctIds, Event, IdProperty, Value};
pub use id::{DEVICE_PREFIX, DistinctId, Id, IdBuffer, IdForm, InvalidId};
pub use id_rules::IdRules;
pub use invalid_event::{InvalidEvent, InvalidEventReason, quote};
pub use outcome::{Outcome, Rejection};
pub use resolver::{
    ApplyEventError, Cluster, EngineError, IdentityResolver, IdentityResolverExt, Resolve,
    ResolveExt,
};
pub use rule_book::{Attribution, RuleBook, UnknownRuleBook};
pub use snapshot::SnapshotError;
pub use uuid_text::UuidText;
