//! Decodes bytes as UTF-8, also from senders that do not write valid UTF-8 (IN-7, IN-8).

use std::borrow::Cow;
use std::ops::Range;

use crate::problem::Problem;

/// The text of a request, and where it replaces bytes that are not UTF-8.
#[derive(Clone, Debug)]
pub(crate) struct DecodedText<'b> {
    text: Cow<'b, str>,
    /// The positions of the replacement characters that were not sent.
    lost: BitSet,
}

impl<'b> DecodedText<'b> {
    /// Decodes a text. Bytes that are UTF-8 are checked once and not copied.
    ///
    /// Other bytes become U+FFFD: one for the three bytes of half a UTF-16 pair, and one for each
    /// invalid sequence, as the Unicode standard recommends. If `joins_halves`, two such halves
    /// in a row become the character that they are halves of.
    ///
    /// # Errors
    ///
    /// [`Problem::TooLarge`] if U+FFFD, which has three bytes, makes the text too long.
    pub(crate) fn decode(
        bytes: Cow<'b, [u8]>,
        joins_halves: bool,
        max_body_bytes: usize,
    ) -> Result<Self, Problem> {
        let text = match bytes {
            Cow::Borrowed(bytes) => str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|_| bytes.into()),
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .map(Cow::Owned)
                .map_err(|error| Cow::Owned(error.into_bytes())),
        };
        match text {
            Ok(text) => Ok(Self {
                text,
                lost: BitSet::default(),
            }),
            Err(bytes) => replaced(&bytes, joins_halves, max_body_bytes),
        }
    }

    /// A text that was UTF-8, so nothing in it was replaced.
    pub(crate) fn of_text(text: &'b str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            lost: BitSet::default(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Another text that was made of this one. It is not known which replacement characters in it were
    /// sent, so all of them count as lost if there are lost ones here.
    pub(crate) fn converted(&self, text: String) -> DecodedText<'static> {
        let mut lost = BitSet::default();
        if !self.lost.is_empty() {
            for (position, _) in text.match_indices(char::REPLACEMENT_CHARACTER) {
                lost.insert(position);
            }
        }
        DecodedText {
            text: Cow::Owned(text),
            lost,
        }
    }

    pub(crate) fn into_string(self) -> String {
        self.text.into_owned()
    }

    /// The range of a part of the text, in bytes. `None` if it is not a part of it.
    pub(crate) fn range(&self, part: &str) -> Option<Range<usize>> {
        let start = part.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        let range = start..start.wrapping_add(part.len());
        (self.text.get(range.clone()) == Some(part)).then_some(range)
    }

    /// Whether bytes of this part of the text were not UTF-8.
    pub(crate) fn has_lost(&self, part: &str) -> bool {
        !self.lost.is_empty()
            && self
                .range(part)
                .is_some_and(|range| self.lost.has_any(range))
    }
}

#[cold]
fn replaced(
    bytes: &[u8],
    joins_halves: bool,
    max_body_bytes: usize,
) -> Result<DecodedText<'static>, Problem> {
    let mut text = String::with_capacity(bytes.len());
    let mut lost = BitSet::default();
    let mut rest = bytes;
    while text.len() <= max_body_bytes
        && let Some(chunk) = rest.utf8_chunks().next()
    {
        text.push_str(chunk.valid());
        rest = &rest[chunk.valid().len()..];
        let halves = [half(rest), rest.get(3..).and_then(half)];
        let (character, bytes) = match (halves, chunk.invalid().len()) {
            (_, 0) => break,
            ([Some(high), Some(low)], _) if joins_halves && joined(high, low).is_some() => {
                (joined(high, low), 6)
            }
            ([Some(_), _], _) => (None, 3),
            (_, bytes) => (None, bytes),
        };
        rest = &rest[bytes..];
        if character.is_none() {
            lost.insert(text.len());
        }
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    if text.len() > max_body_bytes {
        return Err(Problem::TooLarge { max_body_bytes });
    }
    Ok(DecodedText {
        text: Cow::Owned(text),
        lost,
    })
}

/// The UTF-16 code unit that the bytes begin with, if it is half of a pair, in the three bytes that
/// UTF-8 would give it.
fn half(bytes: &[u8]) -> Option<u16> {
    match *bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f))
        }
        _ => None,
    }
}

fn joined(high: u16, low: u16) -> Option<char> {
    char::decode_utf16([high, low]).next()?.ok()
}

/// A set of positions. A bit for each byte of the text is less than a list of positions, if a
/// hostile sender loses every byte.
#[derive(Clone, Debug, Default)]
struct BitSet(Vec<u64>);

impl BitSet {
    fn insert(&mut self, position: usize) {
        let word = position / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (position % 64);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has_any(&self, range: Range<usize>) -> bool {
        let first = range.start / 64;
        let words = self.0.iter().enumerate().skip(first);
        words
            .take_while(|(word, _)| word * 64 < range.end)
            .any(|(word, bits)| {
                let start = range.start.saturating_sub(word * 64);
                let end = (range.end - word * 64).min(64);
                // Neither shift is by 64: a word begins before the end and ends after the start.
                start < end && bits >> start << start << (64 - end) != 0
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_set_finds_every_position() {
        let mut positions = BitSet::default();
        for position in [0, 63, 64, 200] {
            positions.insert(position);
        }
        for start in 0..260 {
            for end in start..260 {
                let wanted = [0, 63, 64, 200]
                    .iter()
                    .any(|position| (start..end).contains(position));
                assert_eq!(positions.has_any(start..end), wanted, "{start}..{end}");
            }
        }
    }

    #[test]
    fn halves_are_joined_only_if_asked_for() {
        let bytes = b"a\xed\xa0\xbc\xed\xbd\x94";
        for (joins_halves, wanted) in [(true, "a\u{1f354}"), (false, "a\u{fffd}\u{fffd}")] {
            let text = DecodedText::decode(bytes.into(), joins_halves, 100).unwrap();
            assert_eq!(text.as_str(), wanted);
            assert_eq!(text.has_lost(text.as_str()), !joins_halves);
            assert!(!text.has_lost(&text.as_str()[..1]));
            assert!(!text.has_lost("another text"));
        }
    }

    #[test]
    fn a_replacement_character_that_was_sent_is_not_lost() {
        let text = DecodedText::decode(b"\xef\xbf\xbd|\xff".as_slice().into(), true, 100).unwrap();
        let (sent, lost) = text.as_str().split_once('|').unwrap();
        assert_eq!(sent, lost);
        assert!(!text.has_lost(sent) && text.has_lost(lost));
    }
}
