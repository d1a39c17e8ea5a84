//! What Python sees.

pub(crate) mod engine;
mod events;
pub(crate) mod functions;
pub(crate) mod summary;
pub(crate) mod table;
