//! What a live stream waits for: new events, unknown tokens, and the end of the server.

use std::sync::Arc;

use tokio::sync::watch;

use crate::ingest::unknown_tokens::{Sighting, UnknownTokens};

/// In a server of several projects, a project is told about the unknown tokens that differ from its own in so many
/// places. The others are mistakes of somebody else's.
const NEAR_TOKEN_EDITS: usize = 2;

/// Tells the live streams of a project that there are events, or that the server stops.
#[derive(Debug)]
pub(crate) struct LiveSignal(watch::Sender<LiveState>);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LiveState {
    commits: u64,
    pub(crate) is_stopping: bool,
}

impl Default for LiveSignal {
    fn default() -> Self {
        Self(watch::Sender::new(LiveState::default()))
    }
}

impl LiveSignal {
    /// There are new events.
    pub(crate) fn wake(&self) {
        self.0.send_modify(|state| state.commits += 1);
    }

    /// Ends the streams.
    pub(crate) fn stop(&self) {
        self.0.send_modify(|state| state.is_stopping = true);
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<LiveState> {
        self.0.subscribe()
    }
}

/// The unknown tokens of which a project is told.
#[derive(Clone, Debug)]
pub(crate) struct TokenFeed {
    pub(crate) tokens: Arc<UnknownTokens>,
    /// The token of the project, if it is one of several.
    pub(crate) own_token: Option<String>,
}

impl TokenFeed {
    /// How many records had unknown tokens until now.
    pub(crate) fn records(&self) -> u64 {
        self.tokens.records()
    }

    /// At most `limit` of the tokens that were sent after so many [`records`](Self::records), and how many there
    /// are now.
    pub(crate) fn since(&self, records: u64, limit: usize) -> (Vec<(Box<str>, Sighting)>, u64) {
        self.tokens
            .since(records, limit, &|token| match &self.own_token {
                None => true,
                Some(own) => strsim::levenshtein(own, token) <= NEAR_TOKEN_EDITS,
            })
    }
}
