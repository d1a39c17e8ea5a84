//! How much of anything is taken.

/// What a request and its records may have. All of it is the vendor's, by its documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a body, as it came and without its compression.
    pub body_bytes_max: usize,
    /// The most records of a request.
    pub records_max: usize,
    /// The most bytes of the JSON text of a record.
    pub record_bytes_max: usize,
    /// The most properties of an event, keys of an object in it, and values of an array in it.
    pub members_max: usize,
    /// How deep objects and arrays may stand in each other in a property.
    pub depth_max: usize,
    /// The most bytes of an `$insert_id`.
    pub insert_id_bytes_max: usize,
    /// The earliest time of an imported event, in milliseconds since 1970.
    pub time_min_ms: i64,
    /// How far in the future the time of an imported event may be.
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
