//! Passes strings, numbers, `true`, `false` and `null`.

use wide::u8x16;

use super::literal::{CHUNK_BYTES, SCALAR_BYTES};
use crate::json::scanner::Scanner;
use crate::json::special::special_bits_of_sixteen;

/// The length of the scalar that these bytes begin with. `None` if it is long, if it has escapes, or if it is none.
#[inline(always)]
pub(super) fn usual_bytes(found: &[u8; SCALAR_BYTES]) -> Option<usize> {
    let (first, rest) = found.split_first()?;
    match first {
        b'"' => {
            let (chunks, _) = rest.as_chunks();
            for (number, chunk) in chunks.iter().enumerate() {
                let special = special_bits_of_sixteen::<b'"'>(u8x16::new(*chunk));
                if special != 0 {
                    let text = number * CHUNK_BYTES + special.trailing_zeros() as usize;
                    return (rest.get(text) == Some(&b'"')).then_some(text + 2);
                }
            }
            None
        }
        b'0'..=b'9' => number_bytes(found),
        b't' => found.starts_with(b"true").then_some(4),
        b'f' => found.starts_with(b"false").then_some(5),
        b'n' => found.starts_with(b"null").then_some(4),
        _ => None,
    }
}

/// A number of a few digits, and perhaps a few after its point.
#[inline(always)]
fn number_bytes(found: &[u8; SCALAR_BYTES]) -> Option<usize> {
    let digits = digits_at(found, 0)?;
    if digits > 1 && found[0] == b'0' {
        return None;
    }
    let bytes = match found.get(digits)? {
        b'.' => match digits_at(found, digits + 1)? {
            0 => return None,
            decimals => digits + 1 + decimals,
        },
        _ => digits,
    };
    matches!(found.get(bytes)?, b',' | b'}' | b']').then_some(bytes)
}

/// How many digits there are at `at`, up to as many as a chunk has.
#[inline(always)]
fn digits_at(found: &[u8; SCALAR_BYTES], at: usize) -> Option<usize> {
    let values = u8x16::new(*found.get(at..)?.first_chunk()?) - u8x16::splat(b'0');
    let are_digits = values.min(u8x16::splat(9)).simd_eq(values).to_bitmask();
    Some(are_digits.trailing_ones() as usize)
}

/// The length of the scalar that begins at `at`, whatever it is, and whether it has escapes. `None` if there is none.
#[cold]
#[inline(never)]
pub(super) fn scanned(text: &str, at: usize) -> Option<(usize, bool)> {
    let mut scanner = Scanner::new(text.get(at..)?);
    if matches!(scanner.peek(), b'{' | b'[') {
        return None;
    }
    let value = scanner.value()?;
    (value.span.start == 0).then_some((value.span.end, value.is_escaped))
}
