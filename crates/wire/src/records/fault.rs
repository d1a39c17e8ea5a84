//! Errors of a single record.

use thiserror::Error;

/// An error of one record: it is not taken, and the other records of the request are. The messages
/// are those of `/import`, and are the vendor's where known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The line is not JSON.
    #[error("the line is not valid JSON: {reason}")]
    NotJson {
        /// The error of the parser, and its position.
        reason: String,
    },
    /// The record is not a JSON object.
    #[error("the record is not a JSON object")]
    NotAnObject,
    /// The record has too many bytes.
    #[error("the record has more than {max_record_bytes} bytes")]
    TooLarge {
        /// The most bytes of a record.
        max_record_bytes: usize,
    },
    /// `event` is missing, blank, or not text.
    #[error("'event' must not be missing or blank")]
    NoName {
        /// The `$insert_id` of the record, by which its sender knows it.
        insert_id: Option<String>,
    },
    /// `properties` is missing, or not an object.
    #[error("'properties' must be an object")]
    NoProperties,
    /// A required property is missing or empty.
    #[error("'{field}' is invalid: must not be missing or empty")]
    Missing {
        /// The name of the property.
        field: &'static str,
    },
    /// An update of a group profile has a `$distinct_id`.
    #[error("'$distinct_id' is invalid: must not be on an update of a group")]
    UserOfGroups,
    /// Bytes of the record are not UTF-8 (IN-7), or bytes of an ID that is read (IN-8, ID-3).
    #[error("'{field}' is invalid: string should be valid utf8")]
    NotUtf8 {
        /// The property with these bytes.
        field: String,
    },
    /// `time` is missing, or not a time.
    #[error("'properties.time' is invalid: must be specified as seconds since epoch")]
    NoTime,
    /// `time` is before the earliest time of the limits.
    #[error("'properties.time' is invalid: must not be before 1971")]
    TimeTooEarly,
    /// `time` is further in the future than the limits allow.
    #[error("'properties.time' is invalid: must not be in the future")]
    TimeInFuture,
    /// `distinct_id` is missing.
    #[error("'properties.distinct_id' is invalid: must not be missing")]
    NoDistinctId,
    /// `$insert_id` is missing.
    #[error("'$insert_id' is invalid: must not be missing")]
    NoInsertId,
    /// `$insert_id` has a character that is not allowed.
    #[error("'$insert_id' is invalid: must only contain alphanumeric or hyphen '-' characters")]
    InsertIdForm,
    /// `$insert_id` is too long.
    #[error("'$insert_id' is invalid: must have at most {max_insert_id_bytes} bytes")]
    InsertIdTooLong {
        /// The most bytes of an `$insert_id`.
        max_insert_id_bytes: usize,
    },
    /// `$insert_id` is a value that results from mistakes, such as `undefined`.
    #[error("'$insert_id' is invalid: must not be a placeholder")]
    InsertIdBlocked,
    /// The event has too many properties, or an object or array in it has too many members.
    #[error("'properties' is invalid: must have at most {max_members} members at each level")]
    TooManyMembers {
        /// The most members at each level.
        max_members: usize,
    },
    /// A property has too many levels of objects and arrays.
    #[error("'properties' is invalid: must be nested at most {max_depth} deep")]
    TooDeep {
        /// The most levels.
        max_depth: usize,
    },
    /// The rules of ID Merge refuse the record.
    #[error("{}{reason}", if field.is_empty() { String::new() } else { format!("'{field}' is invalid: ") })]
    Refused {
        /// The field that the rule is about; empty if it is about the whole record.
        field: String,
        /// The reason, with the rule.
        reason: String,
    },
}

impl Fault {
    /// The field that the fault is in, as `failed_records` reports it. Empty for a whole record.
    pub fn field(&self) -> &str {
        match self {
            Self::NotJson { .. } | Self::NotAnObject | Self::TooLarge { .. } => "",
            Self::NoName { .. } => "event",
            Self::NoProperties | Self::TooManyMembers { .. } | Self::TooDeep { .. } => "properties",
            Self::Missing { field } => field,
            Self::UserOfGroups => "$distinct_id",
            Self::NoTime | Self::TimeTooEarly | Self::TimeInFuture => "properties.time",
            Self::NoDistinctId => "properties.distinct_id",
            Self::NoInsertId
            | Self::InsertIdForm
            | Self::InsertIdTooLong { .. }
            | Self::InsertIdBlocked => "$insert_id",
            Self::NotUtf8 { field } | Self::Refused { field, .. } => field,
        }
    }

    /// The `$insert_id` of a record that is no event, if it has one.
    pub fn insert_id(&self) -> Option<&str> {
        match self {
            Self::NoName { insert_id } => insert_id.as_deref(),
            _ => None,
        }
    }

    /// The message of `/track`, `/engage` and `/groups`, which is shorter.
    pub(crate) fn legacy_text(&self) -> String {
        match self {
            Self::NotAnObject => "data, not a JSON object".to_owned(),
            Self::NoName { .. } => "event, missing".to_owned(),
            Self::Missing { field } => format!("{field}, missing or empty"),
            Self::NoDistinctId => "distinct_id, missing or empty".to_owned(),
            Self::UserOfGroups => "$distinct_id, not taken by groups".to_owned(),
            other => other.to_string(),
        }
    }
}
