//! Limits on requests and records.

/// Limits on a request and its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a body, both compressed and decompressed.
    pub body_bytes_max: usize,
    /// The most records of a request.
    pub records_max: usize,
    /// The most bytes of the JSON text of a record.
    pub record_bytes_max: usize,
    /// The most properties of an event, and the most members of each object and array in them.
    pub members_max: usize,
    /// How many levels of objects and arrays a property may have.
    pub depth_max: usize,
    /// The most bytes of an `$insert_id`.
    pub insert_id_bytes_max: usize,
    /// The earliest time of an imported event, in milliseconds since 1970.
    pub time_min_ms: i64,
    /// How far in the future the time of an imported event may be, in milliseconds.
    pub ahead_max_ms: i64,
}

impl Limits {
    /// The limits that the vendor documents.
    pub const DOCUMENTED: Self = Self {
        body_bytes_max: 10 * 1024 * 1024,
        records_max: 2_000,
        record_bytes_max: 1024 * 1024,
        members_max: 254,
        depth_max: 3,
        insert_id_bytes_max: 36,
        // 1971-01-01
        time_min_ms: 365 * 24 * 60 * 60 * 1_000,
        ahead_max_ms: 60 * 60 * 1_000,
    };
}
