//! Frames: what one commit adds to the journal.

use idmerge_disk::row;

/// A frame begins at a multiple of this. A disk that is cut off while it writes a page may lose all of that page, and
/// no acknowledged frame is in it.
pub(crate) const PAGE_BYTES: usize = 4_096;

/// The bytes before the parts: the checksum, the epoch, and the length of the parts.
const HEAD_BYTES: usize = row::CHECKSUM_BYTES + 16 + 4;

/// The bytes of a part before its entries.
const PART_HEAD_BYTES: usize = 8 + 4 * 4;

/// The entries that a commit adds to one block of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part<'b> {
    /// The number of the first entry of the block.
    pub(crate) first: u64,
    /// How many entries the block had before, and in how many bytes.
    pub(crate) entries_before: u32,
    pub(crate) bytes_before: usize,
    /// How many entries are added, and their bytes as in the block.
    pub(crate) entries: u32,
    pub(crate) bytes: &'b [u8],
}

/// The bytes of a frame with these parts.
pub(crate) fn length<'b>(parts: impl Iterator<Item = Part<'b>>) -> usize {
    HEAD_BYTES
        + parts
            .map(|part| PART_HEAD_BYTES + part.bytes.len())
            .sum::<usize>()
}

/// Writes a frame into an empty buffer. `None` if a length does not fit the format.
pub(crate) fn encode<'b>(
    mut buffer: Vec<u8>,
    epoch: u128,
    offset: u64,
    parts: impl Iterator<Item = Part<'b>>,
) -> Option<Vec<u8>> {
    buffer.clear();
    buffer.resize(row::CHECKSUM_BYTES, 0);
    buffer.extend(epoch.to_le_bytes());
    buffer.extend([0; 4]);
    for part in parts {
        buffer.extend(part.first.to_le_bytes());
        for number in [
            part.entries_before,
            u32::try_from(part.bytes_before).ok()?,
            part.entries,
            u32::try_from(part.bytes.len()).ok()?,
        ] {
            buffer.extend(number.to_le_bytes());
        }
        buffer.extend(part.bytes);
    }
    let length = u32::try_from(buffer.len() - HEAD_BYTES).ok()?;
    buffer[HEAD_BYTES - 4..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
    Some(row::seal(offset, buffer))
}

/// The parts of the whole frame of this epoch at the start of `bytes`, and the length of the frame. `None` if there is
/// none. The checksum is seeded with the offset, so that a frame in another place counts as none.
pub(crate) fn decode(epoch: u128, offset: u64, bytes: &[u8]) -> Option<(Vec<Part<'_>>, usize)> {
    let head = bytes.get(row::CHECKSUM_BYTES..HEAD_BYTES)?;
    let (found, length) = head.split_first_chunk()?;
    if u128::from_le_bytes(*found) != epoch {
        return None;
    }
    let parts = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let length = HEAD_BYTES.checked_add(parts)?;
    row::open(offset, bytes.get(..length)?)?;
    let mut rest = &bytes[HEAD_BYTES..length];
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (first, after) = rest.split_first_chunk()?;
        let (numbers, after) = after.split_first_chunk::<16>()?;
        let (numbers, _) = numbers.as_chunks::<4>();
        let [entries_before, bytes_before, entries, length] =
            [0, 1, 2, 3].map(|at| u32::from_le_bytes(numbers[at]));
        let (bytes, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        parts.push(Part {
            first: u64::from_le_bytes(*first),
            entries_before,
            bytes_before: usize::try_from(bytes_before).ok()?,
            entries,
            bytes,
        });
        rest = after;
    }
    Some((parts, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part<'_>; 2] = [
        Part {
            first: 7,
            entries_before: 2,
            bytes_before: 30,
            entries: 3,
            bytes: b"some entries",
        },
        Part {
            first: 12,
            entries_before: 0,
            bytes_before: 0,
            entries: 1,
            bytes: b"one more",
        },
    ];

    #[test]
    fn a_frame_has_its_parts_in_its_place_and_epoch_alone() {
        let frame = encode(vec![1, 2, 3], 5, 4_096, PARTS.into_iter()).unwrap();
        assert_eq!(frame.len(), length(PARTS.into_iter()));
        let longer = [&frame[..], b"of an earlier epoch"].concat();
        let found = decode(5, 4_096, &longer).unwrap();
        assert_eq!(found, (PARTS.to_vec(), frame.len()));
        assert_eq!(decode(6, 4_096, &frame), None);
        assert_eq!(decode(5, 8_192, &frame), None);
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1;
            assert_eq!(decode(5, 4_096, &changed), None, "{at}");
            assert_eq!(decode(5, 4_096, &frame[..at]), None, "{at}");
        }
    }
}
