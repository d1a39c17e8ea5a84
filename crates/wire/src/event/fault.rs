//! Why a record is not taken.

use thiserror::Error;

/// Why one record of a request is not taken. The text is the one that `/import` says; the vendor's
/// where it is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The line is not JSON.
    #[error("the line is not valid JSON: {reason}")]
    NotJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// The record is no object.
    #[error("the record is not a JSON object")]
    NotAnObject,
    /// The record has too many bytes.
    #[error("the record has more than {record_bytes_max} bytes")]
    TooLarge {
        /// How many it may have.
        record_bytes_max: usize,
    },
    /// `event` is missing, blank, or no text.
    #[error("'event' must not be missing or blank")]
    NoName,
    /// `properties` is missing, or no object.
    #[error("'properties' must be an object")]
    NoProperties,
    /// A property that has to be there is not, or is empty.
    #[error("'{field}' is invalid: must not be missing or empty")]
    Missing {
        /// Which one.
        field: &'static str,
    },
    /// An update of a group names a user.
    #[error("'$distinct_id' is invalid: must not be on an update of a group")]
    UserOfGroups,
    /// `time` is missing, or no time.
    #[error("'properties.time' is invalid: must be specified as seconds since epoch")]
    NoTime,
    /// `time` is before what is taken.
    #[error("'properties.time' is invalid: must not be before 1971")]
    TimeTooEarly,
    /// `time` is after now.
    #[error("'properties.time' is invalid: must not be in the future")]
    TimeInFuture,
    /// `distinct_id` is missing.
    #[error("'properties.distinct_id' is invalid: must not be missing")]
    NoDistinctId,
    /// `$insert_id` is missing.
    #[error("'$insert_id' is invalid: must not be missing")]
    NoInsertId,
    /// `$insert_id` has characters that it may not have.
    #[error("'$insert_id' is invalid: must only contain alphanumeric or hyphen '-' characters")]
    InsertIdForm,
    /// `$insert_id` is too long.
    #[error("'$insert_id' is invalid: must have at most {insert_id_bytes_max} bytes")]
    InsertIdTooLong {
        /// How many bytes it may have.
        insert_id_bytes_max: usize,
    },
    /// `$insert_id` is one of the values that come from mistakes.
    #[error("'$insert_id' is invalid: must not be a placeholder")]
    InsertIdBlocked,
    /// The event has too many properties, or an object or array in it too many members.
    #[error("'properties' is invalid: must have at most {members_max} members at each level")]
    TooManyMembers {
        /// How many there may be.
        members_max: usize,
    },
    /// Objects and arrays stand too deep in each other.
    #[error("'properties' is invalid: must be nested at most {depth_max} deep")]
    TooDeep {
        /// How deep they may stand.
        depth_max: usize,
    },
    /// The rules of ID Merge refuse it.
    #[error("'{field}' is invalid: {reason}")]
    Refused {
        /// What is wrong.
        field: String,
        /// Why.
        reason: String,
    },
}

impl Fault {
    /// The field that the fault is in, as `failed_records` names it.
    pub fn field(&self) -> &str {
        match self {
            Self::NotJson { .. } | Self::NotAnObject | Self::TooLarge { .. } => "",
            Self::NoName => "event",
            Self::NoProperties | Self::TooManyMembers { .. } | Self::TooDeep { .. } => "properties",
            Self::Missing { field } => field,
            Self::UserOfGroups => "$distinct_id",
            Self::NoTime | Self::TimeTooEarly | Self::TimeInFuture => "properties.time",
            Self::NoDistinctId => "properties.distinct_id",
            Self::NoInsertId
            | Self::InsertIdForm
            | Self::InsertIdTooLong { .. }
            | Self::InsertIdBlocked => "$insert_id",
            Self::Refused { field, .. } => field,
        }
    }

    /// The text that `/track`, `/engage` and `/groups` say, which name things more shortly.
    pub fn legacy_text(&self) -> String {
        match self {
            Self::NotAnObject => "data, not a JSON object".to_owned(),
            Self::NoName => "event, missing".to_owned(),
            Self::Missing { field } => format!("{field}, missing or empty"),
            Self::NoDistinctId => "distinct_id, missing or empty".to_owned(),
            Self::UserOfGroups => "$distinct_id, not taken by groups".to_owned(),
            other => other.to_string(),
        }
    }
}
