//! Finds out whether an input was read before (AR-3).

use std::io::{self, Read};

use foldhash::HashMap;

use crate::content::{Content, ContentHasher};

/// How much is read at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// The beginning of an input that was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// A number that the caller knows it by.
    pub number: u64,
    /// The bytes of this beginning.
    pub content: Content,
    /// How many lines or records it has.
    pub records: u64,
}

/// The inputs that were read before, by earlier runs or by this one.
#[derive(Debug, Default)]
pub struct KnownInputs {
    by_head: HashMap<u64, Vec<Known>>,
    /// The number of the first input of this run; the next one has the next number.
    first_number: u64,
    /// The known inputs that inputs of this run begin with.
    passed: Vec<Known>,
}

impl KnownInputs {
    /// `first_number` is for the first input of this run.
    pub fn new(known: impl IntoIterator<Item = Known>, first_number: u64) -> Self {
        let mut inputs = Self {
            first_number,
            ..Self::default()
        };
        known.into_iter().for_each(|known| inputs.insert(known));
        inputs
    }

    /// Whether no input is known.
    pub fn is_empty(&self) -> bool {
        self.by_head.is_empty()
    }

    fn insert(&mut self, known: Known) {
        self.by_head
            .entry(known.content.head)
            .or_default()
            .push(known);
    }

    /// Adds the beginning of the input of this run with this index.
    pub fn add(&mut self, index: usize, content: Content, records: u64) {
        self.insert(Known {
            number: self.number(index),
            content,
            records,
        });
    }

    /// The number of an input of this run.
    pub fn number(&self, index: usize) -> u64 {
        self.first_number + index as u64
    }

    /// Records that an input of this run begins with a known one, and is read from there.
    pub fn pass(&mut self, known: Known) {
        self.passed.push(known);
    }

    /// The known inputs that inputs of this run begin with.
    pub fn passed(&self) -> &[Known] {
        &self.passed
    }

    /// The known input that has these bytes and the end of a line, which a last line may lack.
    fn find_ended(&self, hasher: &ContentHasher) -> Option<Known> {
        [&b"\n"[..], b"\r\n"].into_iter().find_map(|end| {
            let mut ended = hasher.clone();
            ended.update(end);
            let mut known = self.by_head.get(&ended.head())?.iter();
            let known = known.find(|known| known.content == ended.content())?;
            Some(Known {
                content: hasher.content(),
                ..*known
            })
        })
    }

    /// The longest known input that this one begins with. Reads no further than that needs: to the end
    /// of the longest one with the same first bytes.
    ///
    /// An error ends the search, because reading the input afterwards gives the same error.
    pub fn find(&self, input: &mut dyn Read) -> Option<Known> {
        let mut hasher = ContentHasher::default();
        // Those with the same first bytes, the shortest last.
        let mut candidates: Vec<Known> = Vec::new();
        let mut found = None;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let for_head = hasher.missing_for_head();
            let for_candidate = candidates
                .last()
                .map(|known| known.content.bytes - hasher.bytes());
            let stop = match (for_head, for_candidate) {
                (Some(head), Some(candidate)) => head.min(candidate),
                (Some(bytes), None) | (None, Some(bytes)) => bytes,
                (None, None) => return found,
            };
            if let Err(error) = pass(input, stop, &mut chunk, &mut hasher) {
                let has_ended = error.kind() == io::ErrorKind::UnexpectedEof;
                let whole = has_ended.then(|| self.find_ended(&hasher)).flatten();
                return whole.or(found);
            }
            if for_head == Some(stop)
                && let Some(known) = self.by_head.get(&hasher.head())
            {
                let longer = known
                    .iter()
                    .filter(|known| known.content.bytes >= hasher.bytes());
                candidates.extend(longer.copied());
                candidates.sort_by_key(|known| std::cmp::Reverse(known.content.bytes));
            }
            let is_here = |known: &mut Known| known.content.bytes == hasher.bytes();
            if candidates.last_mut().is_some_and(&is_here) {
                let content = hasher.content();
                while let Some(known) = candidates.pop_if(is_here) {
                    if known.content == content {
                        found = Some(known);
                    }
                }
            }
        }
    }
}

