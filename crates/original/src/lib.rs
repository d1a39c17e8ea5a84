//! The engine of Original ID Merge: rules O-1 to O-18 of `docs/rules.md`.
//!
//! Ids are joined by three identity events: `$identify`, `$create_alias` and `$merge`. A cluster
//! has at most 500 ids, and the anonymous id of `$identify` must be a UUIDv4; both are
//! [`Settings`]. A claim that a guardrail turns down is rejected with the vendor's code.
//!
//! ```
//! use idmerge_core::{ApplyEventError, Event, IdentityResolverExt, Outcome, Resolve};
//! use idmerge_original::{Original, Settings};
//!
//! # fn main() -> Result<(), ApplyEventError> {
//! let mut engine = Original::new(Settings::default());
//! let device = "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";
//!
//! let identify = Event {
//!     identified_id: "U1".into(),
//!     anon_id: device.into(),
//!     ..Event::named(Event::IDENTIFY)
//! };
//! assert_eq!(engine.apply_event(&identify)?.1, Some(Outcome::Merged));
//! assert_eq!(engine.resolve(engine.read_id(device)?), *"U1");
//!
//! // The device is U1's now; another user's `$identify` is rejected.
//! let other = Event { identified_id: "U2".into(), ..identify };
//! let (_, outcome) = engine.apply_event(&other)?;
//! let Some(Outcome::Rejected(rejection)) = outcome else { panic!() };
//! assert_eq!(rejection.code(), "errAnonDistinctIdAssignedAlready");
//! # Ok(())
//! # }
//! ```
//!
//! Not here: events with both `$user_id` and `$device_id`, which join nothing in this model; see
//! `idmerge-simplified`.
//!
//! # How it is kept
//!
//! One table of interned ids, numbered by age (rule O-14). Beside the number of an id stands the
//! label of its cluster, so that resolving goes from the place in the table to the cluster and from
//! there to the canonical id. When two clusters merge, the ids of the smaller one are given the
//! other's label, which the cap bounds. There is no path to compress, and resolving takes `&self`.
//! The members of a cluster hang together as a ring, and two rings are joined by exchanging two
//! links.

mod anon_id_format;
mod engine;
mod partition;
mod reading;
mod snapshot;

pub use anon_id_format::{AnonIdFormat, UnknownAnonIdFormat};
pub use engine::{Original, Settings};
