//! Hashes the bytes of an input that is cut into records, up to the end of a record.

use std::collections::VecDeque;

use crate::stream::input::content::{Content, ContentHasher};

/// The length of a byte order mark.
const MARK_BYTES: u64 = 3;

/// The bytes of an input as it is, which are hashed once it is known that they belong to whole records.
///
/// Records are cut from a text without byte order marks. Offsets in it are called plain here.
#[derive(Debug)]
pub(super) struct Tracker {
    hasher: ContentHasher,
    /// Bytes that were read and are not hashed yet.
    unhashed: Vec<u8>,
    /// The plain offset up to which everything is hashed.
    hashed: u64,
    /// The plain offset of the next byte that is cut.
    passed: u64,
    /// The plain offset of the end of the last whole record.
    record_end: u64,
    /// The plain offsets before which there was a byte order mark, and which are not hashed.
    marks: VecDeque<u64>,
}

impl Tracker {
    pub(super) fn new(hasher: ContentHasher) -> Self {
        Self {
            hasher,
            unhashed: Vec::new(),
            hashed: 0,
            passed: 0,
            record_end: 0,
            marks: VecDeque::new(),
        }
    }

    /// These bytes were read from the input.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.unhashed.extend_from_slice(bytes);
    }

    /// A mark was left out this many bytes after the next byte that is cut.
    pub(super) fn leave_out_mark(&mut self, after: usize) {
        self.marks.push_back(self.passed + after as u64);
    }

    pub(super) fn pass(&mut self, bytes: usize) {
        self.passed += bytes as u64;
    }

    /// A whole record ends here.
    pub(super) fn end_record(&mut self) {
        self.record_end = self.passed;
    }

    /// Hashes everything that was passed. From then on the content of a shorter beginning is not known.
    pub(super) fn hash_passed(&mut self) {
        self.record_end = self.passed;
        self.hash();
    }

    /// The content up to the end of the last whole record.
    pub(super) fn content(&mut self) -> Content {
        self.hash();
        self.hasher.content()
    }

    /// Hashes up to the end of the last whole record.
    fn hash(&mut self) {
        let mut bytes = self.record_end - self.hashed;
        while self
            .marks
            .front()
            .is_some_and(|mark| *mark < self.record_end)
        {
            self.marks.pop_front();
            bytes += MARK_BYTES;
        }
        let bytes = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .min(self.unhashed.len());
        self.hasher.update(&self.unhashed[..bytes]);
        self.unhashed.drain(..bytes);
        self.hashed = self.record_end;
    }
}
