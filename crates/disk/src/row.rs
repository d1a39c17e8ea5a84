//! Rows with a checksum.
//!
//! A row begins with the XXH3-64 of all bytes after it, in 8 bytes, little-endian. The hash is
//! seeded with the place of the row, such as its key, so that a good row in the wrong place is
//! noticed too.
//!
//! ```
//! use idmerge_disk::row;
//!
//! let mut bytes = row::start();
//! bytes.extend(b"some content");
//! let bytes = row::seal(7, bytes);
//! assert_eq!(row::open(7, &bytes), Some(&b"some content"[..]));
//! assert_eq!(row::open(8, &bytes), None);
//! ```

use twox_hash::XxHash3_64;

/// The length of the checksum that a row begins with.
pub const CHECKSUM_BYTES: usize = 8;

/// A row without content: room for the checksum. Append the content, then [`seal`] it.
pub fn start() -> Vec<u8> {
    start_with_capacity(0)
}

/// As [`start`], with room for this many bytes of content.
pub fn start_with_capacity(content_bytes: usize) -> Vec<u8> {
    let mut row = Vec::with_capacity(CHECKSUM_BYTES + content_bytes);
    row.resize(CHECKSUM_BYTES, 0);
    row
}

/// Writes the checksum into the first bytes of a row that was begun with [`start`].
///
/// # Panics
///
/// If the row is shorter than a checksum.
#[must_use]
pub fn seal(place: u64, mut row: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(place, &row[CHECKSUM_BYTES..]);
    row[..CHECKSUM_BYTES].copy_from_slice(&checksum.to_le_bytes());
    row
}

/// The content of a row that was sealed for this place; `None` if the checksum is wrong or the row
/// is shorter than one.
pub fn open(place: u64, row: &[u8]) -> Option<&[u8]> {
    let (stored, content) = row.split_first_chunk()?;
    (u64::from_le_bytes(*stored) == checksum(place, content)).then_some(content)
}

/// The checksum of the content of a row in this place.
pub fn checksum(place: u64, content: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(place, content)
}

/// One number for the place of a row whose key is two.
pub fn place_of((number, part): (u64, u32)) -> u64 {
    number.rotate_left(32) ^ u64::from(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_changed_cut_off_or_elsewhere_does_not_open() {
        let mut row = start();
        row.extend(1..=20);
        let row = seal(5, row);
        assert_eq!(open(5, &row).map(<[u8]>::len), Some(20));
        assert_eq!(open(6, &row), None);
        for at in 0..row.len() {
            let mut changed = row.clone();
            changed[at] ^= 1;
            assert_eq!(open(5, &changed), None, "{at}");
            assert_eq!(open(5, &row[..at]), None, "{at}");
        }
    }

    #[test]
    fn a_row_may_have_no_content() {
        assert_eq!(open(5, &seal(5, start())), Some(&[][..]));
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut row = start_with_capacity(3);
        row.extend(b"abc");
        let checksum = XxHash3_64::oneshot_with_seed(7, b"abc").to_le_bytes();
        assert_eq!(seal(7, row), [&checksum[..], b"abc"].concat());
        assert_eq!(place_of((1, 2)), 1 << 32 | 2);
    }
}
