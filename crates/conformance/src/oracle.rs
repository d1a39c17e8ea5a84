//! The oracle: the whole rule book a second time, by brute force.
//!
//! [`SimplifiedOracle`] and [`OriginalOracle`] are engines like any other, and nobody should use
//! them as one. They exist to be compared with: they are written for obviousness, share nothing
//! with the real engines but the types of `idmerge-core`, and cite the rule at every step.
//!
//! The state of an oracle is a log: the accepted claims, in order. Each question is answered by
//! going through the log from its start, so there is nothing that could be out of date. Resolving
//! therefore takes time in proportion to all that ever happened, and allocates; of the contract
//! of [`IdentityResolver`](idmerge_core::IdentityResolver), that is the one promise that an
//! oracle does not keep.
//!
//! An oracle does not use [`IdRules`](idmerge_core::IdRules): which values are ids is part of the
//! rule book too.
//!
//! Its snapshots are a text of its own, which no engine reads.

mod format;
#[cfg(test)]
mod laws;
mod original;
mod reading;
mod simplified;
mod snapshot;

pub use format::OracleIdFormat;
pub use original::OriginalOracle;
pub use simplified::SimplifiedOracle;

/// The settings of both oracles. The default values are those of the rule book.
///
/// ```
/// use idmerge_conformance::oracle::OracleSettings;
///
/// let settings = OracleSettings { max_cluster_ids: 3, ..OracleSettings::default() };
/// assert_eq!(settings.max_id_bytes, 255);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleSettings {
    /// The most bytes of an ID (rule ID-2). 0 counts as 1, since no ID is empty.
    pub max_id_bytes: usize,
    /// The values that are no ID, in any ASCII case (rule ID-4).
    pub blocked_values: Vec<String>,
    /// The most members of a cluster (rules O-12 and O-18). Original only.
    pub max_cluster_ids: usize,
    /// The form that `$identify` asks of an anonymous id (rule O-8). Original only.
    pub anon_id_format: OracleIdFormat,
}

impl Default for OracleSettings {
    fn default() -> Self {
        Self {
            // ID-2: an ID has 1 to 255 bytes.
            max_id_bytes: 255,
            // ID-4: the list, as the rule book has it.
            blocked_values: [
                "00000000-0000-0000-0000-000000000000",
                "anon",
                "anonymous",
                "nil",
                "none",
                "null",
                "n/a",
                "na",
                "undefined",
                "unknown",
                "<nil>",
                "0",
                "-1",
                "true",
                "false",
                "[]",
                "{}",
            ]
            .map(String::from)
            .to_vec(),
            // Section 4: the limit is a setting; 500 its default.
            max_cluster_ids: 500,
            // O-8: `uuid_v4` is the default.
            anon_id_format: OracleIdFormat::UuidV4,
        }
    }
}
