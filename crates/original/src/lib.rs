//! The engine of Original ID Merge: rules O-1 to O-18 of `docs/rules.md`.
//!
//! Three identity events join IDs: `$identify`, `$create_alias` and `$merge`. A cluster has at most
//! 500 IDs, and the anonymous ID of `$identify` must be a UUIDv4; both are [`Settings`]. If a
//! guardrail turns a claim down, the engine rejects it with the vendor's code.
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
//! assert_eq!(engine.resolve(engine.read_id(device)?), "U1");
//!
//! // The device now belongs to U1, so the `$identify` of another user is rejected.
//! let other = Event { identified_id: "U2".into(), ..identify };
//! let (_, outcome) = engine.apply_event(&other)?;
//! let Some(Outcome::Rejected(rejection)) = outcome else { panic!() };
//! assert_eq!(rejection.code(), "errAnonDistinctIdAssignedAlready");
//! # Ok(())
//! # }
//! ```
//!
//! An event with both `$user_id` and `$device_id` joins nothing in this model; for that see
//! `idmerge-simplified`.
//!
//! # How the state is stored
//!
//! The engine interns IDs in one table and numbers them by age (rule O-14). A hash bucket holds the
//! number of an ID together with the label of its cluster, so resolving goes from the bucket to the
//! cluster and from there to the canonical ID. When two clusters merge, the IDs of the smaller one
//! get the label of the larger one; the limit of a cluster bounds that work. There is no path to
//! compress, so resolving takes `&self`. The members of a cluster form a ring, and two rings are
//! joined by exchanging two links.

mod anon_id_format;
mod engine;
mod image;
mod partition;
mod reading;
mod snapshot;

pub use anon_id_format::{AnonIdFormat, UnknownAnonIdFormat};
pub use engine::{Original, Settings};
