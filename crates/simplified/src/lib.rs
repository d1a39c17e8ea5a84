//! The engine of Simplified ID Merge: rules S-0 to S-10 of `docs/rules.md`.
//!
//! A device belongs to at most one user, for ever: the user of the first event that carries both
//! `$user_id` and `$device_id`. Two users never merge. A user may have any number of devices.
//!
//! ```
//! use idmerge_core::{ApplyEventError, Event, IdentityResolverExt, Resolve};
//! use idmerge_simplified::{Settings, Simplified};
//!
//! # fn main() -> Result<(), ApplyEventError> {
//! let mut engine = Simplified::new(Settings::default());
//!
//! // The visitor is not logged in yet.
//! let page_view = Event { device_id: "D1".into(), ..Event::named("Page View") };
//! let (reading, _) = engine.apply_event(&page_view)?;
//! let visitor = reading.distinct_id.unwrap();
//! assert_eq!(visitor, "$device:D1");
//! assert_eq!(engine.resolve(visitor), visitor);
//!
//! // One event with both IDs links them. The page view before it now counts for U1 too.
//! let log_in = Event { user_id: "U1".into(), ..page_view };
//! engine.apply_event(&log_in)?;
//! assert_eq!(engine.resolve(visitor), "U1");
//! # Ok(())
//! # }
//! ```
//!
//! Events named `$identify`, `$create_alias` and `$merge` link nothing in this model; for those see
//! `idmerge-original`.
//!
//! # How the state is stored
//!
//! The engine interns IDs in two tables, one for devices and one for users. IDs are numbered in
//! arrival order. A hash bucket holds the number of a device together with the number of its user,
//! so resolving waits for memory twice: first for the bucket, then for two keys at the same time,
//! that of the device (to compare the ID) and that of the user. A key is an ID in 16 bytes. The devices
//! of a user form a ring in the order in which they were linked: each device has the next one, and the
//! user has the last one, in rows that resolving does not read.

mod engine;
mod image;
mod links;
mod reading;
mod snapshot;

pub use engine::{Settings, Simplified};
