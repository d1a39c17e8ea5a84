//! An ID in 16 bytes.

use idmerge_core::{Id, IdForm, UuidText};

use crate::texts::TextSpan;

/// The form in which a table stores an ID: always 16 bytes.
///
/// ```text
/// UUID        the two words of its `UuidText`, with the case in the variant of the second word
/// short text  up to 15 bytes, padded with zeros, then the length
/// long text   the hash of the text, then its position in `Texts`
/// ```
///
/// The two highest bits of the last byte are the tag that says which of the three it is. In a UUID
/// these bits are the variant, which is the same in every [`UuidText`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(8))]
pub(crate) struct Key([u8; 16]);

const TAG_SHIFT: u32 = 6;
const TAG_MASK: u8 = 0b11 << TAG_SHIFT;
const SHORT_TEXT: u8 = 0b00 << TAG_SHIFT;
const LONG_TEXT: u8 = 0b01 << TAG_SHIFT;
const UPPER_CASE_UUID: u8 = 0b11 << TAG_SHIFT;
/// The bit of a UUID's second word that is set if the UUID is in upper case.
const CASE_BIT: u64 = 1 << 62;

const SHORT_MAX_BYTES: usize = 15;

impl Key {
    /// The number of bytes.
    pub(crate) const BYTES: usize = 16;

    /// The key of an ID. `Err` has the text of an ID that does not fit into 16 bytes.
    #[inline]
    pub(crate) fn packed(id: Id<'_>) -> Result<Self, &str> {
        match id.form() {
            IdForm::Uuid(uuid) => {
                let [high, low] = uuid.words();
                let case = if uuid.is_upper_case() { CASE_BIT } else { 0 };
                Ok(Self::of_words(high, low | case))
            }
            IdForm::Text(text) if text.len() <= SHORT_MAX_BYTES => Ok(Self::of_short(text)),
            IdForm::Text(text) => Err(text),
        }
    }

    fn of_short(text: &str) -> Self {
        let mut bytes = [0; 16];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes[15] = SHORT_TEXT | text.len().to_le_bytes()[0];
        Self(bytes)
    }

    #[inline]
    fn of_words(first: u64, second: u64) -> Self {
        let words = u128::from(second) << 64 | u128::from(first);
        Self(words.to_le_bytes())
    }

    /// The key of a long text that is stored at this position.
    pub(crate) fn of_long(hash: u64, span: TextSpan) -> Self {
        let tag = u64::from(LONG_TEXT) << (u64::BITS - u8::BITS);
        Self::of_words(hash, tag | span.to_bits())
    }

    /// The 16 bytes as two numbers.
    #[inline]
    pub(crate) fn words(&self) -> (u64, u64) {
        let (words, _) = self.0.as_chunks::<8>();
        (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
    }

    /// The hash and the position, if this is the key of a long text.
    #[inline]
    pub(crate) fn long(&self) -> Option<(u64, TextSpan)> {
        let (hash, span) = self.words();
        (self.0[15] & TAG_MASK == LONG_TEXT).then(|| (hash, TextSpan::from_bits(span)))
    }

    /// The key with these bytes, which may come from anywhere. `None` if no ID has this key: in particular, the
    /// text of a short one is UTF-8. The text of a long one is not looked at.
    #[inline]
    pub(crate) fn checked(bytes: [u8; 16]) -> Option<Self> {
        let key = Self(bytes);
        let tag = bytes[15] & TAG_MASK;
        let is_key = match tag {
            SHORT_TEXT => {
                let length = usize::from(bytes[15]);
                let is_padded = |(text, padding): (&[u8], &[u8])| {
                    str::from_utf8(text).is_ok() && padding.iter().all(|&byte| byte == 0)
                };
                (1..=SHORT_MAX_BYTES).contains(&length)
                    && bytes[..SHORT_MAX_BYTES]
                        .split_at_checked(length)
                        .is_some_and(is_padded)
            }
            LONG_TEXT => true,
            _ => {
                let (high, low) = key.words();
                let is_upper_case = tag == UPPER_CASE_UUID;
                UuidText::from_words([high, low & !CASE_BIT], is_upper_case).is_some()
            }
        };
        is_key.then_some(key)
    }

    /// The 16 bytes.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The ID that this key was made from. `text` gives the text of a long one.
    #[inline]
    pub(crate) fn id<'k>(
        &'k self,
        text: impl FnOnce(TextSpan) -> Option<&'k str>,
    ) -> Option<Id<'k>> {
        let last = self.0[15];
        match last & TAG_MASK {
            SHORT_TEXT => Id::new(self.short_text()).ok(),
            LONG_TEXT => {
                let (_, span) = self.words();
                Id::new(text(TextSpan::from_bits(span))?).ok()
            }
            tag => {
                let (high, low) = self.words();
                UuidText::from_words([high, low & !CASE_BIT], tag == UPPER_CASE_UUID).map(Id::from)
            }
        }
    }
}

impl Key {
    /// The text of a short-text key, without a second UTF-8 check: the check would be a sixth of
    /// all instructions of a lookup.
    #[inline]
    #[allow(unsafe_code, reason = "measured in the instruction count of a resolve")]
    fn short_text(&self) -> &str {
        debug_assert_eq!(self.0[15] & TAG_MASK, SHORT_TEXT);
        let bytes = usize::from(self.0[15]).min(SHORT_MAX_BYTES);
        // SAFETY: only `of_short` and `checked` make keys with this tag. The first has copied a whole
        // `str` of this length, the second has checked that these bytes are one. All other keys come from
        // `of_words` and have another tag: the variant of a UUID, which is never 00 or 01, or the tag of a
        // long text.
        unsafe { str::from_utf8_unchecked(&self.0[..bytes]) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::texts::Texts;

    /// Makes a key of a text, and the text of that key.
    fn there_and_back(text: &str) -> String {
        let mut texts = Texts::default();
        texts.push("an earlier text");
        let key = Key::packed(Id::new(text).unwrap())
            .unwrap_or_else(|text| Key::of_long(u64::MAX, texts.push(text).0));
        let long = key.long().map(|(hash, span)| (hash, texts.at(span)));
        let is_long = text.len() > SHORT_MAX_BYTES
            && !matches!(Id::new(text).unwrap().form(), IdForm::Uuid(_));
        assert_eq!(long, is_long.then_some((u64::MAX, text)));
        key.id(|span| Some(texts.at(span))).unwrap().to_string()
    }

    proptest! {
        #[test]
        fn a_key_gives_its_id_back(
            text in "\\PC{1,20}|[a-f0-9]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[7-9a-d][0-9a-f]{3}-[0-9a-f]{12}",
        ) {
            prop_assert_eq!(there_and_back(&text), &*text);
            let upper = text.to_uppercase();
            prop_assert_eq!(there_and_back(&upper), &*upper);
        }

        #[test]
        fn short_ids_have_different_keys(a in "[a\0]{1,5}", b in "[a\0]{1,5}") {
            let key = |text| Key::packed(Id::new(text).unwrap()).unwrap();
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }

    #[test]
    fn a_short_text_has_up_to_15_bytes() {
        for text in ["fifteen bytes !", "sixteen bytes !!", "\0"] {
            assert_eq!(there_and_back(text), text);
        }
    }
}
