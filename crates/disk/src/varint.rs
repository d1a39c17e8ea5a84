//! Numbers and texts of variable length.
//!
//! A number takes seven bits a byte, the lowest first; the highest bit of a byte says that another
//! byte follows (LEB128). A signed number is written as zigzag, so that a small one of either sign
//! is short. A text follows its length in bytes.
//!
//! Functions named `put_…` append to a buffer. Functions named `take_…` read from the start of a
//! slice and move the slice past what they read; after an error the slice may be anywhere.
//!
//! ```
//! use idmerge_disk::varint;
//!
//! let mut bytes = Vec::new();
//! varint::put(&mut bytes, 300);
//! varint::put_text(&mut bytes, "web");
//! assert_eq!(bytes, b"\xac\x02\x03web");
//!
//! let mut rest = &bytes[..];
//! assert_eq!(varint::take(&mut rest), Ok(300));
//! assert_eq!(varint::take_text(&mut rest), Ok("web"));
//! assert!(rest.is_empty());
//! ```

use thiserror::Error;

/// Bytes that are not what was to be read from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum VarintError {
    /// The bytes end before the number or the text does.
    EndsEarly,
    /// The number has more than 64 bits.
    TooLarge,
    /// The text is not UTF-8.
    NotUtf8,
}

impl VarintError {
    /// The error as a static text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndsEarly => "it ends early",
            Self::TooLarge => "a number that is too large",
            Self::NotUtf8 => "a text that is not UTF-8",
        }
    }
}

/// Appends a number: 1 byte below 128, at most 10 bytes.
pub fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(low & 0x7f);
        }
        bytes.push(low | 0x80);
    }
}

/// Appends a signed number: 1 byte from -64 to 63, at most 10 bytes.
pub fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    let zigzag = (number << 1) ^ (number >> 63);
    put(bytes, zigzag.cast_unsigned());
}

/// Appends a text after its length.
pub fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Reads what [`put`] wrote.
///
/// # Errors
///
/// [`VarintError::EndsEarly`] and [`VarintError::TooLarge`].
pub fn take(bytes: &mut &[u8]) -> Result<u64, VarintError> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(VarintError::EndsEarly)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(VarintError::TooLarge);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(VarintError::TooLarge)
}

/// Reads what [`put_signed`] wrote.
///
/// # Errors
///
/// Those of [`take`].
pub fn take_signed(bytes: &mut &[u8]) -> Result<i64, VarintError> {
    let zigzag = take(bytes)?;
    Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
}

/// Reads what [`put_text`] wrote.
///
/// # Errors
///
/// Those of [`take`], and [`VarintError::NotUtf8`].
pub fn take_text<'b>(bytes: &mut &'b [u8]) -> Result<&'b str, VarintError> {
    let length = take(bytes)?;
    take_str(bytes, length)
}

/// Reads a text of this many bytes, for a format that keeps the length in another way.
///
/// # Errors
///
/// [`VarintError::EndsEarly`] and [`VarintError::NotUtf8`].
pub fn take_str<'b>(bytes: &mut &'b [u8], length: u64) -> Result<&'b str, VarintError> {
    let length = usize::try_from(length).map_err(|_| VarintError::EndsEarly)?;
    let (text, rest) = bytes
        .split_at_checked(length)
        .ok_or(VarintError::EndsEarly)?;
    *bytes = rest;
    str::from_utf8(text).map_err(|_| VarintError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_has_as_many_bytes_as_it_needs() {
        for (number, bytes) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[128, 1]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut written = Vec::new();
            put(&mut written, number);
            assert_eq!(written, bytes);
            assert_eq!(take(&mut &*bytes), Ok(number));
        }
    }

    #[test]
    fn a_number_that_is_cut_off_or_has_more_than_64_bits_is_an_error() {
        assert_eq!(take(&mut &[][..]), Err(VarintError::EndsEarly));
        assert_eq!(take(&mut &[128][..]), Err(VarintError::EndsEarly));
        for wrong in [
            &[255, 255, 255, 255, 255, 255, 255, 255, 255, 2][..],
            &[128; 11],
        ] {
            assert_eq!(take(&mut &*wrong), Err(VarintError::TooLarge), "{wrong:?}");
        }
    }

    #[test]
    fn a_small_number_of_either_sign_is_one_byte() {
        for (number, byte) in [(0, 0), (-1, 1), (1, 2), (-64, 127), (63, 126)] {
            let mut written = Vec::new();
            put_signed(&mut written, number);
            assert_eq!(written, [byte]);
        }
    }

    #[test]
    fn a_text_that_is_cut_off_or_not_utf_8_is_an_error() {
        assert_eq!(take_text(&mut &b"\x03we"[..]), Err(VarintError::EndsEarly));
        assert_eq!(take_text(&mut &b"\x01\xff"[..]), Err(VarintError::NotUtf8));
        let longer_than_memory = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        let read = take_text(&mut &longer_than_memory[..]);
        assert_eq!(read, Err(VarintError::EndsEarly));
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(
            number in any::<u64>(),
            signed in any::<i64>(),
            text in "\\PC{0,200}",
            after in any::<u8>(),
        ) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            put_signed(&mut bytes, signed);
            put_text(&mut bytes, &text);
            bytes.push(after);
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Ok(number));
            prop_assert_eq!(take_signed(&mut rest), Ok(signed));
            prop_assert_eq!(take_text(&mut rest), Ok(&*text));
            prop_assert_eq!(rest, [after]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = &bytes[..];
            while take_text(&mut rest).is_ok() {}
            let mut rest = &bytes[..];
            while take_signed(&mut rest).is_ok() {}
        }
    }
}
