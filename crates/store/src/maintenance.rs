//! Maintenance of a store: backup, repair, merging its index.

pub(crate) mod backup;
mod copy;
pub(crate) mod erase;
pub(crate) mod merger;
pub(crate) mod repair;
mod service_tables;
