//! Reads request bodies within limits: on the size of one body, on the time that it may take, and
//! on the memory of all bodies together.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use idmerge_wire::Problem;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::http::arriving::Arriving;
use crate::http::refusals::{refuse, refuse_and_close};

/// How long a body waits for the memory of a slow one that gives way to it.
const EVICTION_TIMEOUT: Duration = Duration::from_secs(1);

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
    /// It breaks the rules of HTTP, such as those of chunks.
    Broken,
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => {
                let code = StatusCode::from_u16(problem.status());
                let code = code.unwrap_or(StatusCode::BAD_REQUEST);
                let mut response = refuse("", code, &problem.to_string());
                if problem == Problem::RateLimited {
                    let seconds = HeaderValue::from_static("2");
                    response.headers_mut().insert(header::RETRY_AFTER, seconds);
                }
                response
            }
            Self::TimedOut | Self::Disconnected => {
                let error = "the body of the request did not arrive in time; send it again";
                refuse_and_close("", StatusCode::REQUEST_TIMEOUT, error)
            }
            Self::Broken => {
                let error = "the body of the request breaks the rules of HTTP: a chunk is wrong";
                refuse_and_close("", StatusCode::BAD_REQUEST, error)
            }
        }
    }
}

/// Whether the bytes of a body are wrong, or else the connection failed.
fn is_broken(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            );
        }
        cause = error.source();
    }
    false
}

/// The memory that all request bodies may occupy together.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemory {
    /// One permit for each byte that is free.
    bytes: Arc<Semaphore>,
    max_bytes: usize,
    max_body_bytes: usize,
    timeout: Duration,
    slow_after: Duration,
    /// The bodies that are being read.
    unfinished: Arc<Mutex<Arriving>>,
}

/// Takes a body off the list of unfinished ones when it is dropped.
struct Listed<'m> {
    memory: &'m BodyMemory,
    key: u64,
    give_up: Arc<Notify>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.memory.unfinished.lock().remove(self.key);
    }
}

impl BodyMemory {
    pub(crate) fn new(
        max_bytes: usize,
        max_body_bytes: usize,
        timeout: Duration,
        slow_after: Duration,
    ) -> Self {
        let max_bytes = max_bytes.min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(max_bytes)),
            max_bytes,
            max_body_bytes,
            timeout,
            slow_after,
            unfinished: Arc::default(),
        }
    }

    fn list(&self) -> Listed<'_> {
        let give_up = Arc::new(Notify::new());
        let key = self.unfinished.lock().add(Arc::clone(&give_up));
        Listed {
            memory: self,
            key,
            give_up,
        }
    }

    /// Takes memory for a chunk of a body. If there is none, the slow body that has occupied the most
    /// memory for the longest time gives way. Otherwise a few clients that never send the last byte
    /// could occupy all of the memory.
    async fn reserve(&self, key: u64, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(bytes).ok()?;
        let all = || Arc::clone(&self.bytes);
        let permit = match all().try_acquire_many_owned(permits) {
            Ok(permit) => permit,
            Err(_) if self.evict(key).is_some() => {
                let freed = all().acquire_many_owned(permits);
                let freed = tokio::time::timeout(EVICTION_TIMEOUT, freed).await;
                freed.ok()?.ok()?
            }
            Err(_) => return None,
        };
        // One that has given way meanwhile ends soon.
        let _is_listed = self.unfinished.lock().grow(key, bytes);
        Some(permit)
    }

    /// Takes memory for what a body becomes when it is decoded, if it is free.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()
    }

    fn evict(&self, key: u64) -> Option<usize> {
        self.unfinished.lock().evict(key, self.slow_after)
    }

    /// How many bytes bodies occupy now.
    pub(crate) fn bytes_used(&self) -> usize {
        self.max_bytes - self.bytes.available_permits()
    }

    /// Reads a body to its end. Memory is reserved as bytes arrive, not by `Content-Length`:
    /// otherwise a client that announces much and sends slowly would keep others out.
    pub(crate) async fn read(&self, body: Body) -> Result<ReadBody, BodyError> {
        let listed = self.list();
        let read = async {
            let mut body = body;
            let result = tokio::select! {
                result = self.read_within_limits(&mut body, listed.key) => result,
                () = listed.give_up.notified() => Err(BodyError::Problem(Problem::RateLimited)),
            };
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

    async fn read_within_limits(&self, body: &mut Body, key: u64) -> Result<ReadBody, BodyError> {
        let mut read = ReadBody {
            bytes: Vec::new(),
            permit: None,
        };
        let announced_bytes = body.size_hint().upper();
        let announced_bytes = announced_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let max_bytes = self
            .max_body_bytes
            .min(announced_bytes.unwrap_or(usize::MAX));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match is_broken(&error) {
                true => BodyError::Broken,
                false => BodyError::Disconnected,
            })?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if read.bytes.len() + chunk.len() > self.max_body_bytes {
                let max_body_bytes = self.max_body_bytes;
                return Err(BodyError::Problem(Problem::TooLarge { max_body_bytes }));
            }
            let permit = self.reserve(key, chunk.len()).await;
            let Some(permit) = permit else {
                return Err(BodyError::Problem(Problem::RateLimited));
            };
            match &mut read.permit {
                Some(all) => all.merge(permit),
                none => *none = Some(permit),
            }
            append(&mut read.bytes, &chunk, max_bytes);
        }
        Ok(read)
    }
}

/// Appends a chunk to a body that will have at most `max_bytes`. `Vec` would double its memory, which the
/// permits are not for: this adds at most a quarter, and nothing beyond the end of the body.
fn append(body: &mut Vec<u8>, chunk: &[u8], max_bytes: usize) {
    let bytes = body.len() + chunk.len();
    if bytes > body.capacity() {
        let capacity = (bytes + bytes / 4).min(max_bytes).max(bytes);
        body.reserve_exact(capacity - body.len());
    }
    body.extend_from_slice(chunk);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_body_takes_little_more_memory_than_its_bytes() {
        let mut body = Vec::new();
        for _ in 0..1_000 {
            append(&mut body, &[1; 1_000], 999_000);
            assert!(body.capacity() <= body.len() + body.len() / 4);
            assert!(body.capacity() <= body.len().max(999_000));
        }
        assert_eq!(body, [1; 1_000_000]);
    }

    #[tokio::test]
    async fn memory_is_given_back() {
        let memory = BodyMemory::new(10, 8, LONG, LONG);
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
