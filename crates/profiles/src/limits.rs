//! [`Limits`] of a profile.

/// Limits of a profile and of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most properties of a profile.
    pub max_properties: usize,
    /// The most bytes of a property's name. An update with a longer name is an error.
    pub max_name_bytes: usize,
    /// The most bytes of a string. Longer strings are cut at a character boundary.
    pub max_string_bytes: usize,
    /// The most bytes of the JSON text of a list or an object.
    pub max_container_bytes: usize,
    /// The most levels of lists and objects inside each other.
    pub max_depth: usize,
    /// The most bytes of the JSON text of an update.
    pub max_update_bytes: usize,
    /// The most bytes of the JSON text of a whole profile.
    pub max_profile_bytes: usize,
}

impl Limits {
    /// The limits that the vendor documents. It documents none for a whole profile. That limit is
    /// decided here, since 2,000 lists of 256 KB would be half a gigabyte.
    pub const DOCUMENTED: Self = Self {
        max_properties: 2_000,
        max_name_bytes: 255,
        max_string_bytes: 255,
        max_container_bytes: 256 * 1024,
        max_depth: 3,
        max_update_bytes: 1024 * 1024,
        max_profile_bytes: 4 * 1024 * 1024,
    };
}
