//! Data that the first pass over the input keeps for the second, in memory or in a temporary file.

pub(crate) mod blocks;
pub(crate) mod outlines;
pub(crate) mod rejections;
pub(crate) mod sort;

/// What goes wrong if a temporary file cannot be written or read.
pub(crate) const TEMPORARY: &str = "cannot use a temporary file (TMPDIR sets another folder)";

/// What is kept about blocks is in memory up to this size, and then in a temporary file.
const IN_MEMORY_BYTES: usize = 4 * 1024 * 1024;
