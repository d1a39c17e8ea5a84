//! Why a whole request is not taken.

use thiserror::Error;

/// Why a whole request is not taken. The texts are the vendor's where one is known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The body is too large, as it came or without its compression. Send less at once.
    #[error("request exceeds max limit of {body_bytes_max} bytes")]
    TooLarge {
        /// How many bytes it may have.
        body_bytes_max: usize,
    },
    /// There are too many records. Send less at once.
    #[error("request has more than {records_max} records; send at most that many at once")]
    TooManyRecords {
        /// How many it may have.
        records_max: usize,
    },
    /// The request has no `data` and no body.
    #[error("data, missing or empty")]
    NoData,
    /// The body is compressed in a way that is not taken.
    #[error("Content-Encoding {encoding:?} is not supported; send gzip, or none")]
    UnknownEncoding {
        /// What the header says.
        encoding: String,
    },
    /// The body says that it is gzip, and is not.
    #[error("the body is not valid gzip")]
    NotGzip,
    /// The data is not UTF-8.
    #[error("data is not valid UTF-8")]
    NotUtf8,
    /// The data is neither JSON nor base64 of JSON.
    #[error("data is not valid JSON: {reason}")]
    NotJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// The request names no project that it may write to. The text says why.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// `$identify`, `$create_alias` or `$merge` was sent to `/import` of a Simplified project.
    #[error("identity events are not allowed when project is using simplified identity management")]
    IdentityEvents,
    /// More is sent than can be kept. Send it again later.
    #[error("Project exceeded rate limits. Please retry the request with exponential backoff.")]
    RateLimited,
    /// The server cannot keep anything now. Send it again later.
    #[error("the service is unavailable; please retry the request with exponential backoff")]
    Unavailable,
}

impl Problem {
    /// The answer to a credential that is missing or fits no project.
    pub const INVALID_CREDENTIALS: Self = Self::Unauthorized("Invalid credentials");

    /// The HTTP status where the endpoint has one for it.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::Unauthorized(_) => 401,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            _ => 400,
        }
    }

    /// Whether it is the sender's data that is wrong, and not the moment or the size. SDKs keep
    /// and resend a batch that is answered with an error for ever, so of these they hear only in
    /// the body.
    pub fn is_about_data(&self) -> bool {
        self.status() == 400
    }
}
