//! The parts of an image: IDs and numbers as arrays, which are cut into pieces.
//!
//! ```text
//! keys     16 bytes for each ID, in the order of their numbers: the `Key` of the ID in a table, but for the hash of a
//!          long text, which is 0, and its position, which is in the texts of the image
//! texts    the long texts, one after the other; none is cut by the end of a piece, and each piece is a block of `Texts`
//! numbers  1 or 4 bytes each, little-endian
//! ```
//!
//! Each piece but the last one of its part has as many keys or numbers as fit. There are no hashes and no
//! hash table: it is built when the image is read, by shards, with new keys. So an image has nothing that could
//! contradict the rest, and takes no more bytes than the IDs.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use idmerge_core::{Id, ImagePiece, ImageSink, ImageSource, SnapshotError};

use crate::key::Key;
use crate::texts::{TextSpan, Texts};

/// How many pieces of texts one task reads.
const TEXT_PIECES: usize = 64;

/// Where the IDs of a table are in an image: two parts, and how much is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageIds {
    keys: u8,
    texts: u8,
    ids: u32,
    text_pieces: u32,
}

/// Writes numbers or keys of so many bytes to a part of an image.
#[derive(Debug)]
pub struct ItemsWriter<const BYTES: usize> {
    next: ImagePiece,
    bytes: Vec<u8>,
}

/// Writes IDs to two parts of an image.
#[derive(Debug)]
pub struct IdsWriter {
    keys: ItemsWriter<{ Key::BYTES }>,
    texts: ItemsWriter<1>,
    ids: u32,
}

const DAMAGED: SnapshotError = SnapshotError::Damaged {
    what: "a part of the image is not valid",
};

/// How many items of so many bytes a piece has.
const fn items_of<const BYTES: usize>() -> usize {
    ImagePiece::MAX_BYTES / BYTES
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "the image has too many pieces")
}

impl<const BYTES: usize> ItemsWriter<BYTES> {
    /// Begins a part.
    pub fn new(part: u8) -> Self {
        Self {
            next: ImagePiece { part, number: 0 },
            bytes: Vec::with_capacity(ImagePiece::MAX_BYTES),
        }
    }

    /// Adds an item.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    #[inline]
    pub fn push(&mut self, item: [u8; BYTES], sink: &mut dyn ImageSink) -> io::Result<()> {
        self.bytes.extend_from_slice(&item);
        if self.bytes.len() == BYTES * items_of::<BYTES>() {
            self.put(sink)?;
        }
        Ok(())
    }

    /// Ends the part. Without this call it cannot be read.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    pub fn end(mut self, sink: &mut dyn ImageSink) -> io::Result<()> {
        match self.bytes.is_empty() {
            true => Ok(()),
            false => self.put(sink),
        }
    }

    fn put(&mut self, sink: &mut dyn ImageSink) -> io::Result<()> {
        if self.next.number == ImagePiece::MAX {
            return Err(full());
        }
        sink.put(self.next, &self.bytes)?;
        self.next.number += 1;
        self.bytes.clear();
        Ok(())
    }
}

impl IdsWriter {
    /// Begins the two parts.
    pub fn new(keys: u8, texts: u8) -> Self {
        Self {
            keys: ItemsWriter::new(keys),
            texts: ItemsWriter::new(texts),
            ids: 0,
        }
    }

    /// Adds an ID.
    ///
    /// # Errors
    ///
    /// Any error of the sink, and if there are too many.
    #[inline]
    pub fn push(&mut self, id: Id<'_>, sink: &mut dyn ImageSink) -> io::Result<()> {
        let key = match Key::packed(id) {
            Ok(key) => key,
            Err(text) => self.long(text, sink)?,
        };
        self.ids = self.ids.checked_add(1).ok_or_else(full)?;
        self.keys.push(key.to_bytes(), sink)
    }

    fn long(&mut self, text: &str, sink: &mut dyn ImageSink) -> io::Result<Key> {
        let Self { texts, .. } = self;
        if texts.bytes.len() + text.len() > ImagePiece::MAX_BYTES {
            texts.put(sink)?;
        }
        let span = TextSpan::new(texts.next.number, texts.bytes.len(), text.len());
        texts.bytes.extend_from_slice(text.as_bytes());
        Ok(Key::of_long(0, span.ok_or_else(full)?))
    }

    /// Ends the parts, and says what is in them.
    ///
    /// # Errors
    ///
    /// Any error of the sink.
    pub fn end(self, sink: &mut dyn ImageSink) -> io::Result<ImageIds> {
        let has_rest = !self.texts.bytes.is_empty();
        let ids = ImageIds {
            keys: self.keys.next.part,
            texts: self.texts.next.part,
            ids: self.ids,
            text_pieces: self.texts.next.number + u32::from(has_rest),
        };
        self.keys.end(sink)?;
        self.texts.end(sink)?;
        Ok(ids)
    }
}

impl ImageIds {
    /// The number of bytes of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 8;

