//! Identifiers, and the rules that decide which texts are identifiers.

mod distinct_id;
mod distinct_id_buf;
mod id_rules;
mod plain;
mod uuid_text;

pub use distinct_id::{DEVICE_PREFIX, DistinctId};
pub use distinct_id_buf::{AsDistinctId, DistinctIdBuf};
pub use id_rules::IdRules;
pub use plain::{Id, IdBuffer, IdForm, InvalidId};
pub use uuid_text::UuidText;
