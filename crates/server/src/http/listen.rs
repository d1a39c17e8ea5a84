//! Connections: how many, how slow they may be, and how they end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::config::Bounds;

/// The most bytes of the head of a request: as much as a browser sends by GET, and some.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// Files that are open beside connections: databases, logs, the listener.
const OTHER_FILES: u64 = 256;

/// Answers connections until it is told to stop; then those that are open may end.
pub(crate) async fn listen(
    listener: TcpListener,
    routes: Router,
    bounds: &Bounds,
    stop: impl Future<Output = ()>,
) {
    let connections_max = connections_within_files(bounds.connections_max);
    let connections = Arc::new(Semaphore::new(connections_max));
    let mut http = http1::Builder::new();
    // Also how long a connection may be idle: hyper waits for the next head from the last answer on.
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX);
    let open = GracefulShutdown::new();
    let mut stop = pin!(stop);

    loop {
        let next = async {
            // Before it is accepted: those that are too many wait in the system's own queue.
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most of all too many open files. They become fewer; to try at once helps nobody.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        let service = TowerToHyperService::new(routes.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                log_end(from, &error);
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(bounds.drain_timeout, open.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were still open when the time to stop had come");
    }
}

/// Clients go away as they please; that is no trouble of ours.
fn log_end(from: SocketAddr, error: &hyper::Error) {
    tracing::debug!(%from, %error, "a connection ended early");
}

/// As many connections as there may be, or as open files leave room for.
fn connections_within_files(connections_max: usize) -> usize {
    let wanted = u64::try_from(connections_max)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let files_max = match rlimit::increase_nofile_limit(wanted) {
        Ok(files_max) => files_max,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files is not known");
            return connections_max;
        }
    };
    let room = files_max.saturating_sub(OTHER_FILES).max(1);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if room < connections_max {
        tracing::warn!(
            connections = room,
            "the limit of open files leaves room for fewer connections than configured"
        );
    }
    room.min(connections_max)
}
