//! Lines of an input: rules IN-3 and IN-4.

use std::io::{self, BufRead, Read as _, Write};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How much of a line that is too long is read at a time.
const PART_BYTES: u64 = 64 * 1024;

/// Reads lines that are not blank, and counts all of them.
pub(crate) struct Lines<R> {
    text: R,
    max_line_bytes: u64,
    line: Vec<u8>,
    number: u64,
    /// The rest of the last line, which was too long, has not been read.
    in_long_line: bool,
}

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'l> {
    /// Without the line feed that ends it.
    Whole { number: u64, bytes: &'l [u8] },
    /// Has more bytes than allowed; [`Lines::copy_long_line`] has them.
    TooLong { number: u64 },
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(text: R, max_line_bytes: u64) -> Self {
        Self {
            text,
            max_line_bytes,
            line: Vec::new(),
            number: 0,
            in_long_line: false,
        }
    }

    /// The number of the last line that was read, counted from 1; 0 before the first.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line that is not blank (IN-4).
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.in_long_line {
            self.copy_rest(&mut io::sink())?;
        }
        loop {
            self.line.clear();
            // Two bytes more than allowed hold its end as well, where that is CRLF.
            let limit = self.max_line_bytes.saturating_add(2);
            let mut limited = self.text.by_ref().take(limit);
            if limited.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let mut bytes = self.line.len() as u64;
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
                bytes = self.line.strip_suffix(b"\r").unwrap_or(&self.line).len() as u64;
            } else {
                self.in_long_line = bytes == limit;
            }
            if bytes > self.max_line_bytes {
                return Ok(Some(Line::TooLong {
                    number: self.number,
                }));
            }
            let start = if self.number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                BYTE_ORDER_MARK.len()
            } else {
                0
            };
            if !self.line[start..].trim_ascii().is_empty() {
                return Ok(Some(Line::Whole {
                    number: self.number,
                    bytes: &self.line[start..],
                }));
            }
        }
    }

    /// Copies the line that was too long, and answers how many bytes it has.
    pub(crate) fn copy_long_line(&mut self, to: &mut dyn Write) -> io::Result<u64> {
        to.write_all(&self.line)?;
        Ok(self.line.len() as u64 + self.copy_rest(to)?)
    }

    fn copy_rest(&mut self, to: &mut dyn Write) -> io::Result<u64> {
        let mut copied = 0;
        while self.in_long_line {
            self.line.clear();
            let mut limited = self.text.by_ref().take(PART_BYTES);
            limited.read_until(b'\n', &mut self.line)?;
            let part = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            self.in_long_line = !part.is_empty() && part.len() == self.line.len();
            to.write_all(part)?;
            copied += part.len() as u64;
        }
        Ok(copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as text, long ones by their whole length.
    fn lines_of(text: &[u8], max_line_bytes: u64) -> Vec<(u64, String)> {
        // A small buffer, so that lines come in parts.
        let mut lines = Lines::new(io::BufReader::with_capacity(2, text), max_line_bytes);
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(match line {
                Line::Whole { number, bytes } => {
                    (number, String::from_utf8_lossy(bytes).into_owned())
                }
                Line::TooLong { number } => {
                    let mut copy = Vec::new();
                    let bytes = lines.copy_long_line(&mut copy).unwrap();
                    assert_eq!(bytes, copy.len() as u64);
                    (
                        number,
                        format!("too long: {}", String::from_utf8_lossy(&copy)),
                    )
                }
            });
        }
        all
    }

    fn line(number: u64, text: &str) -> (u64, String) {
        (number, text.to_owned())
    }

    #[test]
    fn in_4_lines_end_with_lf_or_crlf_and_blank_ones_are_passed_over() {
        let text = b"\xef\xbb\xbfa\r\n\n \t\r\nb\n\xef\xbb\xbfc";
        let expected = [line(1, "a\r"), line(4, "b"), line(5, "\u{feff}c")];
        assert_eq!(lines_of(text, 9), expected);
        assert_eq!(lines_of(b"\xef\xbb\xbf\n", 9), []);
        assert_eq!(lines_of(b"", 9), []);
    }

    #[test]
    fn in_3_a_line_may_have_so_many_bytes_and_no_more() {
        for end in ["", "\n", "\nnext"] {
            let mut expected = vec![line(1, "12345")];
            expected.extend((end == "\nnext").then(|| line(2, "next")));
            assert_eq!(lines_of(format!("12345{end}").as_bytes(), 5), expected);
            expected[0].1 = "too long: 123456789".to_owned();
            assert_eq!(lines_of(format!("123456789{end}").as_bytes(), 5), expected);
            expected[0].1 = "too long: 123456".to_owned();
            assert_eq!(lines_of(format!("123456{end}").as_bytes(), 5), expected);
        }
    }

    #[test]
    fn in_3_the_end_of_a_line_is_not_counted() {
        assert_eq!(lines_of(b"12345\r\n", 5), [line(1, "12345\r")]);
        for text in ["123456\r", "12345\r6", "123456"] {
            let expected = [line(1, &format!("too long: {text}")), line(2, "b")];
            assert_eq!(lines_of(format!("{text}\nb").as_bytes(), 5), expected);
        }
    }

    #[test]
    fn in_3_the_rest_of_a_long_line_is_passed_over_where_nobody_wants_it() {
        let mut lines = Lines::new(&b"123456789\nb"[..], 5);
        assert_eq!(
            lines.next_line().unwrap(),
            Some(Line::TooLong { number: 1 })
        );
        let b = Line::Whole {
            number: 2,
            bytes: b"b",
        };
        assert_eq!(lines.next_line().unwrap(), Some(b));
        assert_eq!(lines.number(), 2);
        assert_eq!(lines.next_line().unwrap(), None);
    }
}