/// Reads this many bytes, in parts of the size of `chunk`.
///
/// # Errors
///
/// The input ends before, or fails.
pub fn pass(
    input: &mut dyn Read,
    bytes: u64,
    chunk: &mut [u8],
    hasher: &mut ContentHasher,
) -> io::Result<()> {
    let end = hasher.bytes() + bytes;
    while hasher.bytes() < end {
        let missing = usize::try_from(end - hasher.bytes()).unwrap_or(usize::MAX);
        let length = missing.min(chunk.len());
        let chunk = &mut chunk[..length];
        match input.read(chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => hasher.update(&chunk[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[u8]) -> Content {
        let mut hasher = ContentHasher::default();
        hasher.update(bytes);
        hasher.content()
    }

    fn inputs(known: &[&[u8]]) -> KnownInputs {
        let known = known.iter().zip(1..).map(|(bytes, number)| Known {
            number,
            content: content(bytes),
            records: 1,
        });
        KnownInputs::new(known, 100)
    }

    /// The number of the input that these bytes begin with, and how many bytes that took.
    fn find(inputs: &KnownInputs, mut bytes: &[u8]) -> (Option<u64>, usize) {
        let before = bytes.len();
        let found = inputs.find(&mut bytes).map(|known| known.number);
        (found, before - bytes.len())
    }

    #[test]
    fn ar_3_the_longest_beginning_is_found() {
        let text: Vec<u8> = (0..300_000_u32).map(|n| (n % 253) as u8).collect();
        for lengths in [
            [1, 5, 8],
            [100, 128, 129],
            [3, 70_000, 250_000],
            [65_536, 65_537, 200_000],
        ] {
            let inputs = inputs(&lengths.map(|length| &text[..length]));
            for (number, &length) in (1..).zip(&lengths) {
                assert_eq!(find(&inputs, &text[..length]).0, Some(number), "{length}");
                let before = (number > 1).then(|| number - 1);
                assert_eq!(find(&inputs, &text[..length - 1]).0, before, "{length}");
                let mut other = text[..length].to_vec();
                other[length - 1] ^= 1;
                assert_eq!(find(&inputs, &other).0, before, "{length}");
            }
            assert_eq!(find(&inputs, &text).0, Some(3));
            assert_eq!(find(&inputs, b"").0, None);
        }
        assert_eq!(find(&inputs(&[]), &text).0, None);
    }

    #[test]
    fn ar_3_an_input_without_its_last_line_break_is_known() {
        for length in [
            1, 2, 5, 63, 64, 1_023, 1_024, 65_534, 65_535, 65_536, 200_000,
        ] {
            let text = vec![b'x'; length];
            for end in ["\n", "\r\n"] {
                let whole = [&text, end.as_bytes()].concat();
                let known = inputs(&[&whole]);
                let mut cut = &text[..];
                let found = known.find(&mut cut).unwrap();
                assert_eq!((found.number, found.content), (1, content(&text)));
                assert_eq!(find(&known, &whole).0, Some(1));
                assert_eq!(find(&known, &text[1..]).0, None);
                assert_eq!(find(&known, &[&text[..], b"y"].concat()).0, None);
            }
        }
    }

    #[test]
    fn ar_3_an_input_whose_first_bytes_are_new_is_not_read_on() {
        let text = vec![b'x'; 10 << 20];
        let mut other = text.clone();
        other[60_000] = b'y';
        let inputs = inputs(&[&text]);
        assert_eq!(find(&inputs, &other), (None, 64 << 10));
        assert_eq!(find(&inputs, &text), (Some(1), 10 << 20));
    }

    #[test]
    fn ar_3_thousands_of_short_inputs_are_told_apart_in_one_pass() {
        let day = |day: u32| format!("{{\"day\":{day}}}\n").repeat(30).into_bytes();
        let days: Vec<_> = (0..3_000).map(day).collect();
        let inputs = inputs(&days.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for (number, day) in (1..).zip(&days) {
            assert_eq!(find(&inputs, day), (Some(number), day.len()));
        }
    }
}
