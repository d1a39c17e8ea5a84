//! JSON events: read as far as the rules of ID Merge read them, and written back with the answer.
//!
//! [`JsonEvent::parse`] takes one event as an SDK sends it and borrows from it what it can;
//! [`JsonEvent::event`] is what an engine reads. [`JsonEvent::write_resolved`] puts the answer of
//! an engine onto the event: what is added or replaced is spliced into the original bytes, and
//! everything else stays byte for byte. An [`Outline`] is what is kept of an event to do that later
//! without reading it again. Rules ID-3, IN-1, IN-2 and W-1 to W-7 of `docs/rules.md`.
//!
//! ```
//! use idmerge_core::{IdentityResolver, IdentityResolverExt, RuleBook};
//! use idmerge_events::{JsonEvent, Resolved};
//! use idmerge_simplified::Simplified;
//!
//! let mut engine = Simplified::default();
//! let view = JsonEvent::parse(br#"{"event":"View","properties":{"$device_id":"D1"}}"#)?;
//! let log_in = JsonEvent::parse(
//!     br#"{"event":"Log In","properties":{"$device_id":"D1","$user_id":"U1"}}"#,
//! )?;
//! engine.apply_event(&log_in.event())?;
//!
//! let own = engine.read(&view.event())?.distinct_id;
//! let mut line = Vec::new();
//! view.write_resolved(
//!     &Resolved {
//!         rule_book: RuleBook::Simplified,
//!         own,
//!         canonical: own.map(|id| engine.resolve(id)),
//!         failure: None,
//!     },
//!     &mut line,
//! );
//! assert_eq!(
//!     str::from_utf8(&line)?,
//!     r#"{"event":"View","properties":{"$device_id":"D1","distinct_id":"U1","#.to_owned()
//!         + r#""$distinct_id_before_identity":"$device:D1","$is_reshuffled":true}}"#,
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: lines, files, compression, and batches of several events. An event is never turned
//! into a tree of values, so nesting costs no stack and unknown properties cost nothing.

mod error;
mod key;
mod outline;
mod parse;
mod scan;
mod special;
mod write;

pub use error::MalformedEvent;
pub use outline::{Outline, OutlinedEvent};
pub use parse::JsonEvent;
pub use write::{Failure, Resolved};
