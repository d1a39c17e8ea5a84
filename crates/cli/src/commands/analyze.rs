//! `idmerge funnel`, `idmerge uniques` and `idmerge retention`: figures of resolved events.

pub(crate) mod funnel;
mod names;
mod reading;
pub(crate) mod retention;
pub(crate) mod uniques;
