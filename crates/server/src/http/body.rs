//! Reads request bodies within limits: on the size of one body, on the time that it may take, and
//! on the memory of all bodies together.

use std::io;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use idmerge_wire::Problem;

mod memory;

use self::memory::BodyMemory;
pub(crate) use self::memory::{BodyShare, SMALL_BODY_BYTES};
use crate::config::Bounds;
use crate::http::peers::Peer;
use crate::http::refusals::{refuse, refuse_and_close};

/// There is no memory for the body now.
const NO_MEMORY: BodyError = BodyError::Problem(Problem::RateLimited);

/// A body in memory.
pub(crate) struct ReadBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) share: BodyShare,
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

/// An error has the shape that clients of the path know.
impl<S: Sync> FromRequest<S> for ReadBody
where
    Bodies: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>().copied();
        let read = Bodies::from_ref(state).read(body, peer).await;
        read.map_err(|error| error.response(parts.uri.path()))
    }
}

impl BodyError {
    /// The response, in the shape that clients of this path know.
    pub(crate) fn response(self, path: &str) -> Response {
        match self {
            Self::Problem(problem) => {
                let code = StatusCode::from_u16(problem.status());
                let code = code.unwrap_or(StatusCode::BAD_REQUEST);
                let mut response = refuse(path, code, &problem.to_string());
                if problem == Problem::RateLimited {
                    let seconds = HeaderValue::from_static("2");
                    response.headers_mut().insert(header::RETRY_AFTER, seconds);
                }
                response
            }
            Self::TimedOut | Self::Disconnected => {
                let error = "the body of the request did not arrive in time; send it again";
                refuse_and_close(path, StatusCode::REQUEST_TIMEOUT, error)
            }
            Self::Broken => {
                let error = "the body of the request breaks the rules of HTTP: a chunk is wrong";
                refuse_and_close(path, StatusCode::BAD_REQUEST, error)
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

/// Reads request bodies. They share one memory.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    memory: BodyMemory,
    max_body_bytes: usize,
    timeout: Duration,
}

impl Bodies {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            memory: BodyMemory::new(bounds),
            max_body_bytes: bounds.limits.max_body_bytes,
            timeout: bounds.body_timeout,
        }
    }

    /// How many bytes bodies occupy now.
    pub(crate) fn bytes_used(&self) -> usize {
        self.memory.bytes_used()
    }

    /// Reads the body of a request from `peer` to its end. Memory is reserved as bytes arrive, not by
    /// `Content-Length`: otherwise a client that announces much and sends slowly would keep others out.
    pub(crate) async fn read(&self, body: Body, peer: Option<Peer>) -> Result<ReadBody, BodyError> {
        tokio::time::timeout(self.timeout, self.read_or_give_way(body, peer))
            .await
            .unwrap_or(Err(BodyError::TimedOut))
    }

    async fn read_or_give_way(
        &self,
        body: Body,
        peer: Option<Peer>,
    ) -> Result<ReadBody, BodyError> {
        let share = self.memory.share(peer);
        let bytes = tokio::select! {
            bytes = self.read_within_limits(body, &share) => bytes?,
            () = share.gives_way() => return Err(NO_MEMORY),
        };
        match share.process() {
            true => Ok(ReadBody { bytes, share }),
            false => Err(NO_MEMORY),
        }
    }

    /// Reads what a handler left of a body and drops it. Returns whether this was all of it. A client answered
    /// in mid-upload rarely sees the response, and a browser that sees none does not retry.
    pub(crate) async fn read_rest(&self, mut body: Body) -> bool {
        let mut bytes_left = self.max_body_bytes;
        if body.size_hint().lower() > u64::try_from(bytes_left).unwrap_or(u64::MAX) {
            return false;
        }
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match bytes_left.checked_sub(bytes) {
                    Some(left) => bytes_left = left,
                    None => return false,
                }
            }
            true
        };
        tokio::time::timeout(self.timeout, read)
            .await
            .unwrap_or(false)
    }

    async fn read_within_limits(
        &self,
        mut body: Body,
        share: &BodyShare,
    ) -> Result<Vec<u8>, BodyError> {
        let mut bytes = Vec::new();
        let announced_bytes = body.size_hint().upper();
        let announced_bytes = announced_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let max_bytes = self
            .max_body_bytes
            .min(announced_bytes.unwrap_or(usize::MAX));
        if announced_bytes.is_some_and(|bytes| bytes > SMALL_BODY_BYTES) && !share.make_large() {
            return Err(NO_MEMORY);
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match is_broken(&error) {
                true => BodyError::Broken,
                false => BodyError::Disconnected,
            })?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if bytes.len() + chunk.len() > self.max_body_bytes {
                let max_body_bytes = self.max_body_bytes;
                return Err(BodyError::Problem(Problem::TooLarge { max_body_bytes }));
            }
            if !share.take(chunk.len()) {
                return Err(NO_MEMORY);
            }
            append(&mut bytes, &chunk, max_bytes);
        }
        Ok(bytes)
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
        let mut bounds = Bounds {
            max_body_bytes_in_memory: 10,
            ..Bounds::STANDARD
        };
        bounds.limits.max_body_bytes = 8;
        let bodies = Bodies::new(&bounds);
        let first = bodies.read(Body::from("12345678"), None).await.unwrap();
        assert_eq!(first.bytes, b"12345678");
        let second = bodies.read(Body::from("123"), None).await.err();
        assert_eq!(second, Some(NO_MEMORY));
        assert_eq!(bodies.bytes_used(), 8);
        drop(first);
        assert!(bodies.read(Body::from("123"), None).await.is_ok());
        let third = bodies.read(Body::from("123456789"), None).await.err();
        let too_large = Problem::TooLarge { max_body_bytes: 8 };
        assert_eq!(third, Some(BodyError::Problem(too_large)));
        assert_eq!(bodies.bytes_used(), 0);
    }
}
