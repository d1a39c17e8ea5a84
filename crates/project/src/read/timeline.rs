//! The events of a user under all of their IDs, the latest first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use idmerge_core::{Attribution, DistinctId, Resolve};
use idmerge_events::JsonEvent;

use crate::archive::block::{NOT_AN_EVENT, StoredEvent};
use crate::archive::directory::BlockHead;
use crate::archive::reader::ArchiveReader;
use crate::error::ProjectError;
use crate::open::state::State;
use crate::project::Project;
use crate::read::export::ScannedEvent;
use crate::read::read_cursor;
use crate::user_key::user_key_of;
use crate::write::batch::endpoint_of;

/// A page has no more events once its events have this many bytes of JSON.
const MAX_PAGE_BYTES: usize = 2 << 20;

/// How many blocks of events are read for a page of selected events before it may end.
const MAX_BLOCKS: usize = 200;

/// A page of a user's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The events, the latest first. Of events with the same time, the one that arrived last is
    /// first.
    pub events: Vec<TimelineEvent>,
    /// The argument `after` for the next page; `None` on the last page.
    pub next: Option<Cursor>,
}

/// An event of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    /// The number of the event in the project. Events are numbered in the order of arrival.
    pub number: u64,
    /// When the event happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// When the event arrived.
    pub received_ms: i64,
    /// The endpoint that received it.
    pub source: String,
    /// The distinct_id that it was sent with.
    pub distinct_id: String,
    /// Whether its canonical ID differs from that distinct_id.
    pub is_reattributed: bool,
    /// The event as a JSON object, with the canonical ID written into it (rules W-1 to W-7).
    pub json: String,
}

/// Selects events of a user. The default selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The name of the events.
    pub name: Option<String>,
    /// The distinct_id that they were sent with.
    pub distinct_id: Option<String>,
}

/// An [`EventFilter`] whose ID is read.
struct Selection<'f> {
    name: Option<&'f str>,
    own: Option<DistinctId<'f>>,
}

/// The end of a page. It is a position in time, so it is still valid after a merge.
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
        let (time_ms, number) = read_cursor(text)?;
        Ok(Self { time_ms, number })
    }
}

