//! The forms of an input: lines, JSON arrays, or JSON objects in a row (IN-6).
//!
//! Arrays and rows become lines before anything else sees them, so every command takes them alike.

mod records;
mod scanner;
pub(crate) mod text;
mod tracker;
pub(crate) mod unusable;
mod wrapped;

use std::io::{self, Read};

use idmerge_ingest::{ContentHasher, Known, pass};
pub(super) use records::{Cut, Records};
use scanner::{Scanned, ValueScanner};

use crate::stream::forms::text::{BYTE_ORDER_MARK, after_empty_arrays, after_space};

/// The last line of an export that the vendor could not complete.
pub(super) const TERMINATED_EARLY: &[u8] = b"export terminated early";

/// Where the last line starts, if it is the one that ends an incomplete export. Blanks and byte order marks can be in
/// front of its text, as in front of any other line (IN-4).
pub(super) fn terminated_early(lines: &[u8]) -> Option<usize> {
    let mut before = lines.trim_ascii_end().strip_suffix(TERMINATED_EARLY)?;
    loop {
        let rest = [&b" "[..], b"\t", b"\r", BYTE_ORDER_MARK];
        let Some(rest) = rest.iter().find_map(|blank| before.strip_suffix(*blank)) else {
            break;
        };
        before = rest;
    }
    (before.is_empty() || before.ends_with(b"\n")).then_some(before.len())
}

/// How much of an input is read before its form is settled, unless its first value is longer.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// White space before the first value that is longer is taken for lines.
const SPACE_BYTES_MAX: usize = HEAD_BYTES;

/// An input whose form is settled.
pub(super) enum Source<'i> {
    Lines(Prefixed<'i>),
    Records(Box<Records<'i>>),
}

/// Counts the lines that are passed over.
struct LineCounter<'i, 'p> {
    input: &'p mut Prefixed<'i>,
    /// How many line breaks there were.
    breaks: u64,
    /// Whether the next byte is the first one of a line.
    starts_line: bool,
}

impl Source<'_> {
    /// Passes the beginning of the input, which was read before. Returns how many lines or records that
    /// was. A line that does not end there counts as one to come.
    pub(super) fn pass(&mut self, known: &Known, hasher: &mut ContentHasher) -> io::Result<u64> {
        let input = match self {
            Self::Lines(input) => input,
            Self::Records(records) => records.input(),
        };
        let mut counter = LineCounter {
            input,
            breaks: 0,
            starts_line: true,
        };
        let bytes = known.content.bytes;
        let passed = pass(&mut counter, bytes, &mut vec![0; HEAD_BYTES], hasher);
        match passed {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            Ok(()) if hasher.content() == known.content => {}
            _ => {
                return Err(io::Error::other(
                    "it changed while idmerge ran; run idmerge again",
                ));
            }
        }
        let LineCounter {
            breaks,
            starts_line,
            ..
        } = counter;
        Ok(match self {
            Self::Lines(_) => breaks,
            Self::Records(records) => {
                records.resume(breaks, starts_line);
                known.records
            }
        })
    }
}

impl Read for LineCounter<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        let passed = &buffer[..bytes];
        self.breaks += memchr::memchr_iter(b'\n', passed).count() as u64;
        if let Some(last) = passed.last() {
            self.starts_line = *last == b'\n';
        }
        Ok(bytes)
    }
}

/// Whether a text is one whole JSON value and white space.
pub(super) fn is_whole_value(text: &[u8], max_bytes: u64) -> bool {
    let text = after_space(text);
    match ValueScanner::new(max_bytes).scan(text) {
        Scanned::Ended(end) => text[end..].trim_ascii().is_empty(),
        Scanned::All | Scanned::Broken(_) => false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Array,
    Row,
}

/// An input and what was already read of it.
pub(super) struct Prefixed<'i> {
    prefix: Vec<u8>,
    at: usize,
    /// The error that ended the prefix, reported behind it.
    error: Option<io::Error>,
    input: Box<dyn Read + Send + 'i>,
}

/// Settles the form of an input by its first value. Also returns its first bytes.
pub(super) fn settle<'i>(
    input: Box<dyn Read + Send + 'i>,
    max_record_bytes: u64,
) -> (Source<'i>, Vec<u8>) {
    let mut input = Prefixed {
        prefix: Vec::new(),
        at: 0,
        error: None,
        input,
    };
    let mut bytes = HEAD_BYTES;
    let form = loop {
        let is_at_end = input.read_prefix(bytes);
        if let Some(form) = form_of(&input.prefix, is_at_end, max_record_bytes) {
            break form;
        }
        bytes *= 2;
    };
    let head = input.prefix[..input.prefix.len().min(HEAD_BYTES)].to_vec();
    let source = match form {
        Form::Lines => Source::Lines(input),
        Form::Array | Form::Row => {
            Source::Records(Box::new(Records::new(input, form, max_record_bytes)))
        }
    };
    (source, head)
}

