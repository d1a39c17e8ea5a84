//! The engine of Simplified ID Merge: rules S-0 to S-10 of `docs/rules.md`.
//!
//! A device belongs to at most one user, for ever: the user of the first event that carried both
//! `$user_id` and `$device_id`. Two users never merge. There is no cap.
//!
//! ```
//! use idmerge_core::{ApplyEventError, Event, IdentityResolverExt, Resolve};
//! use idmerge_simplified::{Settings, Simplified};
//!
//! # fn main() -> Result<(), ApplyEventError> {
//! let mut engine = Simplified::new(Settings::default());
//!
//! // Browsing, not logged in yet.
//! let page_view = Event { device_id: "D1".into(), ..Event::named("Page View") };
//! let (reading, _) = engine.apply_event(&page_view)?;
//! let visitor = reading.distinct_id.unwrap();
//! assert_eq!(visitor, *"$device:D1");
//! assert_eq!(engine.resolve(visitor), visitor);
//!
//! // Logged in: one event with both ids links them, and the page view is U1's too.
//! let log_in = Event { user_id: "U1".into(), ..page_view };
//! engine.apply_event(&log_in)?;
//! assert_eq!(engine.resolve(visitor), *"U1");
//! # Ok(())
//! # }
//! ```
//!
//! Not here: events named `$identify`, `$create_alias` and `$merge`, which link nothing in this
//! model; see `idmerge-original`.
//!
//! # How it is kept
//!
//! Two tables of interned ids, one for devices and one for users, each numbered by when it came.
//! Beside the number of a device stands that of its user, so that resolving waits for memory twice:
//! for the place in the table, and then for the row of the device, to be sure that it is the one,
//! and that of the user at once. The devices of a user hang together as a ring in the order in
//! which they were linked; the row of the user knows the last one.

mod engine;
mod reading;
mod snapshot;

pub use engine::{Settings, Simplified};
