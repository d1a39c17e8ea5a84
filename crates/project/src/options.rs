//! [`Options`]: limits of a project.

use idmerge_profiles::{Limits, ProfileMerge};

use crate::workers::Workers;

/// Limits of a project: how much may wait, share a commit, and stay in memory. They can differ
/// each time a project is opened. Every commit does some work: 0 counts as 1 in [`max_commit_profile_bytes`] and
/// [`max_commit_members`].
///
/// [`max_commit_profile_bytes`]: Self::max_commit_profile_bytes
/// [`max_commit_members`]: Self::max_commit_members
#[derive(Clone, Debug)]
pub struct Options {
    /// The most bytes of memory that the batches in the queue take: their text, and their parsed profile
    /// updates. A batch that is larger is still taken if the queue is empty.
    pub max_queue_bytes: usize,
    /// The most bytes of memory that the parsed profile updates of a batch take. A batch with more is not
    /// taken.
    pub max_update_bytes: usize,
    /// The most batches in the queue.
    pub max_queue_batches: usize,
    /// The most bytes of text that share a commit. A batch that is larger is committed alone.
    pub max_commit_bytes: usize,
    /// The most bytes of profiles that the updates of a commit read, and as many for the merges that fill a
    /// profile from another one. A profile that is larger is read alone. The other updates and merges wait for a
    /// later commit, so that no other batch waits for them.
    pub max_commit_profile_bytes: usize,
    /// The most members of profile updates ([`Update::members`](idmerge_profiles::Update::members)) in a
    /// commit. An update with more is carried out alone. The others wait in the same way.
    pub max_commit_members: usize,
    /// The most bytes of profiles that the updates and merges of all waiting batches may have to read. A
    /// batch that would exceed this is not taken.
    pub max_waiting_profile_bytes: usize,
    /// The most IDs that the clusters of the project have. A batch with a claim that would add more is not
    /// taken.
    pub max_ids: usize,
    /// Limits of a profile.
    pub profile_limits: Limits,
    /// How a merge combines the profiles of two clusters. If this differs from the last time that
    /// the project was opened, only later merges follow it.
    pub profile_merge: ProfileMerge,
    /// Whether the claim of a `$create_alias` without a credential counts. This can change: a claim that was
    /// not weighed stays so.
    pub anybody_may_alias: bool,
    /// The most memory that the events of a funnel may take, in bytes.
    pub max_funnel_bytes: usize,
    /// The most memory for the database's page cache, in bytes.
    pub cache_bytes: usize,
    /// A snapshot is made after this many entries of the log. Opening a project applies the entries
    /// since the last snapshot again.
    pub snapshot_entries: u64,
    /// The index of events is written to disk after this many events; until then it is in memory.
    /// Values above the default make the search for duplicate events slower.
    pub index_events: u64,
    /// The threads that write and maintain the project. `None`: two threads of its own.
    pub workers: Option<Workers>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_queue_bytes: 64 << 20,
            max_update_bytes: 32 << 20,
            max_queue_batches: 10_000,
            max_commit_bytes: 8 << 20,
            max_commit_profile_bytes: 4 << 20,
            max_commit_members: 1 << 15,
            max_waiting_profile_bytes: 128 << 20,
            max_ids: 50_000_000,
            profile_limits: Limits::DOCUMENTED,
            profile_merge: ProfileMerge::Vendor,
            anybody_may_alias: true,
            max_funnel_bytes: 1 << 30,
            cache_bytes: 64 << 20,
            snapshot_entries: 1_000_000,
            index_events: 1 << 17,
            workers: None,
        }
    }
}

impl Options {
    /// The same limits, with which every commit does some work.
    pub(crate) fn that_end(self) -> Self {
        Self {
            max_commit_profile_bytes: self.max_commit_profile_bytes.max(1),
            max_commit_members: self.max_commit_members.max(1),
            ..self
        }
    }
}
