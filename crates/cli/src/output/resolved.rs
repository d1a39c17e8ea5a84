//! Writes the events of a block with their canonical distinct_ids.

use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use idmerge_core::{DistinctId, Resolve};
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
        let text = BlockText::new(block.bytes());
        let parsed = outlines.parse_rest(text);
        let events = || Events {
            kept: outlines.events(text),
            parsed: parsed.iter(),
        };
        let capacity = block.bytes().len().min(BLOCK_BYTES) / EVENT_BYTES;
        let (mut own, mut canonical) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        for event in events() {
            let id = event.own(self.settings);
            own.push(id);
            canonical.extend(id);
        }
        self.engine.resolve_batch(&mut canonical);

        let mut users = lock(self.users).batch();
        let rule_book = self.settings.rule_book();
        let mut canonical = canonical.into_iter();
        let mut rejections = rejections.peekable();
        self.lines.clear();
        let count = own.len() as u64;
        for (number, (event, own)) in events().zip(own).enumerate() {
            let canonical = own.and_then(|_| canonical.next());
            users.add(own, canonical);
            let rejection = rejections.next_if(|rejection| rejection.event == number);
            let resolved = Resolved {
                rule_book,
                own,
                canonical,
                failure: rejection.as_ref().map(|rejection| Failure {
                    reason: rejection.code,
                    description: &rejection.description,
                }),
            };
            event.write_resolved(&resolved, &mut self.lines);
            self.lines.push(b'\n');
        }
        lock(self.users).add(&mut users);
        count
    }
}

/// The usable events of a block.
struct Events<'e, 'b, K> {
    kept: K,
    /// The events that have no outline.
    parsed: slice::Iter<'e, JsonEvent<'b>>,
}

enum Event<'e, 'b> {
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
