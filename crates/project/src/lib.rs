//! One project: an engine, the events and the profiles that came in, durable together.
//!
//! [`Project::open`] opens a folder. [`Project::submit`] takes the records of one request and
//! answers when they are safe: claims, events and profiles of a request are in one commit, which
//! concurrent requests share. Everything else reads: whose an ID is, what a user did, what changed.
//!
//! Events are kept as they came, under their own distinct_id, and never rewritten; reading resolves.
//! So a merge changes what is read of the past at no cost.
//!
//! ```
//! use idmerge_project::{Batch, Options, Project, Record, RecordAnswer, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let project = Project::open(folder, Settings::Simplified(Default::default()), Options::default())?;
//!
//! let mut batch = Batch::new("/track", 1_700_000_000_000);
//! batch.push(r#"{"event":"View","properties":{"$device_id":"D1"}}"#, Record::event(None, None));
//! batch.push(
//!     r#"{"event":"Log In","properties":{"$device_id":"D1","$user_id":"U1"}}"#,
//!     Record::event(Some(1_700_000_000_000), Some("5f1c")),
//! );
//! let answer = project.submit_and_wait(batch)?;
//! assert!(answer.records.iter().all(RecordAnswer::is_stored));
//!
//! let identity = project.identity("$device:D1")?;
//! assert_eq!(identity.canonical, "U1");
//! let feed = project.user_events("U1", None, 100)?;
//! assert_eq!(feed.events.len(), 2);
//! project.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! Not here: HTTP, credentials, and what a request looks like; `idmerge-wire` and the server have
//! those. There is no clock in what is kept: when a request came is part of it.
//!
//! # What is the same event
//!
//! An event is kept once for its name, time, own distinct_id and `insert_id`; one that comes again
//! is [`RecordAnswer::Repeated`], and its claim is not weighed again. An event without an
//! `insert_id` is never the same as another. A caller that knows another mark of a resend, such as
//! `$mp_metadata.$mp_event_id` of mobile SDKs, gives that as the `insert_id` where there is none.

mod archive;
mod batch;
mod error;
mod export;
mod feed;
mod figures;
mod funnel;
mod identity;
mod keeper;
mod keys;
mod prepare;
mod profiles;
mod project;
mod queue;
mod seen;
mod settings;
mod writer;

pub use batch::{Answer, Batch, ClaimAnswer, Record, RecordAnswer, RecordError};
pub use error::ProjectError;
pub use export::{ExportQuery, ExportedEvent};
pub use feed::{Cursor, Feed, FeedEvent};
pub use figures::{Figures, LATENCY_BOUNDS_MS};
pub use funnel::{Funnel, FunnelQuery, StepCount};
pub use identity::{Change, Explained, Identity, LogEntry};
pub use profiles::{ProfilePage, StoredProfile};
pub use project::Project;
pub use settings::{Options, Settings};