/// The form of an input that begins like this. `None` if more of it decides.
fn form_of(head: &[u8], is_at_end: bool, max_record_bytes: u64) -> Option<Form> {
    let otherwise = |is_enough: bool| (is_at_end || is_enough).then_some(Form::Lines);
    let first = after_space(head);
    // The form of an array that has nothing in it is that of the arrays that follow it.
    let text = after_empty_arrays(first);
    let has_empty_array = text.len() < first.len();
    if !is_at_end && (text == &BYTE_ORDER_MARK[..1] || text == &BYTE_ORDER_MARK[..2]) {
        return None;
    }
    match text.first() {
        None if has_empty_array => {
            (is_at_end || head.len() >= SPACE_BYTES_MAX).then_some(Form::Array)
        }
        None => otherwise(head.len() >= SPACE_BYTES_MAX),
        Some(b'[') => match after_space(&text[1..]).first() {
            Some(0xef) if !is_at_end && text.len() < SPACE_BYTES_MAX => None,
            None => otherwise(text.len() >= SPACE_BYTES_MAX),
            Some(b'{') => Some(Form::Array),
            Some(_) => Some(Form::Lines),
        },
        Some(b'{') if has_empty_array => Some(Form::Lines),
        Some(b'{') => match ValueScanner::new(max_record_bytes).scan(text) {
            Scanned::Broken(_) => Some(Form::Lines),
            Scanned::All => otherwise(text.len() as u64 > max_record_bytes),
            Scanned::Ended(end) if text[..end].contains(&b'\n') => Some(Form::Row),
            // A line with one object is NDJSON; with more of them it is a row.
            Scanned::Ended(end) => {
                let space = |byte: &&u8| matches!(byte, b' ' | b'\t');
                match text[end..].iter().find(|byte| !space(byte)) {
                    None => otherwise(text.len() - end >= SPACE_BYTES_MAX),
                    Some(b'{') => Some(Form::Row),
                    Some(_) => Some(Form::Lines),
                }
            }
        },
        Some(_) => Some(Form::Lines),
    }
}

impl Prefixed<'_> {
    /// Reads until the prefix has this many bytes. `true` if the input, or what can be read of it,
    /// ends first.
    fn read_prefix(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.prefix.len()) as u64;
        let result = (&mut self.input)
            .take(missing)
            .read_to_end(&mut self.prefix);
        self.error = result.err();
        self.error.is_some() || self.prefix.len() < bytes
    }
}

impl Read for Prefixed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at < self.prefix.len() {
            let bytes = buffer.len().min(self.prefix.len() - self.at);
            buffer[..bytes].copy_from_slice(&self.prefix[self.at..][..bytes]);
            self.at += bytes;
            if self.at == self.prefix.len() {
                (self.prefix, self.at) = (Vec::new(), 0);
            }
            return Ok(bytes);
        }
        match self.error.take() {
            Some(error) => Err(error),
            None => self.input.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_6_the_first_value_settles_the_form() {
        for (head, form) in [
            ("", Form::Lines),
            ("{\"a\":1}\n[{", Form::Lines),
            ("\n \u{feff}{\"a\":1} \t\r\n", Form::Lines),
            ("{\"a\":1}\r{\"a\":1}\r", Form::Lines),
            ("{\"a\":1} x", Form::Lines),
            ("{\"a\":1},\n{\"a\":1}", Form::Lines),
            ("{\"a\":\n{\"a\":1}\n", Form::Lines),
            ("{\"a\n\":1}", Form::Lines),
            ("{\"a\":1", Form::Lines),
            ("[]", Form::Array),
            (" [ \n]\r\n", Form::Array),
            ("[]\n\u{feff}[\u{feff}][{\"a\":1}]", Form::Array),
            ("[]\n{\"a\":1}\n", Form::Lines),
            ("[] [1]", Form::Lines),
            ("[] x", Form::Lines),
            ("[1,{}]", Form::Lines),
            ("[", Form::Lines),
            ("5\n{\n}", Form::Lines),
            ("{\n\"a\":1}", Form::Row),
            ("{\"a\":1}{\"b\":1}\n", Form::Row),
            ("{\"a\":1} {\n", Form::Row),
            ("[{", Form::Array),
            (" \u{feff}[\r\n\u{feff} {x", Form::Array),
        ] {
            assert_eq!(
                form_of(head.as_bytes(), true, 1_000),
                Some(form),
                "{head:?}"
            );
            // A part of it gives the same answer, or none yet.
            for bytes in 0..head.len() {
                let of_part = form_of(&head.as_bytes()[..bytes], false, 1_000);
                assert!(of_part.is_none_or(|part| part == form), "{head:?}");
            }
        }
        // A value that is longer than a record may be is not read to its end.
        assert_eq!(
            form_of(&[b"{\"", &[b'x'; 20][..]].concat(), false, 9),
            Some(Form::Lines)
        );
    }
}
