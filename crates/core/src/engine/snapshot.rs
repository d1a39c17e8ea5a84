//! [`SnapshotError`]: what can be wrong with a snapshot.

use std::io;

use thiserror::Error;

use crate::RuleBook;

/// The engine cannot take these bytes as a snapshot. Its state is as it was before.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes do not start like a snapshot.
    #[error("not an idmerge snapshot")]
    NotASnapshot,
    /// The snapshot is of another rule book. Read it with an engine of that rule book.
    #[error("a snapshot of the rule book {found} cannot be read by an engine of {expected}")]
    OtherRuleBook {
        /// The name of the snapshot's rule book.
        found: String,
        /// The engine's rule book.
        expected: RuleBook,
    },
    /// A later version of idmerge wrote the snapshot. Read it with that version or a newer one.
    #[error("the snapshot has format version {found}; this version reads up to {supported}")]
    UnsupportedVersion {
        /// The snapshot's format version.
        found: u16,
        /// The newest format version that this engine reads.
        supported: u16,
    },
    /// The bytes end early, fail their checksum, or contradict each other. Use an older snapshot.
    #[error("the snapshot is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// A cluster of the snapshot is larger than this engine's settings allow. Give the engine the
    /// settings that the snapshot was made with.
    #[error(
        "the snapshot has a cluster of {cluster_ids} IDs; the settings allow {max_cluster_ids}"
    )]
    OverLimit {
        /// The number of IDs in the cluster.
        cluster_ids: u64,
        /// The most IDs that the settings allow.
        max_cluster_ids: u64,
    },
    /// The source could not be read.
    #[error("the snapshot could not be read")]
    Io(#[source] io::Error),
}

/// A source that ends early is a damaged snapshot; any other error is an I/O error.
impl From<io::Error> for SnapshotError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Damaged {
                what: "it ends early",
            }
        } else {
            Self::Io(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_ends_early_is_a_damaged_snapshot_and_another_error_is_not() {
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(matches!(end.into(), SnapshotError::Damaged { .. }));
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(refused.into(), SnapshotError::Io(_)));
    }
}
