//! Hashes the bytes of an input that is cut into records, up to the end of a record.

use std::collections::VecDeque;

use idmerge_ingest::{Content, ContentHasher};

/// The length of a byte order mark.
const MARK_BYTES: u64 = 3;

/// When this much is not hashed, it is hashed before a record ends.
const UNHASHED_BYTES_MAX: usize = 64 * 1024;

/// The bytes of an input as it is, which are hashed once it is known that they belong to whole records,
/// or once too many of them wait for that.
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
    /// The content up to the last whole record, if more than that is hashed.
    ended: Option<Content>,
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
            ended: None,
        }
    }

    /// These bytes were read from the input.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.unhashed.len() >= UNHASHED_BYTES_MAX {
            self.hash_ahead();
        }
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
        self.ended = None;
    }

    /// Hashes everything that was passed. From then on the content of a shorter beginning is not known.
    pub(super) fn hash_passed(&mut self) {
        self.end_record();
        self.hash(self.record_end, self.record_end);
    }

    /// The content up to the end of the last whole record.
    pub(super) fn content(&mut self) -> Content {
        if let Some(content) = self.ended {
            return content;
        }
        self.hash(self.record_end, self.record_end);
        self.hasher.content()
    }

    /// Hashes everything that was passed, and keeps the content up to the end of the last whole record.
    fn hash_ahead(&mut self) {
        self.ended = Some(self.content());
        // With the marks before the next byte: there can be any number of them.
        self.hash(self.passed, self.passed + 1);
    }

    /// Hashes up to a plain offset, with the marks whose offsets are less than `marks_end`.
    fn hash(&mut self, end: u64, marks_end: u64) {
        let mut bytes = end - self.hashed;
        while self.marks.front().is_some_and(|mark| *mark < marks_end) {
            self.marks.pop_front();
            bytes += MARK_BYTES;
        }
        let bytes = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .min(self.unhashed.len());
        self.hasher.update(&self.unhashed[..bytes]);
        self.unhashed.drain(..bytes);
        self.hashed = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(parts: &[&[u8]]) -> Content {
        let mut hasher = ContentHasher::default();
        hasher.update(&parts.concat());
        hasher.content()
    }

    #[test]
    fn in_6_what_it_holds_does_not_grow_with_the_input() {
        const CHUNK: usize = 60 * 1024;
        let marks = "\u{feff}".repeat(CHUNK / 3);
        let marks = marks.as_bytes();
        let (blanks, record) = ([b' '; CHUNK], b"{\"event\":\"A\"}");
        for of_marks in [false, true] {
            let mut tracker = Tracker::new(ContentHasher::default());
            tracker.read(record);
            tracker.pass(record.len());
            tracker.end_record();
            let chunk = if of_marks { marks } else { &blanks };
            for _ in 0..100 {
                tracker.read(chunk);
                if of_marks {
                    (0..CHUNK / 3).for_each(|_| tracker.leave_out_mark(0));
                } else {
                    tracker.pass(CHUNK);
                }
                assert!(tracker.unhashed.len() <= 3 * CHUNK);
                assert!(tracker.marks.len() <= CHUNK);
            }
            assert_eq!(tracker.content(), content(&[record]));
            tracker.read(record);
            tracker.pass(record.len());
            assert_eq!(tracker.content(), content(&[record]));
            tracker.end_record();
            let between = chunk.repeat(100);
            assert_eq!(tracker.content(), content(&[record, &between, record]));
        }
    }
}
