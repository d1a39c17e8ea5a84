//! Data that the first pass over the input keeps for the second, in memory or in a temporary file.

pub(crate) mod outlines;
pub(crate) mod rejections;
pub(crate) mod sort;
