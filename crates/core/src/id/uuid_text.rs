//! [`UuidText`]: the text of a UUID in 16 bytes. Most IDs that SDKs make are UUIDs, so this saves
//! most of their memory.

use std::fmt;

/// The text of a UUID, stored without loss in 16 bytes and one bit.
///
/// It is a UUID of RFC 9562 (the variant digit is 8, 9, a or b) with its four hyphens, nothing
/// around it, and all its letters in one case, upper or lower. Every other text, also a UUID in
/// mixed case, is [`IdForm::Text`](crate::IdForm::Text).
///
/// ```
/// use idmerge_core::UuidText;
///
/// let uuid = UuidText::new("5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E").unwrap();
/// assert!(uuid.is_upper_case());
/// assert_eq!(uuid.to_string(), "5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E");
/// assert!(UuidText::new("5C7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e").is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UuidText {
    /// The bytes, most significant first, as two numbers.
    words: [u64; 2],
    case: Case,
}

/// The case of the letters. Lower case if there are none.
///
/// It takes a whole word, so that an ID is copied in words. A copy of one byte and seven that mean nothing is read in
/// parts that were not written so, and the processor then waits until everything before has ended: among it the cache
/// misses of the lookup before, which could overlap with those of the next one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
enum Case {
    Lower,
    Upper,
}

impl Case {
    #[inline]
    fn upper_if(is_upper: bool) -> Self {
        if is_upper { Self::Upper } else { Self::Lower }
    }
}

/// The places of the hex digits among the 36 characters.
const GROUPS: [std::ops::Range<usize>; 5] = [0..8, 9..13, 14..18, 19..23, 24..36];
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// The two highest bits of the second word: they are in the variant digit.
const VARIANT: u64 = 0b10;
const VARIANT_SHIFT: u32 = 62;

impl UuidText {
    /// The length of the text in bytes: 36.
    pub const TEXT_BYTES: usize = 36;

    /// The UUID with this text, or `None` if the text has another form.
    pub fn new(text: &str) -> Option<Self> {
        let text: &[u8; Self::TEXT_BYTES] = text.as_bytes().try_into().ok()?;
        if HYPHENS.map(|at| text[at]) != [b'-'; 4] {
            return None;
        }
        let mut digits = [0; 32];
        let mut filled = 0;
        for group in GROUPS {
            let end = filled + group.len();
            digits[filled..end].copy_from_slice(&text[group]);
            filled = end;
        }

        // The loop has no branch, so that the compiler vectorises it.
        let (mut are_hex, mut upper, mut lower) = (true, false, false);
        let mut values = [0; 32];
        for (value, digit) in values.iter_mut().zip(digits) {
            let decimal = digit.wrapping_sub(b'0');
            let letter = (digit | 0x20).wrapping_sub(b'a');
            let (is_decimal, is_letter) = (decimal < 10, letter < 6);
            let is_lower = digit & 0x20 != 0;
            are_hex &= is_decimal | is_letter;
            lower |= is_letter & is_lower;
            upper |= is_letter & !is_lower;
            *value = if is_decimal {
                decimal
            } else {
                letter.wrapping_add(10)
            };
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(values.as_chunks::<2>().0) {
            *byte = (pair[0] << 4) | (pair[1] & 0xf);
        }
        // One 128-bit number first: the compiler generates far more instructions for the loops above if
        // the bytes are read as two numbers of 64 bits.
        let both = u128::from_be_bytes(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "each half has 64 bits")]
        let words = [(both >> 64) as u64, both as u64];
        let is_one = are_hex && !(upper && lower) && words[1] >> VARIANT_SHIFT == VARIANT;
        is_one.then_some(Self {
            words,
            case: Case::upper_if(upper),
        })
    }

    /// The UUID with these bytes, most significant first, as two numbers, and its letters in this
    /// case. `None` if the variant is not that of RFC 9562, or if upper case is given and there is
    /// no letter: a text without letters counts as lower case, so that each text has one form.
    #[inline]
    pub fn from_words(words: [u64; 2], is_upper_case: bool) -> Option<Self> {
        let is_one = words[1] >> VARIANT_SHIFT == VARIANT
            && (!is_upper_case || words.map(has_letters) != [false; 2]);
        is_one.then_some(Self {
            words,
            case: Case::upper_if(is_upper_case),
        })
    }

    /// The bytes of the UUID as two numbers, most significant first. The two highest bits of the
    /// second number are always 10 (the variant).
    #[inline]
    pub fn words(&self) -> [u64; 2] {
        self.words
    }

    /// Whether its letters are in upper case. `false` for a text without letters.
    #[inline]
    pub fn is_upper_case(&self) -> bool {
        self.case == Case::Upper
    }

    /// The version digit, 0 to 15.
    pub fn version(&self) -> u8 {
        self.bytes()[6] >> 4
    }

