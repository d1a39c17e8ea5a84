//! Long responses, sent in chunks. They are made by a thread that may block, and that pauses while the
//! client does not read: a client that reads slowly or not at all holds no thread, no permit, no
//! transaction of the database and little memory.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use bytes::{Buf, Bytes};
use hyper::body::Frame;
use idmerge_project::{MayGoOn, Project, ProjectError};
use tokio::runtime::Handle;

use super::gone::{Client, Gone};
use super::query::Reader;
use crate::http::api_error::ApiError;
use crate::http::sent_body::{ChunkSender, SentBody, channel};
use crate::permits::{Permit, Run};

/// How many bytes are sent at once.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// The most chunks that wait for the client.
const MAX_CHUNKS: usize = 2;

/// How long the thread waits for the client. Clients that read fast are served without a break.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long a run takes before other streams go on.
const TURN: Duration = Duration::from_millis(100);

/// A body whose end is noticed also while nothing is sent.
struct Watched {
    body: SentBody,
    _client: Client,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
}

/// A long response, which is made in several runs.
pub(super) trait Source: Send + 'static {
    /// Sends chunks until all are sent, or until [`Chunks::send`] asks to stop. The next run goes on
    /// from there.
    fn send(&mut self, project: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError>;

    /// Waits until there may be more to send, after [`Sent::AllForNow`].
    fn more(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The response is complete.
    All,
    /// The client reads slowly, or is gone.
    Part,
    /// Everything that there is, and there will be more.
    AllForNow,
}

/// Sends chunks, no faster than the client reads them. If this is dropped before
/// [`finish`](Self::finish), the connection is broken, so that the client does not take a part for the
/// whole.
pub(super) struct Chunks {
    sender: Option<ChunkSender>,
    handle: Handle,
    folder: PathBuf,
    waiting: Waiting,
    /// When the run lets other streams go on.
    turn_ends: Instant,
    gone: Gone,
}

/// The bytes that the client had no room for.
enum Waiting {
    Memory(Bytes),
    /// More than a chunk: such as a line of a megabyte, or a profile of four.
    Disk(File),
}

impl Chunks {
    fn new(folder: PathBuf) -> (Self, Body) {
        let (sender, body) = channel(MAX_CHUNKS);
        let chunks = Self {
            sender: Some(sender),
            handle: Handle::current(),
            folder,
            waiting: Waiting::Memory(Bytes::new()),
            turn_ends: Instant::now(),
            gone: Gone::default(),
        };
        let body = Watched {
            body,
            _client: chunks.gone.client(),
        };
        (chunks, Body::new(body))
    }

    /// Sends bytes, the rest of them later if the client has no room for them. Then, and when other streams
    /// are to go on, it returns [`Sent::Part`], and no more may be sent now.
    pub(super) fn send(&mut self, mut bytes: Bytes) -> Sent {
        let Some(sender) = &self.sender else {
            return Sent::Part;
        };
        while !bytes.is_empty() {
            let chunk = first_chunk(&bytes);
            let length = chunk.len();
            let sent = async { tokio::time::timeout(PATIENCE, sender.send(chunk)).await };
            match self.handle.block_on(sent) {
                Ok(Ok(())) => bytes.advance(length),
                Ok(Err(_)) => {
                    self.sender = None;
                    return Sent::Part;
                }
                Err(_) => {
                    self.keep(bytes);
                    return Sent::Part;
                }
            }
        }
        match self.is_over() {
            true => Sent::Part,
            false => Sent::All,
        }
    }

    /// Whether the run is to end: for other streams, or because the client is gone.
    pub(super) fn is_over(&self) -> bool {
        self.gone.is_set() || Instant::now() >= self.turn_ends
    }

    /// For a query of the source that asks whether to go on.
    pub(super) fn may_go_on(&self) -> MayGoOn {
        self.gone.may_go_on()
    }

    /// Keeps bytes until the client has room for them, in a file if they are many.
    fn keep(&mut self, bytes: Bytes) {
        if bytes.len() <= CHUNK_BYTES {
            self.waiting = Waiting::Memory(bytes);
            return;
        }
        match file_of(&bytes, &self.folder) {
            Ok(file) => self.waiting = Waiting::Disk(file),
            Err(error) => {
                tracing::error!(%error, "a response for a slow client cannot be kept on the disk");
                self.sender = None;
            }
        }
    }

    /// Waits until the client has room for the bytes that wait. Returns whether it is still there.
    async fn wait(&mut self) -> bool {
        loop {
            let waiting = std::mem::replace(&mut self.waiting, Waiting::Memory(Bytes::new()));
            let (chunk, rest) = match waiting {
                Waiting::Memory(bytes) => (bytes, None),
                Waiting::Disk(file) => match next_chunk(file).await {
                    Ok((chunk, file)) => (chunk, Some(file)),
                    Err(error) => {
                        tracing::error!(%error, "a response for a slow client cannot be read");
                        return false;
                    }
                },
            };
            let Some(sender) = &self.sender else {
                return false;
            };
            if chunk.is_empty() {
                return !self.gone.is_set();
            }
            if sender.send(chunk).await.is_err() {
                return false;
            }
            if let Some(file) = rest {
                self.waiting = Waiting::Disk(file);
            }
        }
    }

    /// Ends the response.
    fn finish(mut self) {
        if let Some(sender) = self.sender.take() {
            sender.finish();
        }
    }
}

/// The first bytes. They are copied if there are more: a chunk that waits for the client must not keep a
/// line of a megabyte in memory.
fn first_chunk(bytes: &Bytes) -> Bytes {
    match bytes.len() <= CHUNK_BYTES {
        true => bytes.clone(),
        false => Bytes::copy_from_slice(&bytes[..CHUNK_BYTES]),
    }
}

/// A temporary file with these bytes, which nobody else sees.
fn file_of(bytes: &[u8], folder: &Path) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// The next bytes of a file; none at its end.
async fn next_chunk(mut file: File) -> io::Result<(Bytes, File)> {
    let read = move || {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let mut part = (&mut file).take(CHUNK_BYTES as u64);
        part.read_to_end(&mut chunk)?;
        Ok((Bytes::from(chunk), file))
    };
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(io::Error::other)?
}

/// The body of a response that a source makes, run by run.
pub(super) fn stream(reader: Reader, source: impl Source) -> Result<Body, ApiError> {
    let query = reader.try_query()?;
    let stream = reader.try_stream()?;
    Ok(send(reader, Some(Run::first(query)), stream, source))
}

/// As [`stream`], with the permit to send. It waits for the permit to begin: what was done for the source
/// must not be in vain.
pub(super) fn stream_with(reader: Reader, stream: Permit, source: impl Source) -> Body {
    send(reader, None, stream, source)
}

fn send(
    reader: Reader,
    mut first_query: Option<Run>,
    stream: Permit,
    mut source: impl Source,
) -> Body {
    let (mut chunks, body) = Chunks::new(reader.folder().to_owned());
    tokio::spawn(async move {
        let _stream = stream;
        loop {
            let query = match first_query.take() {
                Some(query) => Some(query),
                None => reader.run_permit().await,
            };
            let Some(query) = query else {
                return;
            };
            let run = move |project: &Project| {
                chunks.turn_ends = Instant::now() + TURN;
                let sent = source.send(project, &mut chunks)?;
                Ok((source, chunks, sent))
            };
            // `run_with` logs errors. The status has been sent, so the response cannot report them.
            let Ok((left, mut sender, sent)) = reader.run_with(query, run).await else {
                return;
            };
            source = left;
            match sent {
                Sent::All => return sender.finish(),
                Sent::Part => {
                    if !sender.wait().await {
                        return;
                    }
                }
                Sent::AllForNow => tokio::select! {
                    () = source.more() => {}
                    () = sender.gone.left() => return,
                },
            }
            chunks = sender;
        }
    });
    body
}
