//! Long responses, sent in chunks. They are made by a thread that may block, and that leaves off while
//! the client does not read: a client that reads slowly or not at all holds no thread, no permit and no
//! transaction of the database.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body_util::channel::{Channel, Sender};
use idmerge_project::{Project, ProjectError};
use tokio::runtime::Handle;

use super::query::Reader;
use crate::http::api_error::ApiError;

/// How many bytes are sent at once.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// The most chunks that wait for the client.
const MAX_CHUNKS: usize = 2;

/// How long the thread waits for the client. Clients that read fast are served without a break.
const PATIENCE: Duration = Duration::from_millis(20);

/// A long response, which is made in several runs.
pub(super) trait Source: Send + 'static {
    /// Sends chunks until all are sent, or until [`Chunks::send`] asks to stop. The next run goes on
    /// from there.
    fn send(&mut self, project: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError>;
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The response is complete.
    All,
    /// The client reads slowly, or is gone.
    Part,
}

/// Sends chunks, no faster than the client reads them. If this is dropped before
/// [`finish`](Self::finish), the connection is broken, so that the client does not take a part for the
/// whole.
pub(super) struct Chunks {
    sender: Option<Sender<Bytes, io::Error>>,
    handle: Handle,
    /// The bytes that the client had no room for.
    waiting: Bytes,
}

impl Chunks {
    fn new() -> (Self, Body) {
        let (sender, body) = Channel::new(MAX_CHUNKS);
        let chunks = Self {
            sender: Some(sender),
            handle: Handle::current(),
            waiting: Bytes::new(),
        };
        (chunks, Body::new(body))
    }

    /// Sends bytes, the rest of them later if the client has no room for them. Then it returns
    /// [`Sent::Part`], and no more may be sent now.
    pub(super) fn send(&mut self, mut bytes: Bytes) -> Sent {
        let Some(sender) = &mut self.sender else {
            return Sent::Part;
        };
        while !bytes.is_empty() {
            let chunk = first_chunk(&bytes);
            let length = chunk.len();
            let sent = async { tokio::time::timeout(PATIENCE, sender.send_data(chunk)).await };
            match self.handle.block_on(sent) {
                Ok(Ok(())) => bytes.advance(length),
                Ok(Err(_)) => {
                    self.sender = None;
                    return Sent::Part;
                }
                Err(_) => {
                    self.waiting = bytes;
                    return Sent::Part;
                }
            }
        }
        Sent::All
    }

    /// Waits until the client has room for the bytes that wait. Returns whether it is still there.
    async fn wait(&mut self) -> bool {
        let Some(sender) = &mut self.sender else {
            return false;
        };
        while !self.waiting.is_empty() {
            let chunk = first_chunk(&self.waiting);
            self.waiting.advance(chunk.len());
            if sender.send_data(chunk).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Ends the response.
    fn finish(mut self) {
        drop(self.sender.take());
    }
}

/// The first bytes. They are not copied: a line of a megabyte is in memory once.
fn first_chunk(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len().min(CHUNK_BYTES))
}

impl Drop for Chunks {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.abort(io::Error::other("the response failed midway"));
        }
    }
}

/// The body of a response that a source makes, run by run.
pub(super) fn stream(reader: Reader, mut source: impl Source) -> Result<Body, ApiError> {
    let mut query = reader.try_query()?;
    let stream = reader.try_stream()?;
    let (mut chunks, body) = Chunks::new();
    tokio::spawn(async move {
        let _stream = stream;
        loop {
            let run = move |project: &Project| {
                let sent = source.send(project, &mut chunks)?;
                Ok((source, chunks, sent))
            };
            // `run_with` logs errors. The status has been sent, so the response cannot report them.
            let Ok((left, mut sender, sent)) = reader.run_with(query, run).await else {
                return;
            };
            if sent == Sent::All {
                return sender.finish();
            }
            if !sender.wait().await {
                return;
            }
            let Some(next) = reader.query_permit().await else {
                return;
            };
            (source, chunks, query) = (left, sender, next);
        }
    });
    Ok(body)
}
