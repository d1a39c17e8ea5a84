//! Tokens that no project has. The vendor answers them with success, so a sender cannot see that its
//! token is mistyped: the log has to say it, and the live stream of events.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use axum::http::HeaderValue;
use axum::http::header::{self, HeaderMap};
use parking_lot::Mutex;

use crate::clock::now_ms;
use crate::http::peers::Peer;

/// The most tokens that are known. Anybody can send any number of different ones.
const MAX_TOKENS: usize = 1_000;

/// The most characters of a token that are kept.
const MAX_CHARS: usize = 64;

/// The most characters of the origin of a request.
const MAX_ORIGIN_CHARS: usize = 100;

/// The unknown tokens that were sent.
#[derive(Debug, Default)]
pub(crate) struct UnknownTokens(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    tokens: BTreeMap<Box<str>, Sighting>,
    /// How many records there were with any of the tokens.
    records: u64,
}

/// How often a token was sent, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// The records with it.
    pub(crate) records: u64,
    /// When the first one came, in milliseconds since 1970.
    pub(crate) since_ms: i64,
    /// When the last one came.
    pub(crate) last_ms: i64,
    /// Where the last one came from.
    pub(crate) from: Box<str>,
    /// The number of the last one among all records.
    at: u64,
}

/// Where a request comes from: the site of the page that sent it, or its address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestOrigin<'r> {
    origin: Option<&'r HeaderValue>,
    peer: Option<Peer>,
}

impl<'r> RequestOrigin<'r> {
    pub(crate) fn new(headers: &'r HeaderMap, peer: Option<Peer>) -> Self {
        Self {
            origin: headers.get(header::ORIGIN),
            peer,
        }
    }
}

impl fmt::Display for RequestOrigin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.and_then(|origin| origin.to_str().ok());
        let site = origin.and_then(|origin| Some(origin.split_once("://")?.1));
        match (site.filter(|site| !site.is_empty()), self.peer) {
            (Some(site), _) => site
                .chars()
                .take(MAX_ORIGIN_CHARS)
                .collect::<String>()
                .fmt(f),
            (None, Some(peer)) => peer.fmt(f),
            (None, None) => f.write_str("unknown"),
        }
    }
}

impl UnknownTokens {
    /// Counts a record with a token. Logs the token, unless it was logged before.
    pub(crate) fn count(&self, token: &str, request: RequestOrigin<'_>) {
        let end = token.char_indices().nth(MAX_CHARS);
        let token = end.map_or(token, |(end, _)| &token[..end]);
        let now_ms = now_ms();
        let logged = {
            let mut known = self.0.lock();
            known.records += 1;
            let at = known.records;
            let is_full = known.tokens.len() >= MAX_TOKENS;
            let from = request.to_string().into_boxed_str();
            match known.tokens.entry(token.into()) {
                Entry::Occupied(mut sighting) => {
                    let sighting = sighting.get_mut();
                    sighting.records += 1;
                    (sighting.last_ms, sighting.from, sighting.at) = (now_ms, from, at);
                    return;
                }
                Entry::Vacant(_) if is_full => return,
                Entry::Vacant(place) => {
                    place.insert(Sighting {
                        records: 1,
                        since_ms: now_ms,
                        last_ms: now_ms,
                        from,
                        at,
                    });
                }
            }
            known.tokens.len()
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

    /// How many records had unknown tokens until now.
    pub(crate) fn records(&self) -> u64 {
        self.0.lock().records
    }

    /// At most `limit` of the tokens that were sent after so many [`records`](Self::records) and that `wants` wants, the
    /// last one first; and how many records there are now.
    pub(crate) fn since(
        &self,
        records: u64,
        limit: usize,
        wants: &dyn Fn(&str) -> bool,
    ) -> (Vec<(Box<str>, Sighting)>, u64) {
        let known = self.0.lock();
        let new = known.tokens.iter();
        let new = new.filter(|(token, sighting)| sighting.at > records && wants(token));
        let mut new: Vec<_> = new
            .map(|(token, sighting)| (token.clone(), sighting.clone()))
            .collect();
        let records = known.records;
        drop(known);
        new.sort_by_key(|(_, sighting)| std::cmp::Reverse(sighting.at));
        new.truncate(limit);
        (new, records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_counted_with_its_last_sender() {
        let tokens = UnknownTokens::default();
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ORIGIN,
            HeaderValue::from_static("http://127.0.0.1:8000"),
        );
        tokens.count("sh0p", RequestOrigin::default());
        tokens.count("shap", RequestOrigin::default());
        tokens.count("sh0p", RequestOrigin::new(&headers, None));
        let (all, records) = tokens.since(0, 9, &|_| true);
        let all: Vec<_> = all
            .iter()
            .map(|(token, sighting)| (&**token, sighting.records, &*sighting.from))
            .collect();
        assert_eq!(all, [("sh0p", 2, "127.0.0.1:8000"), ("shap", 1, "unknown")]);
        assert_eq!((records, tokens.records()), (3, 3));
        assert!(tokens.since(records, 9, &|_| true).0.is_empty());
        tokens.count("shap", RequestOrigin::default());
        assert_eq!(tokens.since(records, 9, &|_| true).0.len(), 1);
        assert_eq!(tokens.since(0, 9, &|token| token == "sh0p").0.len(), 1);
    }

    #[test]
    fn any_number_of_tokens_take_bounded_memory() {
        let tokens = UnknownTokens::default();
        for at in 0..2 * MAX_TOKENS {
            tokens.count(
                &format!("{at}{}", "é".repeat(1_000)),
                RequestOrigin::default(),
            );
        }
        let (all, _) = tokens.since(0, usize::MAX, &|_| true);
        assert_eq!(all.len(), MAX_TOKENS);
        assert!(
            all.iter()
                .all(|(token, _)| token.chars().count() == MAX_CHARS)
        );
    }
}
