//! Writes the events of a block with their canonical distinct_ids.

use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use idmerge_core::{DistinctId, Rejection, Resolve};
use idmerge_engines::Settings;
use idmerge_events::{Failure, JsonEvent, OutlinedEvent, Resolved};

use crate::output::users::UserCount;
use crate::spill::outlines::{BlockOutlines, BlockText, KeptEvent};
use crate::spill::rejections::StoredRejection;
use crate::stream::block::{BLOCK_BYTES, Block};

/// Few events are shorter. It is used to reserve capacity.
const EVENT_BYTES: usize = 256;

/// Writes blocks into a buffer, one at a time.
pub(crate) struct BlockWriter<'w> {
    settings: &'w Settings,
    engine: &'w dyn Resolve,
    users: &'w Mutex<UserCount>,
    /// The output for the last block.
    lines: Vec<u8>,
}

impl<'w> BlockWriter<'w> {
    /// `settings` are those of the engine.
    pub(crate) fn new(
        settings: &'w Settings,
        engine: &'w dyn Resolve,
        users: &'w Mutex<UserCount>,
    ) -> Self {
        Self {
            settings,
            engine,
            users,
            lines: Vec::new(),
        }
    }

    /// The output for the last block.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Writes the usable events of a block and returns their number. `rejections` are those of the
    /// block, in order.
    pub(crate) fn write<'r>(
        &mut self,
        block: &Block,
        outlines: &BlockOutlines,
        rejections: impl Iterator<Item = StoredRejection<'r>>,
    ) -> u64 {
        let events = EventWriter::new(self.settings, outlines, BlockText::new(block));
        let capacity = block.bytes().len().min(BLOCK_BYTES) / EVENT_BYTES;
        let (mut own, mut canonical) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        for event in events.events() {
            let id = events.own(&event);
            own.push(id);
            canonical.extend(id);
        }
        self.engine.resolve_batch(&mut canonical);

        let mut users = lock(self.users).batch();
        let mut canonical = canonical.into_iter();
        let mut rejections = rejections.peekable();
        self.lines.clear();
        let count = own.len() as u64;
        for (number, (event, own)) in events.events().zip(own).enumerate() {
            let canonical = own.and_then(|_| canonical.next());
            users.add(own, canonical);
            let rejection = rejections.next_if(|rejection| rejection.event == number);
            let failure = rejection.as_ref().map(|rejection| Failure {
                reason: rejection.code,
                description: &rejection.description,
            });
            events.write(&event, own, canonical, failure, &mut self.lines);
        }
        lock(self.users).add(&mut users);
        count
    }
}

/// Writes the usable events of a block one by one.
pub(crate) struct EventWriter<'w, 'b> {
    settings: &'w Settings,
    outlines: &'w BlockOutlines,
    text: BlockText<'b>,
    parsed: Vec<JsonEvent<'b>>,
}

/// Why the claim of an event was rejected.
#[derive(Clone)]
pub(crate) struct Rejected {
    pub(crate) code: &'static str,
    pub(crate) description: String,
}

impl Rejected {
    pub(crate) fn by(rejection: &Rejection<'_>) -> Self {
        Self {
            code: rejection.code(),
            description: rejection.to_string(),
        }
    }

    pub(crate) fn failure(&self) -> Failure<'_> {
        Failure {
            reason: self.code,
            description: &self.description,
        }
    }
}

impl<'w, 'b> EventWriter<'w, 'b> {
    pub(crate) fn new(
        settings: &'w Settings,
        outlines: &'w BlockOutlines,
        text: BlockText<'b>,
    ) -> Self {
        Self {
            settings,
            outlines,
            text,
            parsed: outlines.parse_rest(text),
        }
    }

    /// The usable events, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event<'_, 'b>> {
        Events {
            kept: self.outlines.events(self.text),
            parsed: self.parsed.iter(),
        }
    }

    /// The distinct_id of an event, as it was sent.
    #[inline]
    pub(crate) fn own<'e>(&self, event: &Event<'e, 'b>) -> Option<DistinctId<'e>> {
        event.own(self.settings)
    }

    /// Writes an event and a line break.
    pub(crate) fn write(
        &self,
        event: &Event<'_, 'b>,
        own: Option<DistinctId<'_>>,
        canonical: Option<DistinctId<'_>>,
        failure: Option<Failure<'_>>,
        out: &mut Vec<u8>,
    ) {
        let resolved = Resolved {
            rule_book: self.settings.rule_book(),
            own,
            canonical,
            failure,
        };
        event.write_resolved(&resolved, out);
        out.push(b'\n');
    }
}

/// The usable events of a block.
struct Events<'e, 'b, K> {
    kept: K,
    /// The events that have no outline.
    parsed: slice::Iter<'e, JsonEvent<'b>>,
}

/// A usable event of a block.
pub(crate) enum Event<'e, 'b> {
    Outlined(OutlinedEvent<'b>),
    Parsed(&'e JsonEvent<'b>),
}

impl<'e, 'b, K: Iterator<Item = KeptEvent<'b>>> Iterator for Events<'e, 'b, K> {
    type Item = Event<'e, 'b>;

    #[inline]
    fn next(&mut self) -> Option<Event<'e, 'b>> {
        Some(match self.kept.next()? {
            KeptEvent::Outlined(event) => Event::Outlined(event),
            KeptEvent::Line(_) => Event::Parsed(self.parsed.next()?),
        })
    }
}

impl<'e, 'b: 'e> Event<'e, 'b> {
    #[inline]
    fn own(&self, settings: &Settings) -> Option<DistinctId<'e>> {
        match self {
            Self::Outlined(event) => event.own(),
            Self::Parsed(event) => settings.read(&event.event()).ok()?.distinct_id,
        }
    }

    fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Outlined(event) => event.write_resolved(resolved, out),
            Self::Parsed(event) => event.write_resolved(resolved, out),
        }
    }
}

fn lock(users: &Mutex<UserCount>) -> MutexGuard<'_, UserCount> {
    // After a panic the figures are never shown.
    users.lock().unwrap_or_else(PoisonError::into_inner)
}
