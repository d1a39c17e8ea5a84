//! The endpoints that answer queries. Each one needs a project secret or a service account.

pub(crate) mod archive;
mod chunks;
pub(crate) mod dates;
pub(crate) mod export;
pub(crate) mod find;
pub(crate) mod funnel;
pub(crate) mod gone;
pub(crate) mod health;
pub(crate) mod identity;
pub(crate) mod live;
pub(crate) mod mappings;
pub(crate) mod openapi;
pub(crate) mod people;
pub(crate) mod profiles;
pub(crate) mod query;
pub(crate) mod users;