impl Project {
    /// The events of the user with this ID, under all of the user's IDs (in Legacy: those that were
    /// attributed, when they arrived, to what the ID stands for now): at most `limit`, the
    /// latest first, starting after a cursor. A page has at most 2 MiB of events, but at least one event.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], and any error of the disk.
    pub fn user_events(
        &self,
        id: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Timeline, ProjectError> {
        self.user_events_while(id, &EventFilter::default(), after, limit, &|| true)
    }

    /// As [`user_events`](Self::user_events), for some of the events. A page ends after some work, so it can
    /// have fewer events than the limit, and none, before the last page.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] once `may_go_on` has returned `false`, which is called for each block of events,
    /// and those of [`user_events`](Self::user_events), for the ID of the filter too.
    pub fn user_events_while(
        &self,
        id: &str,
        filter: &EventFilter,
        after: Option<Cursor>,
        limit: usize,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<Timeline, ProjectError> {
        let own = filter.distinct_id.as_deref();
        let selection = Selection {
            name: filter.name.as_deref(),
            own: own
                .map(|own| self.inner.settings.read_id(own))
                .transpose()?,
        };
        let state = self.inner.state()?;
        let (canonical, user_keys) = self.user_keys(&state, id, &selection)?;
        let (archive, last, numbers) = event_numbers(&state, &user_keys)?;
        let mut page = Page::new(after, limit);
        let mut blocks = 0;
        for (head, numbers) in blocks_of(&state, &numbers) {
            if page.is_past(&head) {
                break;
            }
            if page.is_before(&head) {
                continue;
            }
            if blocks >= MAX_BLOCKS && selection.is_some() && page.may_end_before(&head) {
                page.end_before(&head);
                break;
            }
            blocks += 1;
            if !may_go_on() {
                return Err(ProjectError::Cancelled);
            }
            let block = archive.shown_block(&head, last)?;
            let shown = numbers.iter().filter(|number| !block.is_replaced(**number));
            let mut numbers = shown.peekable();
            block.each(&mut |stored| {
                if numbers
                    .next_if(|&&number| number == stored.number)
                    .is_none()
                {
                    return Ok(true);
                }
                let cursor = Cursor {
                    time_ms: stored.time_ms,
                    number: stored.number,
                };
                if page.wants(cursor)
                    && let Some(event) =
                        self.timeline_event(&state, stored, &canonical, &selection)?
                {
                    page.insert(cursor, event);
                }
                Ok(numbers.peek().is_some())
            })?;
        }
        Ok(page.finish())
    }

    /// The canonical ID of a user, and the index keys of all of the user's IDs.
    fn user_keys(
        &self,
        state: &State,
        id: &str,
        selection: &Selection<'_>,
    ) -> Result<(String, Vec<u64>), ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let store = state.store.read();
        let canonical = store.resolve(id);
        let ids = match store.attribution() {
            // Events are stored under their roots (L-3).
            Attribution::AtArrival => vec![canonical],
            Attribution::Retroactive if let Some(own) = selection.own => {
                let is_of_user = store.resolve(own) == canonical;
                is_of_user.then_some(own).into_iter().collect()
            }
            Attribution::Retroactive => store
                .cluster(id)
                .map_or_else(|| vec![id], |cluster| cluster.members),
        };
        let user_keys = ids.into_iter().map(user_key_of).collect();
        Ok((canonical.to_string(), user_keys))
    }

    /// `None` if the event belongs to another user, whose ID has the same hash.
    fn timeline_event(
        &self,
        state: &State,
        stored: StoredEvent<'_>,
        wanted: &str,
        selection: &Selection<'_>,
    ) -> Result<Option<TimelineEvent>, ProjectError> {
        let event = JsonEvent::parse_text(stored.text)
            .map_err(|_| ProjectError::damaged(stored.number, NOT_AN_EVENT))?;
        if selection
            .name
            .is_some_and(|name| name != event.event().name)
        {
            return Ok(None);
        }
        let reading = self.inner.settings.read(&event.event());
        let Some(own) = reading.ok().and_then(|reading| reading.distinct_id) else {
            return Ok(None);
        };
        if selection.own.is_some_and(|wanted| wanted != own) {
            return Ok(None);
        }
        let store = state.store.read();
        let at_arrival = stored.at_arrival(&self.inner.settings, own);
        let canonical = at_arrival.unwrap_or_else(|| store.resolve(own));
        if canonical != *wanted {
            return Ok(None);
        }
        let mut json = Vec::with_capacity(stored.text.len() + 100);
        let scanned = ScannedEvent {
            stored,
            event: &event,
            own: Some(own),
            canonical: Some(canonical),
        };
        scanned.write_resolved(store.rule_book(), &mut json);
        let is_reattributed = own != canonical;
        drop(store);
        let json = String::from_utf8(json)
            .map_err(|_| ProjectError::damaged(stored.number, "an event is not UTF-8"))?;
        Ok(Some(TimelineEvent {
            number: stored.number,
            time_ms: stored.time_ms,
            received_ms: stored.received_ms,
            source: endpoint_of(stored.source).to_owned(),
            distinct_id: own.to_string(),
            is_reattributed,
            json,
        }))
    }
}

impl Selection<'_> {
    fn is_some(&self) -> bool {
        self.name.is_some() || self.own.is_some()
    }
}

