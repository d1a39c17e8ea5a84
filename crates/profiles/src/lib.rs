//! Profiles of users and groups: their properties, and the operations that change them.
//!
//! [`Update::parse`] reads one record as SDKs send it to `/engage` or `/groups`, and
//! [`Update::apply`] carries out its operations on a [`Profile`]. When two clusters merge,
//! [`after_merge`] decides which of their profiles stay, move, are hidden or are deleted (rules P-2
//! and P-3 of `docs/rules.md`).
//!
//! ```
//! use idmerge_profiles::{Limits, Profile, Update};
//!
//! let limits = Limits::DOCUMENTED;
//! let update = Update::parse(
//!     r#"{"$token":"T","$distinct_id":"U1","$set":{"plan":"free"},"$add":{"logins":1}}"#,
//!     &limits,
//! )?;
//! let mut profile = Some(Profile::default());
//! update.apply(&mut profile, &limits)?;
//! assert_eq!(profile.unwrap().to_json(), r#"{"plan":"free","logins":1}"#);
//! # Ok::<(), idmerge_profiles::UpdateError>(())
//! ```
//!
//! The crate stores nothing and resolves no IDs. The caller finds the profile of the canonical ID
//! (rule P-1) with an engine.

mod apply;
mod error;
mod limits;
mod list;
mod merge;
mod profile;
mod properties;
mod undo;
mod update;

pub use error::UpdateError;
pub use limits::Limits;
pub use merge::{Fate, ProfileMerge, Side, after_merge};
pub use profile::Profile;
pub use update::{Target, Update};
