//! A growable array of rows, in chunks.

use crate::memory::{prefetch, use_huge_page};

/// A growable array in chunks of 2^20 rows. Only the last chunk grows, by an eighth of all rows, so
/// that little memory is unused and growth copies little.
///
/// A `Vec` would double instead: half of it is unused after that, and during the copy all rows are
/// in memory twice.
#[derive(Debug)]
pub struct Rows<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
}

const CHUNK_LOG2: u32 = 20;
pub(crate) const CHUNK_ROWS: usize = 1 << CHUNK_LOG2;
/// The last chunk grows by one such part of all rows: by an eighth.
const GROWTH_PART: usize = 8;
const GROWTH_MIN_ROWS: usize = 4;

/// The number of a row's chunk, and the row's index in that chunk.
#[inline]
pub(crate) fn chunk_of(index: u32) -> (usize, usize) {
    let index = index as usize;
    (index >> CHUNK_LOG2, index & (CHUNK_ROWS - 1))
}

/// A full chunk does not move any more, and goes onto huge pages: one at a time while the next chunk gets its first rows,
/// so that no single row waits for all of them. Returns the chunk and its page that are due before the row with this
/// index.
#[inline]
pub(crate) fn huge_page_due(index: u32) -> Option<(usize, usize)> {
    const ROWS_A_PAGE: usize = 1 << 12;
    let (chunk, in_chunk) = chunk_of(index);
    (in_chunk % ROWS_A_PAGE == 0 && chunk > 0).then(|| (chunk - 1, in_chunk / ROWS_A_PAGE))
}

/// By how many rows the last chunk of so many rows grows when it is full.
pub(crate) fn more_rows(rows: u32) -> usize {
    let more = (rows as usize / GROWTH_PART).max(GROWTH_MIN_ROWS);
    more.min(CHUNK_ROWS - chunk_of(rows).1)
}

impl<T> Rows<T> {
    /// An empty array. Allocates nothing.
    pub fn new() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }

    /// The rows of these chunks. All but the last one must be full.
    ///
    /// # Panics
    ///
    /// If one is not, or there are more rows than can be numbered.
    pub(crate) fn of_chunks(chunks: Vec<Vec<T>>) -> Self {
        let rows: usize = chunks.iter().map(Vec::len).sum();
        let (Ok(len), Some(full)) = (u32::try_from(rows), chunks.len().checked_sub(1)) else {
            assert_eq!(rows, 0, "every index has its row");
            return Self::new();
        };
        let are_full = chunks[..full].iter().all(|chunk| chunk.len() == CHUNK_ROWS);
        assert!(
            are_full && chunks[full].len() <= CHUNK_ROWS,
            "only the last chunk grows"
        );
        Self { chunks, len }
    }

    /// The number of rows.
    #[inline]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a row at the end.
    ///
    /// # Panics
    ///
    /// If there are 4,294,967,295 rows already.
    pub fn push(&mut self, row: T) {
        assert!(self.len < u32::MAX, "every index has its row");
        let (chunk, in_chunk) = chunk_of(self.len);
        if let Some((full, page)) = huge_page_due(self.len) {
            use_huge_page(&self.chunks[full], page);
        }
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::new());
        }
        let rows = &mut self.chunks[chunk];
        if in_chunk == rows.capacity() {
            rows.reserve_exact(more_rows(self.len));
        }
        rows.push(row);
        self.len += 1;
    }

    /// The row at an index.
    ///
    /// # Panics
    ///
    /// If the index is not below the length.
    #[inline]
    pub fn at(&self, index: u32) -> &T {
        let (chunk, in_chunk) = chunk_of(index);
        &self.chunks[chunk][in_chunk]
    }

    /// The row at an index, to change it.
    ///
    /// # Panics
    ///
    /// If the index is not below the length.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> &mut T {
        let (chunk, in_chunk) = chunk_of(index);
        &mut self.chunks[chunk][in_chunk]
    }

    /// Starts loading a row that will be needed soon. An index without a row is ignored.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        let (chunk, in_chunk) = chunk_of(index);
        if let Some(row) = self.chunks.get(chunk).and_then(|rows| rows.get(in_chunk)) {
            prefetch(row);
        }
    }
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_at_its_index() {
        let mut rows = Rows::new();
        let count = (2 << CHUNK_LOG2) + 3;
        for row in 0..count {
            assert_eq!(rows.len(), row);
            rows.push(row ^ 5);
        }
        *rows.at_mut(17) += 1;
        for row in 0..count {
            assert_eq!(*rows.at(row), (row ^ 5) + u32::from(row == 17));
        }
        for row in [0, count - 1, count, u32::MAX] {
            rows.prefetch(row);
        }
    }

    #[test]
    fn at_most_an_eighth_is_unused() {
        let mut rows = Rows::new();
        for row in 0..100_000_usize {
            rows.push(row);
            let room: usize = rows.chunks.iter().map(Vec::capacity).sum();
            assert!(
                room <= row + 1 + (row / GROWTH_PART).max(GROWTH_MIN_ROWS),
                "{row}: {room}"
            );
        }
    }
}
