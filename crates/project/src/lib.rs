//! One project of a server: an identity engine, the events it received and the profiles of its
//! users, stored together in one folder.
//!
//! [`Project::open`] opens the folder. [`Project::submit`] takes the records of one request and
//! answers when they are durable: the claims, events and profile updates of a request are written
//! in one commit, which concurrent requests share. All other methods read: the identity of an ID,
//! the events of a user, the changes since an entry of the log.
//!
//! Events are stored unchanged, under the distinct_id they were sent with, and are never rewritten.
//! IDs are resolved when events are read, so a merge changes the attribution of past events at no
//! cost.
//!
//! ```
//! use idmerge_engines::{Model, Settings};
//! use idmerge_project::{Batch, Options, Project, Record, RecordAnswer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let settings = Settings::of(Model::Simplified);
//! let project = Project::open(folder, settings, Options::default())?;
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
//! let timeline = project.user_events("U1", None, 100)?;
//! assert_eq!(timeline.events.len(), 2);
//! project.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows nothing about HTTP, credentials and request formats: `idmerge-wire` and
//! `idmerge-server` do. It takes no time from a clock of its own: the caller passes the arrival
//! time with each batch.
//!
//! # Repeated events
//!
//! Two events are the same if their name, time, own distinct_id and `insert_id` are equal. A
//! project stores such an event once: when it arrives again, the answer is
//! [`RecordAnswer::Repeated`], and its claim is not applied again. An event without an `insert_id`
//! is always a new event. A project also knows who sent an event ([`Sender`]): what came with a
//! credential replaces what came without, if the two differ, and the replaced event is not shown any
//! more. If a request has another mark that identifies a resend, such as
//! `$mp_metadata.$mp_event_id` of mobile SDKs, the caller passes that mark as the `insert_id`.

#[cfg(test)]
extern crate self as idmerge_project;

mod archive;
mod erasure;
mod error;
mod figures;
mod inner;
mod large;
mod open;
mod options;
mod privacy;
mod profiles;
mod project;
mod read;
mod retraction;
#[cfg(test)]
mod simulation;
mod user_key;
mod workers;
mod write;

pub use erasure::ProjectErasure;
pub use error::ProjectError;
pub use figures::{Figures, LATENCY_BOUNDS_MS};
/// The formats of [`Project::write_mappings_while`].
pub use idmerge_events::MappingFormat;
pub use idmerge_profiles::ProfileMerge;
/// What a query asks to know whether to go on.
pub use idmerge_store::MayGoOn;
pub use open::health::Health;
pub use open::profile_check::ProfileCheck;
pub use options::Options;
pub use privacy::task::{PrivacyTask, TaskKind, TaskStatus};
pub use project::Project;
pub use read::event_names::EventNames;
pub use read::export::{ExportQuery, ExportedEvent, WrittenId};
pub use read::identity::{Identity, MemberCursor, MembersQuery};
pub use read::profiles::{HiddenProfiles, ProfilePage, StoredProfile};
pub use read::timeline::{Cursor, EventFilter, Timeline, TimelineEvent};
pub use read::users::{
    Device, DeviceKind, FoundUser, Holder, LiveAnswer, LiveClaim, LiveEvent, LivePage,
    MatchedField, SearchQuery, SearchResult, User, UserId, UserIds, UsersCursor, UsersPage,
    UsersQuery,
};
pub use workers::Workers;
pub use write::batch::{
    Answer, Batch, ClaimAnswer, EventOrder, Record, RecordAnswer, RecordError, Sender,
};
pub use write::withdrawal::RetractionTarget;
