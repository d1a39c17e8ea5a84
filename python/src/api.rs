//! What Python sees.

pub(crate) mod analyses;
#[cfg(feature = "command")]
pub(crate) mod command;
pub(crate) mod engine;
mod events;
pub(crate) mod fold;
pub(crate) mod functions;
mod ids;
mod python;
pub(crate) mod store;
pub(crate) mod summary;
pub(crate) mod table;
