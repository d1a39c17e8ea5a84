//! [`Pace`]: the pace at which one connection gets answers that need no secret.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The least time between two answers. A client that sends requests without waiting for their answers would
/// occupy a core with them.
const INTERVAL: Duration = Duration::from_millis(2);

/// The pace of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace(Arc<Mutex<Option<Instant>>>);

impl Pace {
    /// Waits until the connection may have the next answer.
    pub(crate) async fn wait(&self) {
        let mut next = self.0.lock().await;
        if let Some(next) = *next {
            sleep_until(next).await;
        }
        *next = Some(Instant::now() + INTERVAL);
    }
}