    fn bytes(&self) -> [u8; 16] {
        let [high, low] = self.words.map(u64::to_be_bytes);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high);
        bytes[8..].copy_from_slice(&low);
        bytes
    }

    /// The text.
    pub(crate) fn text_in<'b>(&self, text: &'b mut [u8; Self::TEXT_BYTES]) -> &'b str {
        let [high, low] = self.words;
        let mut digits = [0; 32];
        let parts = [high >> 32, high, low >> 32, low];
        for (eight, part) in digits.as_chunks_mut::<8>().0.iter_mut().zip(parts) {
            *eight = hex_digits(part, self.is_upper_case());
        }
        let mut used = 0;
        for group in GROUPS {
            let end = used + group.len();
            text[group].copy_from_slice(&digits[used..end]);
            used = end;
        }
        for at in HYPHENS {
            text[at] = b'-';
        }
        match str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => unreachable!("hex digits and hyphens are ASCII"),
        }
    }
}

/// The last eight hex digits of a number, all computed at once in the bytes of one.
fn hex_digits(number: u64, is_upper_case: bool) -> [u8; 8] {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    // Each digit gets a byte of its own.
    let number = number & 0xffff_ffff;
    let number = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    let number = (number << 8 | number) & 0x00ff_00ff_00ff_00ff;
    let values = (number << 4 | number) & (ONES * 0x0f);
    // 1 in the byte of each letter, since 10 + 6 is 16.
    let letters = (values + ONES * 6) >> 4 & ONES;
    let first = if is_upper_case { b'A' } else { b'a' };
    let digits = values + ONES * u64::from(b'0') + letters * u64::from(first - 10 - b'0');
    digits.to_be_bytes()
}

/// Whether a hex digit of the number is a letter (10 to 15).
fn has_letters(word: u64) -> bool {
    // A digit is 10 or more if bit 8 is set, and bit 4 or bit 2 as well.
    (word & (word << 1 | word << 2)) & 0x8888_8888_8888_8888 != 0
}

impl fmt::Display for UuidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text_in(&mut [0; Self::TEXT_BYTES]))
    }
}

impl fmt::Debug for UuidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text_in(&mut [0; Self::TEXT_BYTES]), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_comes_out_as_it_went_in(
            text in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ) {
            let is_upper_case = text.to_ascii_uppercase() != text;
            for (text, is_upper_case) in [
                (text.to_ascii_uppercase(), is_upper_case),
                (text, false),
            ] {
                let uuid = UuidText::new(&text).unwrap();
                prop_assert_eq!(uuid.to_string(), text);
                prop_assert_eq!(uuid.is_upper_case(), is_upper_case);
                prop_assert_eq!(UuidText::from_words(uuid.words(), is_upper_case), Some(uuid));
            }
        }

        #[test]
        fn what_is_taken_comes_out_as_it_went_in(
            groups in "[0-9A-Ga-g]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9A-Fa-f]{12}",
            at in 0..36_usize, byte in 0..0x80_u8,
        ) {
            let mut damaged = groups.clone().into_bytes();
            damaged[at] = byte;
            for text in [groups, String::from_utf8(damaged).unwrap()] {
                if let Some(uuid) = UuidText::new(&text) {
                    prop_assert_eq!(uuid.to_string(), text);
                }
            }
        }
    }

    #[test]
    fn other_texts_are_not_taken() {
        for text in [
            "",
            "5c7f0e7c6a524b269fb86c5a9f0f4c1e",
            "{5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e}",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1g",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1`",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1/",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1:",
            "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c\u{ff}",
            "5c7f0e7c-6a52-4b269-fb8-6c5a9f0f4c1e",
            // A variant of another standard.
            "5c7f0e7c-6a52-4b26-7fb8-6c5a9f0f4c1e",
            "5c7f0e7c-6a52-4b26-cfb8-6c5a9f0f4c1e",
            // Mixed case.
            "5C7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
        ] {
            assert_eq!(UuidText::new(text), None, "{text}");
        }
    }

    #[test]
    fn words_have_one_text() {
        let low = 0x9111_1111_1111_1111;
        assert!(UuidText::from_words([0x99, low], false).is_some());
        assert_eq!(UuidText::from_words([0x99, low], true), None);
        for letter in 0xa..=0xf {
            assert!(UuidText::from_words([letter << 60, low], true).is_some());
            assert!(UuidText::from_words([0, low | letter], true).is_some());
        }
        for other_variant in [0x1, 0x7, 0xc, 0xf] {
            let low = other_variant << 60;
            assert_eq!(UuidText::from_words([0xaa, low], false), None);
        }
    }

    #[test]
    fn the_version_is_a_digit() {
        let uuid = UuidText::new("5c7f0e7c-6a52-7b26-9fb8-6c5a9f0f4c1e").unwrap();
        assert_eq!(uuid.version(), 7);
        assert_eq!(
            format!("{uuid:?}"),
            "\"5c7f0e7c-6a52-7b26-9fb8-6c5a9f0f4c1e\""
        );
    }
}
