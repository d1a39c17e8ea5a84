//! The stored events: a sequence of compressed blocks, and an index of the events of each
//! distinct_id.
//!
//! A B-tree row per event would rewrite a page for nearly every event, since index keys are hashes.
//! So events are appended to blocks whose size fits the pages of the database ([`block`]), and the
//! index is written in sorted runs, which only append ([`index`]). The events since the last run
//! are indexed in memory ([`directory`]); when the project is opened, they are read again.
//!
//! A block is never rewritten because of an event in it. An event that an imported one replaces is
//! listed ([`replaced`]), and queries leave it out.

pub(crate) mod appender;
pub(crate) mod block;
pub(crate) mod directory;
pub(crate) mod fingerprint;
pub(crate) mod index;
pub(crate) mod numbers;
pub(crate) mod reader;
pub(crate) mod replaced;
pub(crate) mod room;
pub(crate) mod tables;
