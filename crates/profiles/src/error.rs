//! [`UpdateError`].

use thiserror::Error;

/// Why an update cannot be carried out. The profile is unchanged. Report the error to the sender.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The record is not a JSON object.
    #[error("the update is not a JSON object")]
    NotAnObject,
    /// The record is too long.
    #[error("the update has {bytes} bytes; at most {max_bytes} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The record does not say whose profile it updates.
    #[error("{property} is missing or empty")]
    NoTarget {
        /// The property that is missing.
        property: &'static str,
    },
    /// The record names both a group and a user.
    #[error("an update of a group must not have a $distinct_id")]
    UserOfGroup,
    /// The record has no operation.
    #[error("the update has no operation; send one, such as $set")]
    NoOperation,
    /// The argument of an operation has the wrong type.
    #[error("{operation} needs {wanted}")]
    WrongType {
        /// The operation.
        operation: &'static str,
        /// The type that it needs.
        wanted: &'static str,
    },
    /// An operation cannot change the current value of a property, such as `$add` a string.
    #[error("{operation} cannot change {property:?}: its value must be {wanted}")]
    WrongValue {
        /// The operation.
        operation: &'static str,
        /// The property, shortened.
        property: String,
        /// What its value must be.
        wanted: &'static str,
    },
    /// The name of a property is empty or too long.
    #[error("the name of a property has {bytes} bytes; 1 to {max_bytes} are allowed")]
    Name {
        /// Its length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A list or an object is too long.
    #[error("{property:?} would have {bytes} bytes; a list or object may have {max_bytes}")]
    Container {
        /// The property, shortened.
        property: String,
        /// Its length after the update.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A value has too many levels of lists and objects.
    #[error("{property:?} is nested more than {max_depth} levels deep")]
    Depth {
        /// The property, shortened.
        property: String,
        /// The limit.
        max_depth: usize,
    },
    /// The profile would have too many properties.
    #[error("the profile would have {properties} properties; at most {max_properties} are allowed")]
    Properties {
        /// Their number after the update.
        properties: usize,
        /// The limit.
        max_properties: usize,
    },
    /// The profile would be too large.
    #[error("the profile would have {bytes} bytes; at most {max_bytes} are allowed")]
    Profile {
        /// Its length after the update.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
}
