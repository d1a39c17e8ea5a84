//! How far members of gzip are decompressed ahead.

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A run has at least this many bytes, so that it is worth a job; it may have many members.
    pub(super) run_bytes: usize,
    /// A run without the start of another member is cut here.
    pub(super) run_bytes_max: usize,
    /// Whether a job may begin a member that is longer than a run. Two threads have enough to do with the text: new
    /// memory for some of it costs them more than it saves.
    pub(super) begins_long_members: bool,
    /// How much compressed data is read ahead, for each thread.
    pub(super) ahead_bytes: usize,
    /// How much of the compressed data is read at a time. Small, because a pipe whose writer is slow is recognized by
    /// a read that gives less.
    pub(super) piece_bytes: usize,
    /// How much text a job makes.
    pub(super) text_bytes_max: usize,
    /// How much may be decoded in vain.
    pub(super) waste_bytes: u64,
}

impl Limits {
    pub(super) fn for_threads(threads: usize) -> Self {
        Self {
            run_bytes: 128 * 1024,
            run_bytes_max: 512 * 1024,
            begins_long_members: threads > 2,
            ahead_bytes: 1024 * 1024,
            piece_bytes: 16 * 1024,
            text_bytes_max: 4 * 1024 * 1024,
            waste_bytes: 16 * 1024 * 1024,
        }
    }
}
