//! The stream of a connection. It fails if the client does not read what the server sends, or if there is
//! no memory for the head that it sends.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::heads::Heads;

/// A client that does not read as much as this within the write timeout has stalled, unless less is
/// left to read. Without a least rate, a client that reads one byte a minute could hold its
/// connection for ever.
const LEAST_BYTES: usize = 64 * 1024;

/// A TCP stream with a deadline for writing and a limit on heads. When the deadline passes, the connection
/// is reset, so that the system does not keep the unread bytes either.
pub(crate) struct ClientStream {
    stream: TcpStream,
    timeout: Duration,
    /// Counts what is read.
    heads: Arc<Heads>,
    /// Set while the server has bytes that the client does not take.
    blocked: Option<Blocked>,
}

struct Blocked {
    deadline: Pin<Box<Sleep>>,
    /// How many bytes the client has taken since the deadline was set.
    bytes: usize,
}

impl ClientStream {
    pub(crate) fn new(stream: TcpStream, timeout: Duration, heads: Arc<Heads>) -> Self {
        Self {
            stream,
            timeout,
            heads,
            blocked: None,
        }
    }

    /// Counts the bytes that the system took, or fails if it took none and the deadline has passed.
    fn progress(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(blocked) = &mut self.blocked {
                    blocked.bytes += bytes;
                    if blocked.bytes >= LEAST_BYTES {
                        self.blocked = None;
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let timeout = self.timeout;
                let blocked = self.blocked.get_or_insert_with(|| Blocked {
                    deadline: Box::pin(tokio::time::sleep(timeout)),
                    bytes: 0,
                });
                ready!(blocked.deadline.as_mut().poll(context));
                // Otherwise the system would keep the bytes for a client that does not read them.
                self.stream.set_zero_linger()?;
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client did not read the response in time",
                )))
            }
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, heads, .. } = &mut *self;
        let before = to.filled().len();
        let mut part = stream.take(heads.max_read_bytes() as u64);
        ready!(Pin::new(&mut part).poll_read(context, to))?;
        if !heads.read(to.filled().len() - before) {
            self.stream.set_zero_linger()?;
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "there is no memory for the head of the request",
            )));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper calls this when it has written everything that it had.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.blocked = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
