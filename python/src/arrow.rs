//! Arrow data that comes from Python and goes there.

pub(crate) mod capsule;
pub(crate) mod input;
