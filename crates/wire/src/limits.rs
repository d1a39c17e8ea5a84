//! Limits on requests and records.

use idmerge_events::ContainerLimits;

/// Limits on a request and its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a body, both compressed and decompressed.
    pub max_body_bytes: usize,
    /// The most records of a request.
    pub max_records: usize,
    /// The most bytes of the JSON text of a record.
    pub max_record_bytes: usize,
    /// The most properties of an event, and the most members of each object and array in them.
    pub max_members: usize,
    /// How many levels of objects and arrays a property may have.
    pub max_depth: usize,
    /// The most bytes of an `$insert_id`.
    pub max_insert_id_bytes: usize,
    /// The earliest time of an imported event, in milliseconds since 1970.
    pub min_time_ms: i64,
    /// How far in the future the time of an imported event may be, in milliseconds.
    pub max_ahead_ms: i64,
}

impl Limits {
    /// The limits that the vendor documents.
    pub const DOCUMENTED: Self = Self {
        max_body_bytes: 10 * 1024 * 1024,
        max_records: 2_000,
        max_record_bytes: 1024 * 1024,
        max_members: 254,
        max_depth: 3,
        max_insert_id_bytes: 36,
        // 1971-01-01
        min_time_ms: 365 * 24 * 60 * 60 * 1_000,
        max_ahead_ms: 60 * 60 * 1_000,
    };

    /// The limits on the properties of an event, for the scan.
    pub(crate) fn of_containers(&self) -> ContainerLimits {
        ContainerLimits {
            max_members: self.max_members,
            max_depth: self.max_depth,
        }
    }
}
