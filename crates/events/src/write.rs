//! Writes an answer onto its event: rules IN-5 and W-1 to W-7. Writes mappings.

mod answer;
mod edits;
mod mapping;
mod outline;
mod resolved;
mod splice;
mod value;

pub use mapping::{MappingFormat, MappingWriter};
pub use outline::{Outline, OutlinedEvent};
pub use resolved::{Failure, Resolved};
pub use value::write_json_string;
