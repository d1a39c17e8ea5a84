//! The records of a message: events and profile updates.

pub(crate) mod event;
pub(crate) mod fault;
pub(crate) mod lost;
pub(crate) mod split;
pub(crate) mod update;
