//! Bodies of requests: no larger than they may be, no slower, and never more of them at a time
//! than fit into memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use idmerge_wire::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body in memory, and its part of the memory that there is for bodies.
pub(crate) struct Gathered {
    pub(crate) bytes: Vec<u8>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why a body is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// It cannot be taken.
    Problem(Problem),
    /// It took too long.
    TooSlow,
    /// Its sender went away.
    Broken,
}

/// The memory that bodies may take together.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    body_bytes_max: usize,
    timeout: Duration,
}

impl Room {
    pub(crate) fn new(bytes_max: usize, body_bytes_max: usize, timeout: Duration) -> Self {
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        Self {
            bytes: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
            body_bytes_max,
            timeout,
        }
    }

    /// How many bytes of bodies are in memory.
    pub(crate) fn bytes_taken(&self) -> usize {
        self.bytes_max - self.bytes.available_permits()
    }

    /// Reads a body to its end. A sender takes room only for what it has sent, so that one who
    /// promises much and sends slowly keeps nobody out.
    pub(crate) async fn gather(&self, body: Body) -> Result<Gathered, NoBody> {
        let gather = async {
            let mut body = body;
            let gathered = self.gather_all(&mut body).await;
            if gathered.is_err() {
                self.pass_over(&mut body).await;
            }
            gathered
        };
        tokio::time::timeout(self.timeout, gather)
            .await
            .unwrap_or(Err(NoBody::TooSlow))
    }

    /// Reads on and keeps nothing. Who is answered in the middle of sending hears the answer
    /// seldom, and a browser that hears none does not send again.
    async fn pass_over(&self, body: &mut Body) {
        let mut bytes_left = self.body_bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match bytes_left.checked_sub(bytes) {
                Some(left) => bytes_left = left,
                None => return,
            }
        }
    }

    async fn gather_all(&self, body: &mut Body) -> Result<Gathered, NoBody> {
        let mut gathered = Gathered {
            bytes: Vec::new(),
            _room: None,
        };
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(NoBody::Broken);
            };
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            if gathered.bytes.len() + chunk.len() > self.body_bytes_max {
                let body_bytes_max = self.body_bytes_max;
                return Err(NoBody::Problem(Problem::TooLarge { body_bytes_max }));
            }
            let room = u32::try_from(chunk.len())
                .ok()
                .and_then(|bytes| Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok());
            let Some(room) = room else {
                return Err(NoBody::Problem(Problem::RateLimited));
            };
            match &mut gathered._room {
                Some(all) => all.merge(room),
                none => *none = Some(room),
            }
            gathered.bytes.extend_from_slice(&chunk);
        }
        Ok(gathered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn room_is_given_back() {
        let room = Room::new(10, 8, LONG);
        let first = room.gather(Body::from("12345678")).await.unwrap();
        assert_eq!(first.bytes, b"12345678");
        let second = room.gather(Body::from("123")).await.err();
        assert_eq!(second, Some(NoBody::Problem(Problem::RateLimited)));
        assert_eq!(room.bytes_taken(), 8);
        drop(first);
        assert!(room.gather(Body::from("123")).await.is_ok());
        let third = room.gather(Body::from("123456789")).await.err();
        let too_large = Problem::TooLarge { body_bytes_max: 8 };
        assert_eq!(third, Some(NoBody::Problem(too_large)));
        assert_eq!(room.bytes_taken(), 0);
    }
}
