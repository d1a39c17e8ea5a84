//! Arrow data that comes from Python and goes there.

pub(crate) mod capsule;
#[allow(
    clippy::disallowed_types,
    reason = "a path that a caller gives is a file to read"
)]
mod file;
pub(crate) mod input;
