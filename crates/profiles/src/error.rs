//! What is no update.

use thiserror::Error;

/// An update that cannot be carried out. Nothing of it was.
///
/// What to do: hand it back to whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The record is no JSON object.
    #[error("the update is not a JSON object")]
    NotAnObject,
    /// The record is too long.
    #[error("the update has {bytes} bytes; at most {bytes_max} are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// The record names nobody.
    #[error("{property} is missing or empty")]
    NoTarget {
        /// The property that should say whose the profile is.
        property: &'static str,
    },
    /// The record names a group, and a user as well.
    #[error("an update of a group takes no $distinct_id")]
    UserOfGroup,
    /// The record has none of the operations.
    #[error("the update has no operation, such as $set")]
    NoOperation,
    /// What an operation is given is of the wrong type.
    #[error("{operation} needs {wanted}")]
    WrongType {
        /// The operation.
        operation: &'static str,
        /// What it needs.
        wanted: &'static str,
    },
    /// An operation meets a value that it cannot work on, such as `$add` a text.
    #[error("{operation} cannot change {property:?}, which is no {wanted}")]
    WrongValue {
        /// The operation.
        operation: &'static str,
        /// The property, shortened.
        property: String,
        /// What the property should be.
        wanted: &'static str,
    },
    /// The name of a property is empty or too long.
    #[error("a property's name has {bytes} bytes; it has 1 to {bytes_max}")]
    Name {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// A list or an object is too long.
    #[error("{property:?} would have {bytes} bytes; a list or object has at most {bytes_max}")]
    Container {
        /// The property, shortened.
        property: String,
        /// How long it would be.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// Lists and objects stand too deep in each other.
    #[error("{property:?} is nested deeper than {depth_max}")]
    Depth {
        /// The property, shortened.
        property: String,
        /// How deep it may be.
        depth_max: usize,
    },
    /// The profile would have too many properties.
    #[error("the profile would have {properties} properties; at most {properties_max} are allowed")]
    Properties {
        /// How many it would have.
        properties: usize,
        /// How many it may have.
        properties_max: usize,
    },
    /// The profile would be too large.
    #[error("the profile would have {bytes} bytes; at most {bytes_max} are allowed")]
    Profile {
        /// How large it would be.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
}
