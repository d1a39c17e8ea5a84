//! Turns the raw records of other products into the events that idmerge reads.
//!
//! An [`Adapter`] turns one record into zero or more events, in order. It is pure: it opens no file,
//! reads no clock and keeps no state between records. The rules are A-1 to A-8 of `docs/rules.md`.
//!
//! ```
//! use idmerge_adapters::{Adapted, Adapter, Format, Options, Target};
//!
//! let adapter = Adapter::new(Format::Segment, Options::new(Target::Simplified))?;
//! let call = r#"{"type":"track","event":"Log In","userId":"U1","anonymousId":"D1"}"#;
//! let mut adapted = Adapted::default();
//! adapter.adapt(1, call, &mut adapted);
//! assert_eq!(
//!     str::from_utf8(adapted.text())?,
//!     r#"{"event":"Log In","properties":{"$source":"segment","$device_id":"D1","$user_id":"U1"}}"#
//!         .to_owned() + "\n",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: files, compression, and the order and repetition of records. The command line has those.

mod adapted;
mod adapter;
mod carried_as;
mod conflict;
mod counts;
mod detect;
mod format;
pub mod fuzz;
mod options;
mod read;
mod refusal;
mod vendors;
mod write;

pub use adapted::{Adapted, Line, LineKind, Receipts};
pub use adapter::{Adapter, NoConnector};
pub use conflict::UserConflict;
pub use counts::Counts;
pub use detect::{Detected, detect, is_rudderstack_call};
pub use format::Format;
pub use options::{Columns, EventName, Options, Output, SnowplowDevice, Target};
pub use read::cell::Cell;
pub use read::time::time_of_text;
pub use refusal::Refusal;
pub use vendors::calls::request::{BodyError, BodyLimits, adapt_body, write_key};
pub use vendors::columns::rows::Rows;
pub use vendors::snowplow::atomic_columns::ATOMIC_COLUMNS;
