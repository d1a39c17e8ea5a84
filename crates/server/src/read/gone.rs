//! Tells a query that its client has closed the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the client of a query is gone.
#[derive(Clone, Default)]
pub(super) struct Gone(Arc<AtomicBool>);

/// Says that the client is gone when it is dropped.
pub(super) struct Client(Gone);

impl Gone {
    /// Keep this with what is dropped when the client is gone, such as the future of its request.
    pub(super) fn client(&self) -> Client {
        Client(self.clone())
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
