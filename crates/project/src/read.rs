//! Answers questions about what is committed. IDs are resolved with the current state of the
//! engine.

pub(crate) mod backup;
pub(crate) mod event_names;
pub(crate) mod export;
pub(crate) mod funnel;
pub(crate) mod identity;
pub(crate) mod mappings;
pub(crate) mod profiles;
pub(crate) mod timeline;
pub(crate) mod users;

use std::str::FromStr;

use idmerge_core::quote;

use crate::error::ProjectError;

/// Reads the two numbers of a cursor, `FIRST.SECOND`.
fn read_cursor<A: FromStr, B: FromStr>(text: &str) -> Result<(A, B), ProjectError> {
    let (first, second) = text.split_once('.').unwrap_or_default();
    match (first.parse(), second.parse()) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        _ => Err(ProjectError::InvalidCursor {
            cursor: quote(text),
        }),
    }
}
