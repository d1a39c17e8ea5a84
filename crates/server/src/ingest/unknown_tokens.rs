//! Tokens that no project has. The vendor answers them with success, so a sender cannot see that its
//! token is mistyped: the log has to say it.

use std::collections::BTreeSet;

use parking_lot::Mutex;

/// The most tokens that are logged. Anybody can send any number of different ones.
const MAX_TOKENS: usize = 1_000;

/// The most characters of a token that are logged.
const MAX_CHARS: usize = 64;

/// The unknown tokens that were logged.
#[derive(Debug, Default)]
pub(crate) struct UnknownTokens(Mutex<BTreeSet<Box<str>>>);

impl UnknownTokens {
    /// Logs a token, unless it was logged before.
    pub(crate) fn warn(&self, token: &str) {
        let end = token.char_indices().nth(MAX_CHARS);
        let token = end.map_or(token, |(end, _)| &token[..end]);
        let logged = {
            let mut tokens = self.0.lock();
            if tokens.len() >= MAX_TOKENS || tokens.contains(token) {
                return;
            }
            tokens.insert(token.into());
            tokens.len()
        };
        // The debug format escapes everything that could forge a line of the log.
        tracing::warn!(
            ?token,
            "no project has this token, so its records are dropped; the response to them is a \
             success, as at the vendor. This is logged once for each token"
        );
        if logged == MAX_TOKENS {
            tracing::warn!("{MAX_TOKENS} unknown tokens were logged; no more are logged");
        }
    }
}
