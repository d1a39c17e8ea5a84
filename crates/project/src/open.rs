//! Opening a project: its store ([`store`]), and what is kept in memory of it ([`state`]).

pub(crate) mod clock;
pub(crate) mod state;
pub(crate) mod store;
