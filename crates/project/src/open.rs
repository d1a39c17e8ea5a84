//! Opening a project: its store ([`store`]), what is kept in memory of it ([`state`]), and opening both
//! again after a failure ([`recovery`]).

pub(crate) mod clock;
pub(crate) mod health;
pub(crate) mod profile_check;
pub(crate) mod recovery;
pub(crate) mod revision;
pub(crate) mod state;
pub(crate) mod store;

#[cfg(test)]
mod disk;
#[cfg(test)]
mod tests;
