//! Accepts connections, limits their number and their idle time, and closes them when stopping.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

use crate::config::Bounds;
use crate::http::listeners::Listeners;

/// The most bytes of the head of a request. SDKs that send by GET have their records in the URL.
const MAX_HEAD_BYTES: usize = 128 * 1024;

/// File descriptors that are kept for other uses than connections: databases, logs, the listener.
const OTHER_FILES: u64 = 256;

/// Serves connections until `stop` completes. Then it waits for the open ones, for at most
/// `drain_timeout`.
pub(crate) async fn listen(
    mut listeners: Listeners,
    routes: Router,
    bounds: &Bounds,
    stop: impl Future<Output = ()>,
) {
    let max_connections = connections_within_files(bounds.max_connections);
    let connections = Arc::new(Semaphore::new(max_connections));
    let mut http = http1::Builder::new();
    // This also limits idle time: hyper starts to wait for the next head after each response.
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.head_timeout)
        .max_buf_size(MAX_HEAD_BYTES);
    let open = GracefulShutdown::new();
    let mut stop = pin!(stop);

    loop {
        let next = async {
            // Get a permit before accepting, so that excess connections wait in the queue of the
            // system.
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listeners.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Usually there are too many open files. Wait a little for some to be closed.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY on a connection");
        }
        let service = TowerToHyperService::new(routes.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Clients close connections at any time, so this is not a warning.
                tracing::debug!(%from, %error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listeners);
    if tokio::time::timeout(bounds.drain_timeout, open.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("stopped with requests still open: they took longer than the drain timeout");
    }
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