    /// How much is in the parts, to be kept with the image.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        (u64::from(self.ids) | u64::from(self.text_pieces) << u32::BITS).to_le_bytes()
    }

    /// The parts with these numbers, as [`to_bytes`](Self::to_bytes) describes them.
    pub fn of_bytes(keys: u8, texts: u8, bytes: [u8; Self::BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            keys,
            texts,
            ids: u32::from_le_bytes([a, b, c, d]),
            text_pieces: u32::from_le_bytes([e, f, g, h]),
        }
    }

    /// The number of IDs.
    pub fn len(&self) -> u32 {
        self.ids
    }

    /// Whether there are no IDs.
    pub fn is_empty(&self) -> bool {
        self.ids == 0
    }

    /// Reads the long texts.
    pub(crate) fn read_texts(&self, image: &dyn ImageSource) -> Result<Texts, SnapshotError> {
        let count = self.text_pieces as usize;
        if self.text_pieces > ImagePiece::MAX {
            return Err(DAMAGED);
        }
        let blocks = all(image, count.div_ceil(TEXT_PIECES), |task| {
            let first = task * TEXT_PIECES;
            let numbers = first..(first + TEXT_PIECES).min(count);
            numbers
                .map(|number| self.read_block(image, number))
                .collect()
        })?;
        let blocks: Vec<Vec<String>> = blocks;
        Ok(Texts::of_blocks(blocks.into_iter().flatten().collect()))
    }

    fn read_block(&self, image: &dyn ImageSource, number: usize) -> Result<String, SnapshotError> {
        let piece = piece(self.texts, number)?;
        let mut text = None;
        image.piece(piece, &mut |bytes| {
            if bytes.len() <= ImagePiece::MAX_BYTES {
                text = str::from_utf8(bytes).ok().map(str::to_owned);
            }
        })?;
        text.ok_or(DAMAGED)
    }

    /// Calls `visit` with the key of each ID with a number in this range. The text of a long one is given too.
    pub(crate) fn each_key<'t>(
        &self,
        image: &dyn ImageSource,
        texts: &'t Texts,
        numbers: Range<usize>,
        mut visit: impl FnMut(Key, Option<&'t str>),
    ) -> Result<(), SnapshotError> {
        // A function: an error that is a constant would be made, and dropped, for each key.
        let not_a_key = || SnapshotError::Damaged {
            what: "a key of the image is not valid",
        };
        let ids = self.ids as usize;
        each_item::<{ Key::BYTES }>(image, self.keys, ids, numbers, |bytes| {
            let key = Key::checked(*bytes).ok_or_else(not_a_key)?;
            let text = match key.long() {
                None => None,
                Some((_, span)) => {
                    let text = texts.get(span).ok_or_else(not_a_key)?;
                    // Otherwise the ID would have another key, and not be found.
                    let is_long = Id::new(text).is_ok_and(|id| Key::packed(id).is_err());
                    Some(text).filter(|_| is_long).ok_or_else(not_a_key)?.into()
                }
            };
            visit(key, text);
            Ok(())
        })
    }
}

fn piece(part: u8, number: usize) -> Result<ImagePiece, SnapshotError> {
    let number = u32::try_from(number).ok();
    let number = number.filter(|&number| number < ImagePiece::MAX);
    Ok(ImagePiece {
        part,
        number: number.ok_or(DAMAGED)?,
    })
}

/// Calls `visit` with the items of a part in this range. The part has `count` of them.
///
/// # Errors
///
/// Those of `visit`, and if a piece is missing or has another length.
pub fn each_item<const BYTES: usize>(
    image: &dyn ImageSource,
    part: u8,
    count: usize,
    range: Range<usize>,
    mut visit: impl FnMut(&[u8; BYTES]) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let in_piece = items_of::<BYTES>();
    let mut at = range.start;
    while at < range.end {
        let number = at / in_piece;
        let first = number * in_piece;
        let end = (first + in_piece).min(count);
        let until = end.min(range.end);
        let mut visited = Err(DAMAGED);
        image.piece(piece(part, number)?, &mut |bytes| {
            let (items, rest) = bytes.as_chunks::<BYTES>();
            if items.len() == end - first && rest.is_empty() {
                visited = items[at - first..until - first]
                    .iter()
                    .try_for_each(&mut visit);
            }
        })?;
        visited?;
        at = until;
    }
    Ok(())
}

/// The results of all tasks, in their order. After an error the tasks that have not begun are left out.
pub(crate) fn all<T: Send>(
    image: &dyn ImageSource,
    tasks: usize,
    task: impl Fn(usize) -> Result<T, SnapshotError> + Sync,
) -> Result<Vec<T>, SnapshotError> {
    // No slot for each task: a forged image can announce very many.
    let results = Mutex::new(Vec::new());
    let has_failed = AtomicBool::new(false);
    image.each(tasks, &|number| {
        if has_failed.load(Ordering::Relaxed) {
            return;
        }
        let result = task(number);
        has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.push((number, result));
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(number, _)| *number);
    let results = results.into_iter().map(|(_, result)| result);
    let results = results.collect::<Result<Vec<_>, _>>()?;
    assert_eq!(results.len(), tasks, "each task was called");
    Ok(results)
}
