//! The events of a block, written with their answers.

use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use idmerge_core::{DistinctId, IdentityResolver};
use idmerge_events::{Failure, JsonEvent, OutlinedEvent, Resolved};

use crate::blocks::{BLOCK_BYTES, Block};
use crate::notes::{BlockNotes, BlockText, Noted};
use crate::rejections::StoredRejection;
use crate::users::UserCount;

/// About as many bytes as an event has at least. It is for the room that is made beforehand.
const EVENT_BYTES: usize = 256;

/// Writes one block after another.
pub(crate) struct BlockWriter<'w> {
    engine: &'w dyn IdentityResolver,
    users: &'w Mutex<UserCount>,
    /// What is written for a block.
    lines: Vec<u8>,
}

impl<'w> BlockWriter<'w> {
    pub(crate) fn new(engine: &'w dyn IdentityResolver, users: &'w Mutex<UserCount>) -> Self {
        Self {
            engine,
            users,
            lines: Vec::new(),
        }
    }

    /// What was written for the last block.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Writes the usable events of a block, of which these claims were rejected, in order. Answers
    /// with how many there are.
    pub(crate) fn write<'r>(
        &mut self,
        block: &Block,
        notes: &BlockNotes,
        rejections: impl Iterator<Item = StoredRejection<'r>>,
    ) -> u64 {
        let text = BlockText::of(block);
        let again = notes.read_again(text);
        let events = || Events {
            noted: notes.events(text),
            again: again.iter(),
        };
        let room = block.bytes().len().min(BLOCK_BYTES) / EVENT_BYTES;
        let (mut own, mut canonical) = (Vec::with_capacity(room), Vec::with_capacity(room));
        for event in events() {
            let id = event.own(self.engine);
            own.push(id);
            canonical.extend(id);
        }
        self.engine.resolve_batch(&mut canonical);

        let mut users = lock(self.users).some();
        let rule_book = self.engine.rule_book();
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
        lock(self.users).take(&mut users);
        count
    }
}

/// The usable events of a block.
struct Events<'e, 'b, N> {
    noted: N,
    /// Those that were read again.
    again: slice::Iter<'e, JsonEvent<'b>>,
}

enum Event<'e, 'b> {
    Outlined(OutlinedEvent<'b>),
    Read(&'e JsonEvent<'b>),
}

impl<'e, 'b, N: Iterator<Item = Noted<'b>>> Iterator for Events<'e, 'b, N> {
    type Item = Event<'e, 'b>;

    #[inline]
    fn next(&mut self) -> Option<Event<'e, 'b>> {
        Some(match self.noted.next()? {
            Noted::Outlined(event) => Event::Outlined(event),
            Noted::Line(_) => Event::Read(self.again.next()?),
        })
    }
}

impl<'e, 'b: 'e> Event<'e, 'b> {
    #[inline]
    fn own(&self, engine: &dyn IdentityResolver) -> Option<DistinctId<'e>> {
        match self {
            Self::Outlined(event) => event.own(),
            Self::Read(event) => engine.read(&event.event()).ok()?.distinct_id,
        }
    }

    fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Outlined(event) => event.write_resolved(resolved, out),
            Self::Read(event) => event.write_resolved(resolved, out),
        }
    }
}

fn lock(users: &Mutex<UserCount>) -> MutexGuard<'_, UserCount> {
    // After a panic nobody asks for the figures.
    users.lock().unwrap_or_else(PoisonError::into_inner)
}
