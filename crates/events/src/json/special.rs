//! Finds the special bytes of a text, which end a run of plain characters in a JSON string: quotation
//! marks, backslashes and control characters. It looks at 64 bytes at a time, so that most strings
//! cost a shift and a count.

use wide::u8x16;

/// How many bytes are looked at together: one for each bit of a word.
const WINDOW_BYTES: usize = u64::BITS as usize;

/// Finds special bytes from left to right: those that end a run of plain characters in a JSON string, and `ALSO`.
///
/// ```
/// let text = b"one,\"two\"";
/// let mut special = idmerge_events::SpecialBytes::<b','>::new(text);
/// assert_eq!([0, 4, 5].map(|at| special.next(text, at)), [3, 4, 8]);
/// assert_eq!(special.next(text, 9), text.len());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SpecialBytes<const ALSO: u8 = b'"'> {
    /// The offset of the window in the text.
    start: usize,
    /// One bit for each byte of the window, the first byte lowest: whether it is special and was not
    /// returned yet.
    bits: u64,
}

impl<const ALSO: u8> SpecialBytes<ALSO> {
    /// Nothing is found yet.
    pub fn new(text: &[u8]) -> Self {
        Self {
            start: 0,
            bits: special_bits::<ALSO>(text, 0),
        }
    }

    /// The offset of the first special byte at `at` or after it, or the length of the text if there
    /// is none. Each one is returned once, so `at` must be greater than the last returned offset.
    #[inline(always)]
    pub fn next(&mut self, text: &[u8], at: usize) -> usize {
        loop {
            if self.bits == 0 {
                *self = find_more::<ALSO>(text, self.start);
                if self.bits == 0 {
                    return text.len();
                }
            }
            let found = self.start + self.bits.trailing_zeros() as usize;
            self.bits &= self.bits - 1;
            if found >= at {
                return found;
            }
        }
    }
}

/// The next window that has special bytes, or a window without any if there are no more. Takes and
/// returns values instead of references, so that the caller can keep its own in registers.
#[inline(never)]
fn find_more<const ALSO: u8>(text: &[u8], mut start: usize) -> SpecialBytes<ALSO> {
    loop {
        start += WINDOW_BYTES;
        if start >= text.len() {
            // Stay before the next window, however often this is called.
            return SpecialBytes {
                start: start - WINDOW_BYTES,
                bits: 0,
            };
        }
        let bits = special_bits::<ALSO>(text, start);
        if bits != 0 {
            return SpecialBytes { start, bits };
        }
    }
}

/// Whether a text needs no escapes in a JSON string.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let (quarters, _) = text.as_chunks();
    let are_plain = quarters
        .iter()
        .all(|quarter| special_bits_of_quarter::<b'"'>(quarter) == 0);
    // The last bytes overlap those before: most texts are short, and a loop over bytes takes most of the time.
    let last = match (text.last_chunk(), text.first_chunk(), text.last_chunk()) {
        (Some(last), ..) => *last,
        (None, Some(first), Some(last)) => joined::<8>(*first, *last),
        _ => return text.iter().all(|byte| !is_special(*byte)),
    };
    are_plain && special_bits_of_quarter::<b'"'>(&last) == 0
}

