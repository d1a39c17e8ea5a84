//! Tells a query that its answer is not wanted any more: its client has closed the connection, or the server
//! stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use idmerge_project::MayGoOn;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

/// Whether a query is not to go on.
#[derive(Clone, Default)]
pub(crate) struct Gone {
    client: Arc<AtomicBool>,
    left: Arc<Notify>,
    all: Arc<AtomicBool>,
}

/// Says that the client is gone when it is dropped.
pub(crate) struct Client(Gone);

/// Ends the queries of a server that stops, and counts the queries that ended without an answer.
#[derive(Clone, Default)]
pub(crate) struct Cancellation {
    all: Arc<AtomicBool>,
    cancelled: Counter,
}

impl Cancellation {
    /// Ends every query that can be cancelled, also those that begin later.
    pub(crate) fn cancel_all(&self) {
        self.all.store(true, Ordering::Relaxed);
    }

    /// Counts the queries that were cancelled.
    pub(crate) fn counter(&self) -> &Counter {
        &self.cancelled
    }

    /// Tells one query whether to go on.
    pub(crate) fn of_query(&self) -> Gone {
        Gone {
            client: Arc::default(),
            left: Arc::default(),
            all: Arc::clone(&self.all),
        }
    }
}

impl Gone {
    /// Keep this with what is dropped when the client is gone, such as the future of its request.
    pub(crate) fn client(&self) -> Client {
        Client(self.clone())
    }

    pub(super) fn is_set(&self) -> bool {
        self.client.load(Ordering::Relaxed) || self.all.load(Ordering::Relaxed)
    }

    /// Waits until the client is gone.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    /// For a query that asks whether to go on.
    pub(crate) fn may_go_on(&self) -> MayGoOn {
        let gone = self.clone();
        Arc::new(move || !gone.is_set())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.client.store(true, Ordering::Relaxed);
        // If nobody waits yet, the first who does is told at once.
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_ends_with_its_client_and_with_the_server() {
        let server = Cancellation::default();
        let [first, second] = [server.of_query(), server.of_query()];
        let client = first.client();
        assert!(!first.is_set());
        drop(client);
        assert!(first.is_set());
        assert!(!second.is_set());
        server.cancel_all();
        assert!(second.is_set());
        assert!(server.of_query().is_set());
    }
}
