//! Cuts the rows of a table that are of the usual form, in a fraction of the time that a reader of any CSV takes.

use std::ops::Range;

use idmerge_adapters::Cell;
use idmerge_events::SpecialBytes;

/// Where a row begins in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: usize,
    /// The number of the line, counted from 1.
    pub(super) line: u64,
}

/// The rows of a text, as long as they are of the usual form. Lines end with LF or CRLF. A cell either has no quotation
/// mark, or is enclosed in two of them; those within it are then doubled. If tabs separate the cells, quotation marks are
/// characters like any other.
pub(super) struct UsualRows<'t, const SEPARATOR: u8> {
    text: &'t str,
    place: Place,
    special: SpecialBytes<SEPARATOR>,
}

/// A row that was cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CutRow {
    pub(super) line: u64,
    pub(super) bytes: Range<usize>,
    pub(super) cells: usize,
}

/// Where a cell ends, and what comes after it.
enum End {
    Cell,
    Row { next: usize },
}

impl<'t, const SEPARATOR: u8> UsualRows<'t, SEPARATOR> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            place: Place { at: 0, line: 1 },
            special: SpecialBytes::new(text.as_bytes()),
        }
    }

    /// Where the next row begins, or blank lines before it.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Takes each cell of the next row. `None` if it is of another form, and then `take` may have taken cells of it;
    /// or at the end of the text.
    #[inline]
    pub(super) fn cut(&mut self, mut take: impl FnMut(Cell<'t>)) -> Option<CutRow> {
        let bytes = self.text.as_bytes();
        let Place { mut at, mut line } = self.place;
        while let Some(b'\n' | b'\r') = bytes.get(at) {
            line += u64::from(bytes[at] == b'\n');
            at += 1;
        }
        if at == bytes.len() {
            self.place = Place { at, line };
            return None;
        }
        let (start, first_line, mut cells) = (at, line, 0);
        loop {
            let is_quoted = SEPARATOR != b'\t' && bytes.get(at) == Some(&b'"');
            let (cell, end) = match is_quoted {
                true => self.quoted(at, &mut line)?,
                false => self.unquoted(at)?,
            };
            take(cell);
            cells += 1;
            match self.end(end)? {
                End::Cell => at = end + 1,
                End::Row { next } => {
                    line += u64::from(next > end);
                    self.place = Place { at: next, line };
                    return Some(CutRow {
                        line: first_line,
                        bytes: start..next,
                        cells,
                    });
                }
            }
        }
    }

    /// What comes after a cell that ends here. `None` if that is unusual.
    #[inline(always)]
    fn end(&self, end: usize) -> Option<End> {
        let rest = &self.text.as_bytes()[end..];
        Some(match rest {
            [byte, ..] if *byte == SEPARATOR => End::Cell,
            [b'\n', ..] => End::Row { next: end + 1 },
            [b'\r', b'\n', ..] => End::Row { next: end + 2 },
            [] => End::Row { next: end },
            _ => return None,
        })
    }

    /// The cell that begins with the quotation mark here, and where it ends.
    #[inline(always)]
    fn quoted(&mut self, start: usize, line: &mut u64) -> Option<(Cell<'t>, usize)> {
        let bytes = self.text.as_bytes();
        let mut is_plain = true;
        let mut at = self.special.next(bytes, start + 1);
        loop {
            match bytes.get(at)? {
                b'"' if bytes.get(at + 1) != Some(&b'"') => break,
                // The second one of two.
                b'"' => {
                    is_plain = false;
                    at += 1;
                }
                byte if *byte == SEPARATOR => {}
                byte => {
                    is_plain = false;
                    *line += u64::from(*byte == b'\n');
                }
            }
            at = self.special.next(bytes, at + 1);
        }
        let cell = match is_plain {
            true => Cell::PlainQuoted(&self.text[start..=at]),
            false => Cell::OtherQuoted(&self.text[start + 1..at]),
        };
        Some((cell, at + 1))
    }

    /// The cell without quotation marks that begins here, and where it ends.
    #[inline(always)]
    fn unquoted(&mut self, start: usize) -> Option<(Cell<'t>, usize)> {
        let bytes = self.text.as_bytes();
        let mut is_plain = true;
        let mut at = self.special.next(bytes, start);
        while let Some(byte) = bytes.get(at) {
            match byte {
                byte if *byte == SEPARATOR => break,
                b'\n' => break,
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => break,
                b'\r' => return None,
                b'"' if SEPARATOR != b'\t' => return None,
                _ => is_plain = false,
            }
            at = self.special.next(bytes, at + 1);
        }
        let text = &self.text[start..at];
        let cell = match is_plain {
            true => Cell::Plain(text),
            false => Cell::Other(text),
        };
        Some((cell, at))
    }
}
