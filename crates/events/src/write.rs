//! Writes an answer onto its event: rules W-1 to W-7.

mod answer;
mod outline;
mod resolved;
mod splice;
mod value;

pub use outline::{Outline, OutlinedEvent};
pub use resolved::{Failure, Resolved};
