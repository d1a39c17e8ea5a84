//! Rules M-12 to M-17: what the target gets.

pub(crate) mod deciding;
pub(crate) mod event;
pub(crate) mod json;
pub(crate) mod links;
pub(crate) mod profiles;
