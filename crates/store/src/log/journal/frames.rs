//! [`Frames`]: what a journal has of one epoch.

use std::io;

use redb::StorageBackend;

use super::frame::{self, PAGE_BYTES, Part};
use super::row::JournalRow;
use crate::log::codec::Wrong;

/// What a journal has of one epoch.
#[derive(Debug)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    epoch: u128,
    /// Where the frames begin.
    offsets: Vec<usize>,
    /// Why an acknowledged frame may be missing after these.
    pub(crate) damage: Option<Wrong>,
}

impl Frames {
    /// The frames of a journal that is not there.
    pub(crate) fn missing() -> Self {
        Self {
            bytes: Vec::new(),
            epoch: 0,
            offsets: Vec::new(),
            damage: Some("the journal of the store is missing"),
        }
    }

    /// Reads the frames of an epoch, in order. Those from `end` on do not count.
    ///
    /// The frame that the last commit of a process wrote may be there in part, if it was not acknowledged. But if
    /// another frame follows one that is not whole, that one was acknowledged, and is damaged.
    pub(crate) fn read(
        backend: &dyn StorageBackend,
        row: JournalRow,
        end: Option<u64>,
    ) -> io::Result<Self> {
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let wanted = place(u64::from(row.bytes));
        let length = wanted.min(place(backend.len()?));
        let mut bytes = vec![0; length];
        backend.read(0, &mut bytes)?;
        bytes.truncate(end.map_or(length, place));
        let mut frames = Self {
            bytes,
            epoch: row.epoch,
            offsets: Vec::new(),
            damage: (length < wanted).then_some("the journal of the store is cut off"),
        };
        let mut at = 0;
        while let Some((_, length)) = frames.at(at) {
            frames.offsets.push(at);
            at += length.next_multiple_of(PAGE_BYTES);
        }
        let mut later = (at..frames.bytes.len()).step_by(PAGE_BYTES);
        if later.any(|at| frames.at(at).is_some()) {
            frames.damage = Some("a frame of the journal is damaged");
        }
        Ok(frames)
    }

    fn at(&self, offset: usize) -> Option<(Vec<Part<'_>>, usize)> {
        frame::decode(self.epoch, offset as u64, self.bytes.get(offset..)?)
    }

    /// How many entries there are in all frames.
    pub(crate) fn entries(&self) -> u64 {
        self.parts().map(|part| u64::from(part.entries)).sum()
    }

    /// The parts of all frames, in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let frames = self.offsets.iter().filter_map(|&offset| self.at(offset));
        frames.flat_map(|(parts, _)| parts)
    }
}
