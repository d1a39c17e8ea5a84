//! HTTP below the endpoints: connections, bodies, access control, errors and metrics.

pub(crate) mod access;
pub(crate) mod answer_memory;
pub(crate) mod api_error;
pub(crate) mod body;
pub(crate) mod listen;
pub(crate) mod listeners;
pub(crate) mod metrics;
pub(crate) mod parameters;
pub(crate) mod peers;
pub(crate) mod refusals;
pub(crate) mod sent_body;
mod shares;
pub(crate) mod unread_bodies;
pub(crate) mod wrong_secrets;
