//! The engine of projects without ID Merge: rules L-1 to L-13 of `docs/rules.md`.
//!
//! One event joins IDs: `$create_alias` makes an alias stand for another ID. An event is attributed
//! once, when it arrives, to the ID that its own distinct_id stands for at that moment, and it stays
//! there ([`Attribution::AtArrival`](idmerge_core::Attribution::AtArrival)). So resolve the ID of an
//! event before the next claim is applied, and store the answer.
//!
//! ```
//! use idmerge_core::{ApplyEventError, Event, IdentityResolverExt, Outcome, Resolve};
//! use idmerge_legacy::{Legacy, Settings};
//!
//! # fn main() -> Result<(), ApplyEventError> {
//! let mut engine = Legacy::new(Settings::default());
//!
//! // An event with the user's ID comes before the alias. It stays under U1.
//! let early = Event { distinct_id: "U1".into(), ..Event::named("Page View") };
//! let (reading, _) = engine.apply_event(&early)?;
//! assert_eq!(engine.resolve(reading.distinct_id.unwrap()), "U1");
//!
//! let sign_up = Event {
//!     distinct_id: "D1".into(),
//!     alias: "U1".into(),
//!     ..Event::named(Event::CREATE_ALIAS)
//! };
//! assert_eq!(engine.apply_event(&sign_up)?.1, Some(Outcome::Merged));
//!
//! // From now on, U1 stands for D1.
//! let (reading, _) = engine.apply_event(&early)?;
//! assert_eq!(engine.resolve(reading.distinct_id.unwrap()), "D1");
//! # Ok(())
//! # }
//! ```
//!
//! `$identify` and `$merge` join nothing in this model; for those see `idmerge-original`.
//!
//! # How the state is stored
//!
//! The engine interns IDs in one table of clusters (`idmerge_state::Partition`). The canonical ID of a
//! cluster is its root, the ID that stands for itself. So a chain of aliases takes no longer to
//! resolve than one alias. When an ID becomes an alias, its cluster merges into that of the other ID.
//! Beside the table is the list of aliases in the order in which they were made, with the ID that
//! each was made for.

mod aliases;
mod engine;
mod reading;
mod snapshot;

pub use engine::{Legacy, Settings};
