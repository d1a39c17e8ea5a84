//! Errors of a whole request.

use thiserror::Error;

/// An error of a whole request: none of its records is taken. The messages are the vendor's where
/// known. See [`Fault`](crate::Fault) for an error of one record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The body is too large, compressed or decompressed.
    #[error("request exceeds max limit of {max_body_bytes} bytes")]
    TooLarge {
        /// The most bytes of a body.
        max_body_bytes: usize,
    },
    /// The request has too many records.
    #[error("request has more than {max_records} records; send at most that many at once")]
    TooManyRecords {
        /// The most records of a request.
        max_records: usize,
    },
    /// The request has no data: the body is empty, or `data` is missing or empty.
    #[error("data, missing or empty")]
    NoData,
    /// The body is compressed in a format that is not supported.
    #[error("Content-Encoding {encoding:?} is not supported; use gzip, or no compression")]
    UnknownEncoding {
        /// The value of the header.
        encoding: String,
    },
    /// The body starts like gzip, and cannot be decompressed.
    #[error("the body is not valid gzip")]
    NotGzip,
    /// The data is neither JSON nor base64 of JSON.
    #[error("data is not valid JSON: {reason}")]
    NotJson {
        /// The error of the parser, and its position.
        reason: String,
    },
    /// A form or a query has several values of `data`.
    #[error("data is there twice; send all records in one data, as an array")]
    DataTwice,
    /// The body of a request to the API of Segment or RudderStack is JSON, but has no calls.
    #[error("{reason}")]
    NoCalls {
        /// What is missing or wrong in it.
        reason: String,
    },
    /// The credentials give no access to a project. The message is the response to the client.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// `/import` of a Simplified project got `$identify`, `$create_alias` or `$merge`.
    #[error("identity events are not allowed when project is using simplified identity management")]
    IdentityEvents,
    /// The server has no memory or no room in the queue for this request now. The client should
    /// retry.
    #[error("Project exceeded rate limits. Please retry the request with exponential backoff.")]
    RateLimited,
    /// The records of the request ask for more work than the server can do now. The client should retry,
    /// perhaps with fewer records.
    #[error(
        "Project exceeded rate limits: {reason}. Please retry the request with exponential backoff."
    )]
    TooMuchWork {
        /// Which work, and how much there may be.
        reason: String,
    },
    /// The server cannot write now. The client should retry.
    #[error("the service is unavailable; please retry the request with exponential backoff")]
    Unavailable,
}

impl Problem {
    /// The credential is missing, or matches no project.
    pub const INVALID_CREDENTIALS: Self = Self::Unauthorized("Invalid credentials");

    /// The HTTP status of this problem. Not every dialect sends it: see [`Dialect::refuse`].
    ///
    /// [`Dialect::refuse`]: crate::Dialect::refuse
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::Unauthorized(_) => 401,
            Self::RateLimited | Self::TooMuchWork { .. } => 429,
            Self::Unavailable => 503,
            _ => 400,
        }
    }

    /// Whether the data of the client is wrong, so that a retry would fail too. SDKs retry a batch
    /// forever if the status is an error, so most dialects report such a problem in the body alone.
    pub fn is_about_data(&self) -> bool {
        self.status() == 400
    }
}
