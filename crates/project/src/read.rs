//! Answers questions about what is committed. IDs are resolved with the current state of the
//! engine.

pub(crate) mod backup;
pub(crate) mod event_names;
pub(crate) mod export;
pub(crate) mod funnel;
pub(crate) mod identity;
pub(crate) mod mappings;
pub(crate) mod profiles;
pub(crate) mod timeline;
pub(crate) mod users;
