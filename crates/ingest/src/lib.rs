//! What a store takes of events, for the command `idmerge ingest` and the package of Python.
//!
//! [`EventClaims`] reads the claims that an event makes, by the model of the store and by the others. [`Taken`] leaves
//! out events and inputs that the store has taken before (AR-2, AR-3), and commits what was taken with the claims that
//! came of it. An input is known by its content: [`ContentHasher`], [`KnownInputs`].
//!
//! Not here: the store, which `idmerge-store` is, and files. What is taken are lines of JSON, wherever they come from.
//!
//! ```
//! use idmerge_ingest::{ContentHasher, Known, KnownInputs};
//!
//! let mut hasher = ContentHasher::default();
//! hasher.update(b"{}\n");
//! let known = Known { number: 1, content: hasher.content(), records: 1 };
//! let inputs = KnownInputs::new([known], 2);
//!
//! // The file has grown since.
//! let mut input = &b"{}\n{}\n"[..];
//! assert_eq!(inputs.find(&mut input), Some(known));
//! ```
//!
//! # Features
//!
//! `store` (default): [`EventClaims`] and [`Taken`]. Without it the libraries of a store are not built.

#[cfg(feature = "store")]
mod claims;
mod content;
mod known;
#[cfg(feature = "store")]
mod taken;

#[cfg(feature = "store")]
pub use claims::{BlockClaims, EventClaims, LoggedClaim};
pub use content::{Content, ContentHasher};
pub use known::{Known, KnownInputs, pass};
#[cfg(feature = "store")]
pub use taken::{COMMIT_CLAIMS, Part, Taken, snapshot_if_old};
