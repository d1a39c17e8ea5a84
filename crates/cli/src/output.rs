//! Everything that the program writes: files, resolved events, refused lines, JSON lines and the summary.

mod adapted;
mod compress;
pub(crate) mod conflicts;
pub(crate) mod destination;
pub(crate) mod figure;
pub(crate) mod interrupt;
pub(crate) mod json;
pub(crate) mod refused;
pub(crate) mod resolved;
pub(crate) mod summary;
pub(crate) mod text;
pub(crate) mod users;
