//! Long responses, sent in chunks from a thread that may block.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use tokio::runtime::Handle;

/// How many bytes are sent at once.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Sends chunks, no faster than the client reads them.
pub(super) struct Chunks {
    sender: Sender<Bytes, io::Error>,
    handle: Handle,
}

impl Chunks {
    /// The body of a response, and its sender.
    pub(super) fn new() -> (Self, Body) {
        let (sender, body) = Channel::new(2);
        let handle = Handle::current();
        (Self { sender, handle }, Body::new(body))
    }

    /// # Errors
    ///
    /// The client has closed the connection.
    pub(super) fn send(&mut self, chunk: Bytes) -> io::Result<()> {
        self.handle
            .block_on(self.sender.send_data(chunk))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    /// Breaks the connection, so that the client does not take a part for the whole.
    pub(super) fn abort(self, error: &'static str) {
        self.sender.abort(io::Error::other(error));
    }
}