/// The numbers of the events of some index keys, in order, an archive that has them all, and the
/// number of the last event of the project.
fn event_numbers(
    state: &State,
    user_keys: &[u64],
) -> Result<(ArchiveReader, u64, Vec<u64>), ProjectError> {
    let mut numbers = Vec::new();
    let last;
    // Read the directory before the archive is opened: then every event found in it is in the
    // archive.
    {
        let directory = state.directory.read();
        last = directory.last();
        for key in user_keys {
            numbers.extend_from_slice(directory.unindexed(*key));
        }
    }
    let archive = ArchiveReader::new(&state.store.read().begin_read()?)?;
    for key in user_keys {
        archive.find(*key, &mut numbers)?;
    }
    // Later events may be in the archive, and those that they replace would then be shown too.
    numbers.retain(|number| *number <= last);
    numbers.sort_unstable();
    numbers.dedup();
    Ok((archive, last, numbers))
}

/// The blocks that contain some events, each with its events. Blocks with later events are
/// first.
fn blocks_of<'n>(state: &State, mut numbers: &'n [u64]) -> Vec<(BlockHead, &'n [u64])> {
    let directory = state.directory.read();
    let mut blocks = Vec::new();
    while let Some(&first) = numbers.first()
        && let Some(head) = directory.block_from(first)
    {
        let (here, rest) = numbers.split_at(numbers.partition_point(|&number| number <= head.last));
        blocks.push((head, here));
        numbers = rest;
    }
    drop(directory);
    blocks.sort_unstable_by_key(|(head, _)| Reverse((head.max_ms, head.first)));
    blocks
}

/// The latest events after a cursor.
struct Page {
    after: Option<Cursor>,
    limit: usize,
    latest: BTreeMap<Cursor, TimelineEvent>,
    /// The bytes of those events.
    bytes: usize,
    /// The latest event that has no room on the page. Those before it have none either.
    beyond: Option<Cursor>,
    /// Where the next page begins, if this one ended for the work that it took.
    ends_at: Option<Cursor>,
}

impl Page {
    fn new(after: Option<Cursor>, limit: usize) -> Self {
        Self {
            after,
            limit,
            latest: BTreeMap::new(),
            bytes: 0,
            beyond: None,
            ends_at: None,
        }
    }

    /// Whether this block, and so every block after it, is older than the whole page.
    fn is_past(&self, head: &BlockHead) -> bool {
        self.beyond
            .is_some_and(|beyond| head.max_ms < beyond.time_ms)
    }

    /// Whether all events of a block belong to earlier pages.
    fn is_before(&self, head: &BlockHead) -> bool {
        self.after.is_some_and(|after| head.min_ms > after.time_ms)
    }

    /// Whether the page may end before the events of this block: the next page must begin with earlier events
    /// than this one, or the pages would not come to an end.
    fn may_end_before(&self, head: &BlockHead) -> bool {
        self.after.is_none_or(|after| head.max_ms < after.time_ms)
    }

    /// Ends the page before the first event of this block and of those after it.
    fn end_before(&mut self, head: &BlockHead) {
        let rest = Cursor {
            time_ms: head.max_ms,
            number: u64::MAX,
        };
        let later = self.latest.split_off(&rest);
        self.latest = later;
        self.ends_at = Some(rest);
    }

    fn wants(&self, cursor: Cursor) -> bool {
        self.after.is_none_or(|after| cursor < after)
            && self.beyond.is_none_or(|beyond| cursor > beyond)
    }

    fn insert(&mut self, cursor: Cursor, event: TimelineEvent) {
        self.bytes += event.json.len();
        self.latest.insert(cursor, event);
        while self.latest.len() > self.limit
            || (self.bytes > MAX_PAGE_BYTES && self.latest.len() > 1)
        {
            let Some((cursor, event)) = self.latest.pop_first() else {
                return;
            };
            self.bytes -= event.json.len();
            self.beyond = self.beyond.max(Some(cursor));
        }
    }

    fn finish(self) -> Timeline {
        let last = self.latest.first_key_value().map(|(cursor, _)| *cursor);
        Timeline {
            next: self.ends_at.or(last.filter(|_| self.beyond.is_some())),
            events: self.latest.into_values().rev().collect(),
        }
    }
}
