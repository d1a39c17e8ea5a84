//! Reads request bodies within limits: on the size of one body, on the time that it may take, and
//! on the memory of all bodies together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use idmerge_wire::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body in memory.
pub(crate) struct ReadBody {
    pub(crate) bytes: Vec<u8>,
    /// The share of the memory for bodies that this one occupies, until it is dropped. An empty
    /// body has none.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is too large, or there is no memory for it now.
    Problem(Problem),
    /// It did not arrive in time.
    TimedOut,
    /// The client closed the connection.
    Disconnected,
}

/// The memory that all request bodies may occupy together.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemory {
    /// One permit for each byte that is free.
    bytes: Arc<Semaphore>,
    max_bytes: usize,
    max_body_bytes: usize,
    timeout: Duration,
}

impl BodyMemory {
    pub(crate) fn new(max_bytes: usize, max_body_bytes: usize, timeout: Duration) -> Self {
        let max_bytes = max_bytes.min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(max_bytes)),
            max_bytes,
            max_body_bytes,
            timeout,
        }
    }

    /// How many bytes bodies occupy now.
    pub(crate) fn bytes_used(&self) -> usize {
        self.max_bytes - self.bytes.available_permits()
    }

    /// Reads a body to its end. Memory is reserved as bytes arrive, not by `Content-Length`:
    /// otherwise a client that announces much and sends slowly would keep others out.
    pub(crate) async fn read(&self, body: Body) -> Result<ReadBody, BodyError> {
        let read = async {
            let mut body = body;
            let result = self.read_within_limits(&mut body).await;
            if result.is_err() {
                self.drain(&mut body).await;
            }
            result
        };
        tokio::time::timeout(self.timeout, read)
            .await
            .unwrap_or(Err(BodyError::TimedOut))
    }

    /// Reads the rest of a body and drops it. A client answered in mid-upload rarely sees the
    /// response, and a browser that sees none does not retry.
    async fn drain(&self, body: &mut Body) {
        let mut bytes_left = self.max_body_bytes;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match bytes_left.checked_sub(bytes) {
                Some(left) => bytes_left = left,
                None => return,
            }
        }
    }

    async fn read_within_limits(&self, body: &mut Body) -> Result<ReadBody, BodyError> {
        let mut read = ReadBody {
            bytes: Vec::new(),
            permit: None,
        };
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(BodyError::Disconnected);
            };
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if read.bytes.len() + chunk.len() > self.max_body_bytes {
                let max_body_bytes = self.max_body_bytes;
                return Err(BodyError::Problem(Problem::TooLarge { max_body_bytes }));
            }
            let permit = u32::try_from(chunk.len())
                .ok()
                .and_then(|bytes| Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok());
            let Some(permit) = permit else {
                return Err(BodyError::Problem(Problem::RateLimited));
            };
            match &mut read.permit {
                Some(all) => all.merge(permit),
                none => *none = Some(permit),
            }
            read.bytes.extend_from_slice(&chunk);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn memory_is_given_back() {
        let memory = BodyMemory::new(10, 8, LONG);
        let first = memory.read(Body::from("12345678")).await.unwrap();
        assert_eq!(first.bytes, b"12345678");
        let second = memory.read(Body::from("123")).await.err();
        assert_eq!(second, Some(BodyError::Problem(Problem::RateLimited)));
        assert_eq!(memory.bytes_used(), 8);
        drop(first);
        assert!(memory.read(Body::from("123")).await.is_ok());
        let third = memory.read(Body::from("123456789")).await.err();
        let too_large = Problem::TooLarge { max_body_bytes: 8 };
        assert_eq!(third, Some(BodyError::Problem(too_large)));
        assert_eq!(memory.bytes_used(), 0);
    }
}