#[inline]
fn joined<const HALF: usize>(first: [u8; HALF], last: [u8; HALF]) -> [u8; 16] {
    let mut both = [0; 16];
    both[..HALF].copy_from_slice(&first);
    both[HALF..].copy_from_slice(&last);
    both
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// The special bytes of the window at `start`. There are none past the end of the text.
#[inline(always)]
fn special_bits<const ALSO: u8>(text: &[u8], start: usize) -> u64 {
    if let Some(window) = text[start..].first_chunk() {
        return special_bits_of::<ALSO>(window);
    }
    // The end of the text: bytes before `start` fill the window, and are shifted out again.
    match text.last_chunk() {
        Some(window) => special_bits_of::<ALSO>(window) >> (start + WINDOW_BYTES - text.len()),
        None => {
            let mut window = [0; WINDOW_BYTES];
            let rest = &text[start..];
            window[..rest.len()].copy_from_slice(rest);
            special_bits_of::<ALSO>(&window) & !(!0 << rest.len())
        }
    }
}

#[inline]
fn special_bits_of<const ALSO: u8>(window: &[u8; WINDOW_BYTES]) -> u64 {
    let (quarters, _) = window.as_chunks();
    let [a, b, c, d] =
        [0, 1, 2, 3].map(|quarter| special_bits_of_quarter::<ALSO>(&quarters[quarter]));
    a | b << 16 | c << 32 | d << 48
}

/// Uses vectors of 16 bytes, which every x86-64 and ARM64 processor has.
#[inline]
fn special_bits_of_quarter<const ALSO: u8>(quarter: &[u8; 16]) -> u64 {
    u64::from(special_bits_of_sixteen::<ALSO>(u8x16::new(*quarter)))
}

/// A bit for each of sixteen bytes, the first one lowest: whether it is special.
#[inline(always)]
pub(super) fn special_bits_of_sixteen<const ALSO: u8>(bytes: u8x16) -> u32 {
    let is_control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    let is_quotation_mark = bytes.simd_eq(u8x16::splat(b'"'));
    let is_backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    let mut is_special = is_control | is_quotation_mark | is_backslash;
    if ALSO != b'"' {
        is_special |= bytes.simd_eq(u8x16::splat(ALSO));
    }
    is_special.to_bitmask()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_is_special_or_not_at_every_position() {
        for byte in 0..=u8::MAX {
            for at in 0..WINDOW_BYTES {
                let mut window = [b' '; WINDOW_BYTES];
                window[at] = byte;
                let bits = u64::from(is_special(byte)) << at;
                assert_eq!(special_bits_of::<b'"'>(&window), bits, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn no_byte_past_the_end_is_special() {
        for bytes in [0, 1, 63, 64, 65, 127] {
            let text = vec![b' '; bytes];
            for start in (0..bytes).step_by(WINDOW_BYTES) {
                assert_eq!(
                    special_bits::<b'"'>(&text, start),
                    0,
                    "{bytes} from {start}"
                );
            }
        }
    }

    #[test]
    fn a_short_text_is_plain_if_no_byte_is_special() {
        for bytes in 0..40 {
            let mut text = vec![b' '; bytes];
            assert!(is_plain(&text), "{bytes}");
            for at in 0..bytes {
                text[at] = b'\\';
                assert!(!is_plain(&text), "{bytes} at {at}");
                text[at] = b' ';
            }
        }
    }

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            20 => Just(b'a'),
            1 => prop::sample::select(&b"Z\"\\\x1f\x20\x21\x23\x00\x80\xff"[..]),
            1 => any::<u8>(),
        ];
        prop::collection::vec(byte, 0..300)
    }

    proptest! {
        #[test]
        fn a_text_is_plain_if_no_byte_is_special(bytes in any_bytes()) {
            let is_any = bytes.iter().any(|&byte| is_special(byte));
            prop_assert_eq!(is_plain(&bytes), !is_any);
        }

        #[test]
        fn each_byte_of_a_window_has_its_bit(bytes in any::<[[u8; 16]; 4]>()) {
            let window: &[u8; WINDOW_BYTES] = bytes.as_flattened().try_into().unwrap();
            let bits = window.iter().rev().fold(0, |bits, &byte| bits << 1 | u64::from(is_special(byte)));
            prop_assert_eq!(special_bits_of::<b'"'>(window), bits);
        }

        #[test]
        fn special_bytes_are_found_from_left_to_right(
            bytes in any_bytes(),
            steps in prop::collection::vec(1..90_usize, 1..20),
        ) {
            let mut special = SpecialBytes::<b'Z'>::new(&bytes);
            let mut at = 0;
            for step in steps {
                if at > bytes.len() {
                    break;
                }
                let is_found = |&at: &usize| is_special(bytes[at]) || bytes[at] == b'Z';
                let next = (at..bytes.len()).find(is_found);
                let next = next.unwrap_or(bytes.len());
                prop_assert_eq!(special.next(&bytes, at), next);
                at = next + step;
            }
        }
    }
}
