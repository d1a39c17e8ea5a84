//! The keys of a table, in chunks.

use crate::key::Key;
use crate::memory::{prefetch, use_huge_page};
use crate::part::{Appender, PartView};
use crate::rows::{chunk_of, huge_page_due, more_rows};

/// The keys of a table by number. They grow as [`Rows`](crate::Rows) do.
///
/// Other threads can read them in a [view](Self::view) meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    chunks: Vec<Appender<Key>>,
    len: u32,
}

/// The chunks of keys, as they were when the view was made. The later keys of the last chunk are there until it has
/// grown.
#[derive(Debug, Default)]
pub(crate) struct KeysView {
    chunks: Box<[PartView<Key>]>,
}

impl Keys {
    /// The keys of these chunks. All but the last one must be full.
    pub(crate) fn of_chunks(chunks: Vec<Vec<Key>>) -> Self {
        let keys: usize = chunks.iter().map(Vec::len).sum();
        let chunks: Vec<_> = chunks.into_iter().map(Appender::of_vec).collect();
        let Ok(len) = u32::try_from(keys) else {
            unreachable!("the loader numbers them");
        };
        Self { chunks, len }
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Adds a key. Returns whether a chunk has come or has grown: a [view](Self::view) does not have the key then.
    ///
    /// # Panics
    ///
    /// If there are 4,294,967,295 keys already.
    #[inline]
    pub(crate) fn push(&mut self, key: Key) -> bool {
        assert!(self.len < u32::MAX, "every key has its number");
        let (chunk, in_chunk) = chunk_of(self.len);
        if let Some((full, page)) = huge_page_due(self.len) {
            let full = &self.chunks[full];
            use_huge_page(full.slice(0..full.len()).unwrap_or_default(), page);
        }
        let has_room = self
            .chunks
            .get(chunk)
            .is_some_and(|keys| in_chunk < keys.capacity());
        if !has_room {
            self.grow(chunk);
        }
        self.chunks[chunk].push(key);
        self.len += 1;
        !has_room
    }

    #[cold]
    fn grow(&mut self, chunk: usize) {
        let more = more_rows(self.len);
        if let Some(keys) = self.chunks.get_mut(chunk) {
            keys.reserve(more);
            return;
        }
        self.chunks.push(Appender::with_capacity(more));
    }

    /// The key with a number.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[inline]
    pub(crate) fn at(&self, number: u32) -> &Key {
        match self.get(number) {
            Some(key) => key,
            None => unreachable!("no ID has this number"),
        }
    }

    #[inline]
    fn get(&self, number: u32) -> Option<&Key> {
        let (chunk, in_chunk) = chunk_of(number);
        self.chunks.get(chunk)?.get(in_chunk)
    }

    /// Starts loading a key that will be needed soon. A number without a key is ignored.
    #[inline]
    pub(crate) fn prefetch(&self, number: u32) {
        if let Some(key) = self.get(number) {
            prefetch(key);
        }
    }

    /// The chunks, for other threads.
    pub(crate) fn view(&self) -> KeysView {
        let chunks = self.chunks.iter();
        KeysView {
            chunks: chunks.map(Appender::view).collect(),
        }
    }
}

impl KeysView {
    /// The key with a number; `None` if it is not in this view. If an index has the number, a later view has the key.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&Key> {
        let (chunk, in_chunk) = chunk_of(number);
        self.chunks.get(chunk)?.get(in_chunk)
    }
}
