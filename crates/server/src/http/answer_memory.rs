//! The memory that pages of events and single profiles may occupy together while they are made.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::api_error::ApiError;

/// The most bytes of all answers together.
const MAX_BYTES: usize = 48 << 20;

/// The bytes of one permit.
const UNIT_BYTES: usize = 1 << 10;

/// How long a query waits for the others.
const PATIENCE: Duration = Duration::from_secs(30);

/// The memory of answers that are made as a whole before they are sent. It is not held while a client reads,
/// so clients that read slowly keep it from nobody.
#[derive(Clone, Debug)]
pub(crate) struct AnswerMemory(Arc<Semaphore>);

/// The share of one answer, until it is dropped.
#[derive(Debug)]
pub(crate) struct AnswerShare {
    _permit: OwnedSemaphorePermit,
}

impl AnswerMemory {
    /// Waits until an answer that takes at most so much memory may be made.
    ///
    /// # Errors
    ///
    /// Status 429 if other answers occupy the memory for a long time.
    pub(crate) async fn reserve(&self, max_bytes: usize) -> Result<AnswerShare, ApiError> {
        let units = max_bytes.min(MAX_BYTES).div_ceil(UNIT_BYTES);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0).acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, permit).await {
            Ok(Ok(permit)) => Ok(AnswerShare { _permit: permit }),
            _ => Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "other queries have large answers; try again in a second",
            )),
        }
    }
}

impl Default for AnswerMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BYTES / UNIT_BYTES)))
    }
}
