//! IDs by number: computed when needed, so that a hundred million of them need no memory.

use uuid::{Builder, fmt::Hyphenated};

/// The form of device IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// A UUIDv4 in lower case: 36 characters.
    Uuid,
    /// Hex groups that are not a UUID, as in many SDKs: 42 characters.
    Sdk,
}

impl Spelling {
    /// The length of an ID in bytes.
    pub const fn text_bytes(self) -> usize {
        match self {
            Self::Uuid => Hyphenated::LENGTH,
            Self::Sdk => 42,
        }
    }

    /// Appends the ID of the device with this number. Numbers below 2^48 give different IDs.
    pub fn write_device(self, number: u64, text: &mut String) {
        let (high, node) = (scattered(number), scattered_48(number));
        match self {
            Self::Uuid => {
                let middle = u128::from(!high & 0xffff);
                let bytes = (u128::from(high) << 64) | (middle << 48) | u128::from(node);
                let uuid = Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid();
                text.push_str(uuid.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]));
            }
            Self::Sdk => {
                let groups = [
                    (node, 12),
                    (high >> 32, 8),
                    (high & 0xfff_ffff, 7),
                    (!node, 12),
                ];
                for (place, (value, digits)) in groups.into_iter().enumerate() {
                    if place > 0 {
                        text.push('-');
                    }
                    write_hex(value, digits, text);
                }
            }
        }
    }
}

/// The length of a user ID in bytes.
pub const USER_TEXT_BYTES: usize = 13;

/// Appends the ID of the user with this number, which must be below 10^8.
pub fn write_user(number: u64, text: &mut String) {
    const BASE: u64 = 10;
    text.push_str("user-");
    for place in (0..8).rev() {
        let digit = number / BASE.pow(place) % BASE;
        text.push(char::from(b'0' + (digit % BASE) as u8));
    }
}

/// A number that looks random, and a different one for each input (the finalizer of `SplitMix64`).
pub fn scattered(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number below `end` that looks random.
pub fn scattered_below(number: u64, end: u64) -> u64 {
    let (_, high) = scattered(number).carrying_mul(end, 0);
    high
}

/// The same within 48 bits: each step can be reversed, so different inputs give different outputs.
fn scattered_48(number: u64) -> u64 {
    const MASK: u64 = (1 << 48) - 1;
    let number = number.wrapping_mul(0x9e37_79b9_7f4b) & MASK;
    let number = (number ^ (number >> 24)).wrapping_mul(0xd1b5_4a32_d193) & MASK;
    number ^ (number >> 24)
}

/// The last `digits` hex digits.
fn write_hex(value: u64, digits: u32, text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for place in (0..digits).rev() {
        let digit = (value >> (4 * place) & 0xf) as usize;
        text.push(char::from(DIGITS[digit]));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_number_has_its_own_id_of_the_right_form() {
        for spelling in [Spelling::Uuid, Spelling::Sdk] {
            let mut seen = BTreeSet::new();
            for number in (0..5_000).chain((0..5_000).map(|number| (1 << 27) - number)) {
                let mut text = String::new();
                spelling.write_device(number, &mut text);
                assert_eq!(text.len(), spelling.text_bytes());
                let version = Uuid::try_parse(&text)
                    .ok()
                    .map(|uuid| uuid.get_version_num());
                let wanted = (spelling == Spelling::Uuid).then_some(4);
                assert_eq!(version, wanted, "{text}");
                assert!(seen.insert(text), "{number}");
            }
        }
    }

    #[test]
    fn a_user_is_a_decimal_number() {
        let mut text = String::new();
        write_user(12_345_678, &mut text);
        assert_eq!(text, "user-12345678");
        assert_eq!(text.len(), USER_TEXT_BYTES);
        text.clear();
        write_user(7, &mut text);
        assert_eq!(text, "user-00000007");
    }

    #[test]
    fn scattered_numbers_are_below_the_end_and_reach_it() {
        let numbers: BTreeSet<_> = (0..1_000)
            .map(|number| scattered_below(number, 10))
            .collect();
        assert_eq!(numbers, (0..10).collect());
    }
}
