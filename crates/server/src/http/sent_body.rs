//! The body of a response that a task or a thread sends chunk by chunk.
//!
//! `http_body_util::channel::Channel` is not used: if its sender sends a chunk and is dropped while another
//! thread asks for the next chunk, that chunk can be lost and the body ends as if it were complete.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// A body, and what sends its chunks. At most `max_chunks` wait for the client.
pub(crate) fn channel(max_chunks: usize) -> (ChunkSender, SentBody) {
    let (to, chunks) = mpsc::channel(max_chunks);
    let is_complete = Arc::new(AtomicBool::new(false));
    let sender = ChunkSender {
        to,
        is_complete: Arc::clone(&is_complete),
    };
    let body = SentBody {
        chunks,
        is_complete,
    };
    (sender, body)
}

/// Sends the chunks of a body. If it is dropped without [`finish`](Self::finish), the connection is broken, so
/// that the client does not take a part for the whole.
#[derive(Debug)]
pub(crate) struct ChunkSender {
    to: mpsc::Sender<Bytes>,
    is_complete: Arc<AtomicBool>,
}

/// The client has closed the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientLeft;

impl ChunkSender {
    /// Waits until the client has room for a chunk, and sends it. If the future is dropped before it is ready,
    /// nothing has been sent.
    pub(crate) async fn send(&self, chunk: Bytes) -> Result<(), ClientLeft> {
        self.to.send(chunk).await.map_err(|_| ClientLeft)
    }

    /// Ends the body: all that was sent is the whole response.
    pub(crate) fn finish(self) {
        // The sender is dropped after that, and the body asks only when it has seen that.
        self.is_complete.store(true, Ordering::Release);
    }
}

/// The body whose chunks a [`ChunkSender`] sends.
#[derive(Debug)]
pub(crate) struct SentBody {
    chunks: mpsc::Receiver<Bytes>,
    is_complete: Arc<AtomicBool>,
}

impl HttpBody for SentBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.chunks.poll_recv(context).map(|chunk| match chunk {
            Some(chunk) => Some(Ok(Frame::data(chunk))),
            None if self.is_complete.load(Ordering::Acquire) => None,
            None => Some(Err(io::Error::other("the response failed midway"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Barrier;
    use std::task::Waker;
    use std::thread;

    use http_body_util::BodyExt;

    use super::*;

    /// `Channel` of `http_body_util` loses chunks in about one of 1,000 rounds of this.
    #[test]
    fn nothing_is_lost_if_the_sender_ends_while_the_body_is_asked() {
        for round in 0..20_000 {
            let (sender, mut body) = channel(2);
            let begin = Barrier::new(2);
            let sent = thread::scope(|scope| {
                scope.spawn(|| {
                    let (sender, mut context) = (sender, Context::from_waker(Waker::noop()));
                    begin.wait();
                    for chunk in ["first", "last"] {
                        let sent = pin!(sender.send(chunk.into())).poll(&mut context);
                        assert_eq!(sent, Poll::Ready(Ok(())));
                    }
                    sender.finish();
                });
                begin.wait();
                all_of(&mut body)
            });
            assert_eq!(sent, "firstlast", "round {round}");
        }
    }

    /// Asks again and again, so that most of what the sender does falls between two steps of a question.
    fn all_of(body: &mut SentBody) -> String {
        let mut context = Context::from_waker(Waker::noop());
        let mut text = String::new();
        loop {
            match Pin::new(&mut *body).poll_frame(&mut context) {
                Poll::Pending => std::hint::spin_loop(),
                Poll::Ready(None) => return text,
                Poll::Ready(Some(frame)) => {
                    let chunk = frame.unwrap().into_data().unwrap();
                    text += std::str::from_utf8(&chunk).unwrap();
                }
            }
        }
    }

    #[tokio::test]
    async fn a_sender_that_does_not_finish_breaks_the_body_after_its_chunks() {
        let (sender, mut body) = channel(2);
        sender.send(Bytes::from_static(b"chunk")).await.unwrap();
        drop(sender);
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "chunk");
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the response failed midway");
    }

    #[tokio::test]
    async fn a_sender_sees_that_the_client_has_left() {
        let (sender, body) = channel(1);
        drop(body);
        assert_eq!(sender.send(Bytes::new()).await, Err(ClientLeft));
    }
}
