//! The events that a pass has made of the records of another product, kept for the next pass, so that each
//! record is turned into events once.
//!
//! Keeping them saves time only. If they cannot be kept, as on a full disk, the next pass makes them again. They
//! are kept only while the disk has room for as much again: the output may be on the same disk, and is as large.

#[cfg(unix)]
use std::env;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use tempfile::SpooledTempFile;

use crate::spill::IN_MEMORY_BYTES;
use crate::stream::block::Block;

/// Keeps blocks, in their order.
#[derive(Debug)]
pub(crate) struct BlocksWriter {
    which: Which,
    /// `None` after writing has failed, or if there is too little room.
    file: Option<SpooledTempFile>,
    bytes: u64,
    /// The room is looked at again once there are this many bytes.
    next_look: u64,
    room: Room,
}

/// Which blocks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those whose events were made of the records of another product. If there are others, none.
    Adapted,
}

/// How many bytes there is room for in the folder of temporary files. `None` if that is not known.
type Room = fn() -> Option<u64>;

/// How many bytes are written between two looks at the room.
const LOOK_BYTES: u64 = 16 * 1024 * 1024;

/// Gives the blocks back.
#[derive(Debug)]
pub(crate) struct BlocksReader {
    file: BufReader<SpooledTempFile>,
    bytes: u64,
}

impl BlocksWriter {
    pub(crate) fn new(which: Which) -> Self {
        Self::to(SpooledTempFile::new(IN_MEMORY_BYTES), room, which)
    }

    fn to(file: SpooledTempFile, room: Room, which: Which) -> Self {
        Self {
            which,
            file: Some(file),
            bytes: 0,
            next_look: IN_MEMORY_BYTES as u64,
            room,
        }
    }

    /// Adds the block with this number.
    pub(crate) fn add(&mut self, number: u64, block: &Block) {
        if self.which == Which::Adapted && block.adapted.is_none() {
            self.file = None;
        }
        self.bytes += block.bytes().len() as u64;
        if let Some(file) = &mut self.file
            && (write(number, block, file).is_err() || !self.has_room())
        {
            // This frees the disk too.
            self.file = None;
        }
    }

    /// Whether there is room for as much again as was written.
    fn has_room(&mut self) -> bool {
        if self.bytes < self.next_look {
            return true;
        }
        self.next_look = self.bytes + LOOK_BYTES;
        (self.room)().is_none_or(|room| room >= self.bytes)
    }

    /// Returns what was added. `None` if nothing was kept.
    pub(crate) fn read(self) -> Option<BlocksReader> {
        let mut file = self.file?;
        file.rewind().ok()?;
        Some(BlocksReader {
            file: BufReader::new(file),
            bytes: self.bytes,
        })
    }
}

#[cfg(unix)]
fn room() -> Option<u64> {
    let disk = rustix::fs::statvfs(env::temp_dir()).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn room() -> Option<u64> {
    None
}

fn write(number: u64, block: &Block, file: &mut impl Write) -> io::Result<()> {
    let bytes = block.bytes();
    let mut header = [0; HEADER_BYTES];
    let numbers = [number, block.input as u64, bytes.len() as u64];
    let (places, starts_input) = header.as_chunks_mut();
    for (place, number) in places.iter_mut().zip(numbers) {
        *place = number.to_le_bytes();
    }
    starts_input[0] = block.starts_input.into();
    file.write_all(&header)?;
    file.write_all(bytes)
}

/// The number of the block, its input, its length, and whether it is the first of its input.
const HEADER_BYTES: usize = 3 * size_of::<u64>() + 1;

impl BlocksReader {
    /// How many bytes all blocks have.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the next block, and returns its number. `None` at the end.
    pub(crate) fn next(&mut self, block: &mut Block) -> io::Result<Option<u64>> {
        block.clear();
        if self.file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact(&mut header)?;
        let (numbers, starts_input) = header.as_chunks();
        let [number, input, bytes] = std::array::from_fn(|at| u64::from_le_bytes(numbers[at]));
        let size = |number: u64| usize::try_from(number).map_err(io::Error::other);
        block.input = size(input)?;
        block.starts_input = starts_input == [1];
        block.read_exact(size(bytes)?, &mut self.file)?;
        Ok(Some(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_comes_back_with_its_number_its_input_and_its_bytes() {
        let blocks: Vec<_> = (0..40_u8)
            .map(|number| {
                let mut block = Block::of(&vec![number; usize::from(number) * 1_000]);
                block.input = usize::from(number / 10);
                block.starts_input = number % 10 == 0;
                (u64::from(number) * 3, block)
            })
            .collect();
        // In memory and in a file.
        for in_memory_bytes in [IN_MEMORY_BYTES, 0] {
            let file = SpooledTempFile::new(in_memory_bytes);
            let mut writer = BlocksWriter::to(file, room, Which::All);
            for (number, block) in &blocks {
                writer.add(*number, block);
            }
            let mut reader = writer.read().unwrap();
            let mut back = Block::of(b"of another block");
            for (number, block) in &blocks {
                assert_eq!(reader.next(&mut back).unwrap(), Some(*number));
                assert_eq!(back.bytes(), block.bytes());
                assert_eq!(back.input, block.input);
                assert_eq!(back.starts_input, block.starts_input);
            }
            assert_eq!(reader.next(&mut back).unwrap(), None);
        }
    }

    #[test]
    fn blocks_are_kept_while_the_disk_has_room_for_as_much_again() {
        let kept = |room: Room| {
            let file = SpooledTempFile::new(IN_MEMORY_BYTES);
            let mut writer = BlocksWriter::to(file, room, Which::All);
            let block = Block::of(&vec![b'x'; 1024 * 1024]);
            (0..40_u64)
                .take_while(|number| {
                    writer.add(*number, &block);
                    writer.file.is_some()
                })
                .count()
        };
        assert_eq!(kept(|| None), 40);
        assert_eq!(kept(|| Some(40 << 20)), 40);
        // At 4 MiB there is room, at 20 MiB there is less than that.
        assert_eq!(kept(|| Some(19 << 20)), 19);
        assert_eq!(kept(|| Some(0)), 3);
    }

    #[test]
    fn blocks_that_were_cut_off_are_an_error_and_no_end() {
        let mut writer = BlocksWriter::new(Which::All);
        writer.add(0, &Block::of(b"a\n"));
        let file = writer.file.as_mut().unwrap();
        file.write_all(&[0; HEADER_BYTES - 1]).unwrap();
        let mut reader = writer.read().unwrap();
        let mut block = Block::default();
        assert_eq!(reader.next(&mut block).unwrap(), Some(0));
        assert!(reader.next(&mut block).is_err());
    }
}
