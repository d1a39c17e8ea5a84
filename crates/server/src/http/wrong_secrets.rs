//! Requests with a wrong secret: counted, logged and slowed down.

use std::time::Duration;

use crate::http::peers::{Peer, Sightings};

/// How many wrong secrets of one address are answered at once between two warnings. People mistype.
const FREE: u64 = 10;

/// How long the answer to each further one waits.
const DELAY: Duration = Duration::from_secs(1);

/// Counts wrong secrets. A right one is never slowed down: behind a proxy, all clients have the same
/// address.
#[derive(Debug, Default)]
pub(crate) struct WrongSecrets {
    sightings: Sightings,
}

impl WrongSecrets {
    /// Counts a wrong secret, and waits if its address has sent many. Nothing scarce may be held
    /// meanwhile.
    pub(crate) async fn count(&self, peer: Option<Peer>) {
        let Some(peer) = peer else { return };
        if self.sightings.count(peer) > FREE {
            tokio::time::sleep(DELAY).await;
        }
    }

    /// Logs how many there were since the last call, if any.
    pub(crate) fn warn(&self) {
        if let Some(counts) = self.sightings.take() {
            tracing::warn!(
                count = counts.total,
                "requests with a wrong secret, from: {counts}"
            );
        }
    }
}
