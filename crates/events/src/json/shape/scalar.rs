//! Passes strings, numbers, `true`, `false` and `null`.

use wide::u8x16;

use super::literal::{CHUNK_BYTES, chunk_at};
use crate::json::scanner::Scanner;
use crate::json::special::special_bits_of_sixteen;

/// Where the scalar ends that begins at `at` in a text, which is padded with zeros. `None` if there is none.
#[inline(always)]
pub(super) fn end_of_scalar(text: &str, padded: &[u8], at: usize) -> Option<usize> {
    let end = match padded.get(at)? {
        b'"' => end_of_string(padded, at),
        b'1'..=b'9' => end_of_number(padded, at),
        _ => None,
    };
    match end {
        Some(end) => Some(end),
        None => scanned(text, at),
    }
}

#[inline(always)]
fn end_of_string(padded: &[u8], at: usize) -> Option<usize> {
    let mut from = at + 1;
    loop {
        let special = special_bits_of_sixteen::<b'"'>(chunk_at(padded, from)?);
        if special != 0 {
            let end = from + special.trailing_zeros() as usize;
            return (*padded.get(end)? == b'"').then_some(end + 1);
        }
        from += CHUNK_BYTES;
    }
}

/// An integer of a few digits.
#[inline(always)]
fn end_of_number(padded: &[u8], at: usize) -> Option<usize> {
    let values = chunk_at(padded, at)? - u8x16::splat(b'0');
    let are_digits = values.min(u8x16::splat(9)).simd_eq(values).to_bitmask();
    let end = at + are_digits.trailing_ones() as usize;
    matches!(padded.get(end)?, b',' | b'}' | b']').then_some(end)
}

/// Everything else.
#[cold]
#[inline(never)]
fn scanned(text: &str, at: usize) -> Option<usize> {
    let mut scanner = Scanner::new(text.get(at..)?);
    if matches!(scanner.peek(), b'{' | b'[') {
        return None;
    }
    let value = scanner.value()?.span;
    (value.start == 0).then(|| at + value.end)
}
