//! Reads the parts of a JSON event that ID Merge needs, and writes the answer back into the event.
//!
//! [`JsonEvent::parse`] parses one event as an SDK sends it, and borrows from the input if it can.
//! [`JsonEvent::event`] is what an engine reads. [`JsonEvent::write_resolved`] writes the answer of
//! an engine onto the event: it splices new values into the original bytes, and everything else stays
//! byte for byte. An [`Outline`] keeps the few bytes that are needed to do that later without a
//! second scan. The rules are ID-3, IN-1, IN-2 and W-1 to W-7 of `docs/rules.md`.
//!
//! An [`Envelope`] is an event with its other properties that matter: the project's token, the time
//! and the `$insert_id`. [`Values`] cuts the body of a request into its events, and reads each
//! one in the same scan. A [`MappingWriter`] writes which canonical ID each other ID resolves to.
//!
//! ```
//! use idmerge_core::{IdentityResolver, IdentityResolverExt, Resolve, RuleBook};
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
//! Not here: lines, files, compression, and the protocol of HTTP endpoints. An event is never
//! turned into a tree of values, so nesting costs no stack and unknown properties cost nothing.

mod error;
mod json;
#[doc(hidden)]
pub mod probe;
mod read;
mod write;

pub use error::MalformedEvent;
pub use json::{
    ContainerLimits, Excess, JsonReader, Key, NotJson, Pair, PairRun, RawJson, ReadJson,
    ShapedReader, Shapes, SpecialBytes, Values, visit_members, visit_pairs,
};
pub use read::{
    DedupKey, Envelope, EventLayout, EventParts, EventShapes, JsonEvent, Repeatable, Time,
    TimeRange, is_answer,
};
pub use write::{
    Failure, MappingFormat, MappingWriter, Outline, OutlinedEvent, Resolved, write_json_string,
};
