//! Accepts connections, limits their number and their idle time, and closes them when stopping.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

mod heads;
pub(crate) mod pace;
mod stream;

use self::heads::{HeadMemory, Heads};
use self::pace::Pace;
use self::stream::ClientStream;
use crate::app::App;
use crate::config::Bounds;
use crate::http::listeners::Listeners;
use crate::http::peers::{ConnectionsByPeer, Peer};

/// The most bytes of the head of a request. SDKs that send by GET have their records in the URL.
const MAX_HEAD_BYTES: usize = 128 * 1024;

/// File descriptors that are kept for other uses than connections: databases, logs, the listener.
const OTHER_FILES: u64 = 256;

/// How long a stopping server waits for the tasks of connections that it closes.
const ABORT_TIMEOUT: Duration = Duration::from_millis(500);

/// The response to a connection beyond the limit of its address. SDKs send again later.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 49\r\nconnection: close\r\n\r\n\
    too many connections are open from this address.\n";

/// Serves connections until `stop` completes. Then it waits for the open ones, for at most
/// `drain_timeout`, and closes those that are left.
pub(crate) async fn listen(
    mut listeners: Listeners,
    routes: Router,
    app: &App,
    stop: impl Future<Output = ()>,
) {
    let bounds = &app.bounds;
    let max_connections = connections_within_files(bounds.max_connections);
    let permits = Arc::new(Semaphore::new(max_connections));
    let max_per_peer = bounds.max_connections_per_address;
    let by_peer = ConnectionsByPeer::new(max_per_peer.unwrap_or((max_connections * 3).div_ceil(4)));
    let head_memory = HeadMemory::new(bounds.max_head_bytes_in_memory, bounds.slow_body_after);
    let http = http_of(bounds);
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut stop = pin!(stop);

    loop {
        let next = async {
            // Get a permit before accepting, so that excess connections wait in the queue of the
            // system.
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listeners.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        // Tasks that have ended take memory until they are joined.
        while tasks.try_join_next().is_some() {}
        let Some((stream, peer)) = accept(accepted).await else {
            continue;
        };
        let Some(counted) = by_peer.open(peer) else {
            refuse(&stream, peer, app);
            continue;
        };
        let heads = head_memory.connection();
        let stream = ClientStream::new(stream, bounds.write_timeout, Arc::clone(&heads));
        let routes = TowerToHyperService::new(routes.clone());
        let of_service = Arc::clone(&heads);
        let pace = Pace::default();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(pace.clone());
            of_service.begin_request();
            end_request(Arc::clone(&of_service), routes.call(request))
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let open = app.metrics.open_connection();
        tasks.spawn(async move {
            serve(connection, &heads, peer).await;
            // The permit last: it lets the next connection in, which must find the others given back.
            drop((counted, open, permit));
        });
    }
    drop(listeners);
    drain(graceful, tasks, bounds.drain_timeout).await;
}

/// Serves a connection until it ends, or until it must make room for others.
async fn serve(connection: impl Future<Output = hyper::Result<()>>, heads: &Heads, peer: Peer) {
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            // Clients close connections at any time, so this is not a warning.
            tracing::debug!(%peer, %error, "a connection ended early");
        },
        () = heads.gives_up() => tracing::debug!(%peer, "a large head gave way to others"),
    }
}

/// Waits for the response. After a large head the connection is closed, so that its memory is free.
async fn end_request(
    heads: Arc<Heads>,
    response: impl Future<Output = Result<Response, Infallible>>,
) -> Result<Response, Infallible> {
    let mut response = response.await?;
    if heads.end_request() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response)
}

fn http_of(bounds: &Bounds) -> http1::Builder {
    let mut http = http1::Builder::new();
    // This also limits idle time: hyper starts to wait for the next head after each response.
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_buf_size(MAX_HEAD_BYTES);
    http
}

/// Waits for the connections to close, and closes those that are left.
async fn drain(graceful: GracefulShutdown, mut tasks: JoinSet<()>, timeout: Duration) {
    if tokio::time::timeout(timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("stopped with requests still open: they took longer than the drain timeout");
    }
    // A task that decodes a body ends after that, perhaps later than this function returns.
    tasks.abort_all();
    let ended = async { while tasks.join_next().await.is_some() {} };
    let _is_ended = tokio::time::timeout(ABORT_TIMEOUT, ended).await;
}

async fn accept(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<(TcpStream, Peer)> {
    match accepted {
        Ok((stream, from)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY on a connection");
            }
            Some((stream, Peer::from(from.ip())))
        }
        Err(error) => {
            // Usually there are too many open files. Wait a little for some to be closed.
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn refuse(stream: &TcpStream, peer: Peer, app: &App) {
    app.metrics.count_refused_connection();
    app.refused_connections.count(peer);
    // The buffer of a new connection has room for this.
    let _is_sent = stream.try_write(TOO_MANY);
}

/// The number of connections, lowered if the limit of open files does not allow that many.
fn connections_within_files(max_connections: usize) -> usize {
    let wanted = u64::try_from(max_connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let max_files = match rlimit::increase_nofile_limit(wanted) {
        Ok(max_files) => max_files,
        Err(error) => {
            tracing::warn!(%error, "cannot read the limit of open files");
            return max_connections;
        }
    };
    let allowed = max_files.saturating_sub(OTHER_FILES).max(1);
    let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
    if allowed < max_connections {
        tracing::warn!(
            connections = allowed,
            "the limit of open files allows fewer connections than configured"
        );
    }
    allowed.min(max_connections)
}
