//! How much a profile may have.

/// What a profile and an update of it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most properties of a profile.
    pub properties_max: usize,
    /// The most bytes of a property's name. A longer name is refused.
    pub name_bytes_max: usize,
    /// The most bytes of a string. A longer one is cut at a character.
    pub string_bytes_max: usize,
    /// The most bytes of the JSON text of a list or an object.
    pub container_bytes_max: usize,
    /// How deep lists and objects may stand in each other.
    pub depth_max: usize,
    /// The most bytes of the JSON text of an update.
    pub update_bytes_max: usize,
    /// The most bytes of the JSON text of a whole profile.
    pub profile_bytes_max: usize,
}

impl Limits {
    /// The limits that the vendor documents. It documents none for a whole profile; that one is
    /// decided here, since 2,000 lists of 256 KB would be half a gigabyte.
    pub const DOCUMENTED: Self = Self {
        properties_max: 2_000,
        name_bytes_max: 255,
        string_bytes_max: 255,
        container_bytes_max: 256 * 1024,
        depth_max: 3,
        update_bytes_max: 1024 * 1024,
        profile_bytes_max: 4 * 1024 * 1024,
    };
}
