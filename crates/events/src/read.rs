//! Reads an event from its text, in one scan.

mod dedup_key;
mod envelope;
mod event;
mod key;
mod layout;
mod parts;
mod properties;
mod shapes;
mod time;

pub use dedup_key::{DedupKey, Repeatable};
pub use envelope::Envelope;
pub use event::JsonEvent;
pub use layout::EventLayout;
pub use parts::EventParts;
pub use shapes::EventShapes;
pub use time::{Time, TimeRange};

pub(crate) use key::Key;
pub use key::is_answer;
