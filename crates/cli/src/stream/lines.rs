//! The lines of a block, by rules IN-3 and IN-4.

use crate::stream::block::Unit;
use crate::stream::forms::text::BYTE_ORDER_MARK;

/// The lines of a block that are not blank.
#[derive(Debug)]
pub(crate) struct Lines<'b> {
    block: &'b [u8],
    at: usize,
    max_line_bytes: u64,
    /// The number of lines so far, blank lines included.
    pub(crate) count: u64,
}

/// A line that is not blank, without the line feed that ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'b> {
    /// Counted from 1, in its block.
    pub(crate) number: u64,
    /// The offset of the first byte in the block.
    pub(crate) start: usize,
    pub(crate) bytes: &'b [u8],
    /// Whether the line has more bytes than allowed (IN-3).
    pub(crate) is_too_long: bool,
}

/// The error for a line that is too long.
pub(crate) fn too_long(unit: Unit, max_line_bytes: u64) -> String {
    format!("the {unit} has more than {max_line_bytes} bytes, the limit of --max-line-bytes (IN-3)")
}

impl<'b> Lines<'b> {
    /// The block must hold whole lines: only the last line of an input may lack its line feed.
    pub(crate) fn new(block: &'b [u8], max_line_bytes: u64) -> Self {
        Self {
            block,
            at: 0,
            max_line_bytes,
            count: 0,
        }
    }
}

impl<'b> Iterator for Lines<'b> {
    type Item = Line<'b>;

    #[inline]
    fn next(&mut self) -> Option<Line<'b>> {
        while self.at < self.block.len() {
            self.count += 1;
            let mut start = self.at;
            let rest = &self.block[start..];
            let (mut bytes, text_bytes) = match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    let bytes = &rest[..end];
                    (bytes, bytes.strip_suffix(b"\r").unwrap_or(bytes).len())
                }
                None => (rest, rest.len()),
            };
            self.at += bytes.len() + 1;
            let is_too_long = text_bytes as u64 > self.max_line_bytes;
            // A file may be several, the first of them empty, put together.
            while !is_too_long && let Some(text) = bytes.strip_prefix(BYTE_ORDER_MARK) {
                start += BYTE_ORDER_MARK.len();
                bytes = text;
            }
            if is_too_long || !bytes.trim_ascii_start().is_empty() {
                return Some(Line {
                    number: self.count,
                    start,
                    bytes,
                    is_too_long,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as text. A line that is too long is marked.
    fn lines_of(text: &[u8], max_line_bytes: u64) -> Vec<(u64, String)> {
        let text_of = |line: Line<'_>| {
            let text = String::from_utf8_lossy(line.bytes);
            let long = if line.is_too_long { "too long: " } else { "" };
            (line.number, format!("{long}{text}"))
        };
        Lines::new(text, max_line_bytes).map(text_of).collect()
    }

    fn line(number: u64, text: &str) -> (u64, String) {
        (number, text.to_owned())
    }

    #[test]
    fn in_4_lines_end_with_lf_or_crlf_and_blank_lines_are_skipped() {
        let text = b"\xef\xbb\xbfa\r\n\n \t\r\nb\n\xef\xbb\xbfc";
        let expected = [line(1, "a\r"), line(4, "b"), line(5, "c")];
        assert_eq!(lines_of(text, 9), expected);
        assert_eq!(lines_of(b"\xef\xbb\xbf\n\n\xef\xbb\xbf\xef\xbb\xbf", 9), []);
        assert_eq!(lines_of(b"", 9), []);
        // Within a line it is not white space.
        let text = " \u{feff}d";
        assert_eq!(lines_of(text.as_bytes(), 9), [line(1, text)]);
    }

    #[test]
    fn in_3_a_line_may_be_as_long_as_the_limit_and_no_longer() {
        for end in ["", "\n", "\nnext"] {
            let mut expected = vec![line(1, "12345")];
            expected.extend((end == "\nnext").then(|| line(2, "next")));
            assert_eq!(lines_of(format!("12345{end}").as_bytes(), 5), expected);
            expected[0].1 = "too long: 123456".to_owned();
            assert_eq!(lines_of(format!("123456{end}").as_bytes(), 5), expected);
        }
        assert_eq!(lines_of(b"      ", 5), [line(1, "too long:       ")]);
    }

    #[test]
    fn in_3_the_end_of_a_line_is_not_counted() {
        assert_eq!(lines_of(b"12345\r\n", 5), [line(1, "12345\r")]);
        for text in ["123456\r", "12345\r6", "123456"] {
            let expected = [line(1, &format!("too long: {text}")), line(2, "b")];
            assert_eq!(lines_of(format!("{text}\nb").as_bytes(), 5), expected);
        }
        assert_eq!(lines_of(b"12345\r", 5), [line(1, "too long: 12345\r")]);
    }
}
