//! Requests of people about their data: what waits to be erased or retrieved, and the erasure while the project
//! is open (E-1 to E-6).

pub(crate) mod erasing;
pub(crate) mod pause;
mod requests;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod tasks;
#[cfg(test)]
mod tests;
