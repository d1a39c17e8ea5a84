//! What Python sees.

pub(crate) mod engine;
mod events;
pub(crate) mod fold;
pub(crate) mod functions;
pub(crate) mod summary;
pub(crate) mod table;
