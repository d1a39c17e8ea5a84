//! What a user did, across all IDs of the user, the newest first.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use idmerge_core::{IdentityResolver, IdentityResolverExt, quote};
use idmerge_events::{Failure, JsonEvent, Resolved};

use crate::archive::{BlockHead, OpenArchive, Stored, key_of};
use crate::{Project, ProjectError};

/// Some events of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// The events, the newest first; of one time those that came last first.
    pub events: Vec<FeedEvent>,
    /// What to ask for the next page with; `None` where there is no more.
    pub next: Option<Cursor>,
}

/// An event of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// Its number in the project: events are numbered as they come in.
    pub number: u64,
    /// When it happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// When it came in.
    pub received_ms: i64,
    /// Where it came in.
    pub source: String,
    /// The distinct_id that it came with.
    pub distinct_id: String,
    /// Whether it counts under another one since.
    pub is_reattributed: bool,
    /// The event with the answer written onto it (rules W-1 to W-7).
    pub json: String,
}

/// Where a page ends. A merge between two pages moves nothing: it can only add events before or
/// after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    time_ms: i64,
    number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time_ms, self.number)
    }
}

impl FromStr for Cursor {
    type Err = ProjectError;

    fn from_str(text: &str) -> Result<Self, ProjectError> {
        let (time_ms, number) = text.split_once('.').unwrap_or_default();
        match (time_ms.parse(), number.parse()) {
            (Ok(time_ms), Ok(number)) => Ok(Self { time_ms, number }),
            _ => Err(ProjectError::NoCursor {
                cursor: quote(text),
            }),
        }
    }
}

impl Project {
    /// What the user did who has this ID, under all IDs of the user: at most `limit` events that
    /// come after a cursor, the newest first.
    ///
    /// # Errors
    ///
    /// [`ProjectError::NotAnId`], and where the disk fails.
    pub fn user_events(
        &self,
        id: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Feed, ProjectError> {
        let shared = &self.shared;
        let (canonical, keys): (String, Vec<u64>) = {
            let store = shared.store.read();
            let id = store.read_id(id)?;
            let keys = match store.cluster(id) {
                Some(cluster) => cluster.members.into_iter().map(key_of).collect(),
                None => vec![key_of(id)],
            };
            (store.resolve(id).to_string(), keys)
        };
        // Before the blocks are opened, so that all that is known of is there.
        let mut numbers = Vec::new();
        {
            let directory = shared.directory.read();
            for key in &keys {
                numbers.extend_from_slice(directory.recent(*key));
            }
        }
        let archive = OpenArchive::new(&shared.store.read().begin_read()?)?;
        for key in keys {
            archive.find(key, &mut numbers)?;
        }
        numbers.sort_unstable();
        numbers.dedup();

        let mut newest = BTreeMap::new();
        for (head, numbers) in self.blocks_of(&numbers) {
            let is_full = newest.len() > limit;
            let oldest = newest
                .first_key_value()
                .map(|(cursor, _): (&Cursor, _)| cursor.time_ms);
            if is_full && oldest.is_some_and(|oldest| head.max_ms < oldest) {
                // They come by their latest event, so the rest is older still.
                break;
            }
            if after.is_some_and(|after| head.min_ms > after.time_ms) {
                continue;
            }
            let mut numbers = numbers.iter().peekable();
            archive.block(head.first)?.each(&mut |stored| {
                if numbers
                    .next_if(|&&number| number == stored.number)
                    .is_none()
                {
                    return Ok::<_, ProjectError>(true);
                }
                let cursor = Cursor {
                    time_ms: stored.time_ms,
                    number: stored.number,
                };
                let is_wanted = after.is_none_or(|after| cursor < after)
                    && (newest.len() <= limit
                        || newest
                            .first_key_value()
                            .is_none_or(|(oldest, _)| cursor > *oldest));
                if is_wanted && let Some(event) = self.feed_event(&stored, &canonical)? {
                    newest.insert(cursor, event);
                    // One more than is wanted, so that it is known whether there is a next page.
                    if newest.len() > limit + 1 {
                        newest.pop_first();
                    }
                }
                Ok(numbers.peek().is_some())
            })?;
        }
        let has_more = newest.len() > limit;
        let mut events: Vec<_> = newest.into_iter().rev().collect();
        events.truncate(limit);
        let next = events
            .last()
            .filter(|_| has_more)
            .map(|(cursor, _)| *cursor);
        Ok(Feed {
            events: events.into_iter().map(|(_, event)| event).collect(),
            next,
        })
    }

    /// The blocks that some events are in, those with the latest events first.
    fn blocks_of<'n>(&self, mut numbers: &'n [u64]) -> Vec<(BlockHead, &'n [u64])> {
        let directory = self.shared.directory.read();
        let mut blocks = Vec::new();
        while let Some(&first) = numbers.first()
            && let Some(head) = directory.block_from(first)
        {
            let (here, rest) =
                numbers.split_at(numbers.partition_point(|&number| number <= head.last));
            blocks.push((head, here));
            numbers = rest;
        }
        drop(directory);
        blocks.sort_unstable_by_key(|(head, _)| std::cmp::Reverse((head.max_ms, head.first)));
        blocks
    }

    /// `None` where the event is another user's, whose ID has the same hash.
    fn feed_event(
        &self,
        stored: &Stored<'_>,
        wanted: &str,
    ) -> Result<Option<FeedEvent>, ProjectError> {
        let event = JsonEvent::parse_text(stored.text);
        let event = event.map_err(|_| (stored.number, "it is no event"))?;
        let reading = self.shared.reader.read(&event.event());
        let own = reading.ok().and_then(|reading| reading.distinct_id);
        let store = self.shared.store.read();
        let canonical = own.map(|own| store.resolve(own));
        let (Some(own), Some(canonical)) = (own, canonical) else {
            return Ok(None);
        };
        if canonical != *wanted {
            return Ok(None);
        }
        let mut json = Vec::with_capacity(stored.text.len() + 100);
        let failure = stored.failure;
        event.write_resolved(
            &Resolved {
                rule_book: store.rule_book(),
                own: Some(own),
                canonical: Some(canonical),
                failure: failure.as_ref().map(|[reason, description]| Failure {
                    reason,
                    description,
                }),
            },
            &mut json,
        );
        let is_reattributed = own != canonical;
        drop(store);
        let json = String::from_utf8(json).map_err(|_| (stored.number, "it is not UTF-8"))?;
        Ok(Some(FeedEvent {
            number: stored.number,
            time_ms: stored.time_ms,
            received_ms: stored.received_ms,
            source: stored.source.to_owned(),
            distinct_id: own.to_string(),
            is_reattributed,
            json,
        }))
    }
}
