//! User and group profiles: what is known of somebody besides what they did.
//!
//! [`Update::parse`] reads one record as SDKs send it to `/engage` or `/groups`, and
//! [`Update::apply`] carries its operations out on a [`Profile`]. [`after_merge`] says what becomes
//! of the profiles of two clusters that are one from now on (rules P-2 and P-3 of
//! `docs/rules.md`).
//!
//! ```
//! use idmerge_profiles::{Limits, Profile, Update};
//!
//! let limits = Limits::DOCUMENTED;
//! let update = Update::parse(
//!     r#"{"$token":"T","$distinct_id":"U1","$set":{"plan":"free"},"$add":{"logins":1}}"#,
//!     &limits,
//! )?;
//! let profile = update.apply(Some(Profile::default()), &limits)?.unwrap();
//! assert_eq!(profile.to_json(), r#"{"plan":"free","logins":1}"#);
//! # Ok::<(), idmerge_profiles::UpdateError>(())
//! ```
//!
//! Not here: where profiles are kept, and whose canonical ID an ID has (rule P-1), which the caller
//! asks an engine.

mod apply;
mod error;
mod limits;
mod merge;
mod profile;
mod update;

pub use error::UpdateError;
pub use limits::Limits;
pub use merge::{Fate, Side, after_merge};
pub use profile::Profile;
pub use update::{Target, Update};
