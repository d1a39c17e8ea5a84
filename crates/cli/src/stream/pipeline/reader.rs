//! Reads the blocks of a pass: those of the inputs, or those that an earlier pass has kept.

use std::io;

use anyhow::Context;

use crate::spill::blocks::BlocksReader;
use crate::stream::adapt::Adapting;
use crate::stream::block::Block;
use crate::stream::blocks::{Blocks, Next, ReadError};
use crate::stream::progress::Progress;

/// The input, read under a lock.
pub(super) struct Reader<'p, K> {
    pub(super) blocks: Blocks<'p>,
    /// Read in place of `blocks`.
    pub(super) kept: Option<KeptBlocks<'p>>,
    pub(super) read_kept: K,
    /// If it is to be found out who wrote the records.
    pub(super) settling: Option<&'p Adapting>,
    pub(super) progress: &'p Progress,
    /// How many blocks or unread lines were read.
    pub(super) count: u64,
}

/// The blocks of an earlier pass. They count as the bytes of the inputs that they were made of.
pub(super) struct KeptBlocks<'p> {
    blocks: BlocksReader,
    read: u64,
    input_bytes: u64,
    progress: &'p Progress,
}

impl<'p> KeptBlocks<'p> {
    pub(super) fn new(blocks: BlocksReader, input_bytes: u64, progress: &'p Progress) -> Self {
        Self {
            blocks,
            read: 0,
            input_bytes,
            progress,
        }
    }

    fn next(&mut self, block: &mut Block) -> io::Result<Option<u64>> {
        let number = self.blocks.next(block)?;
        let of_input = |read: u64| {
            let share = u128::from(read) * u128::from(self.input_bytes);
            let share = share / u128::from(self.blocks.bytes().max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        let before = of_input(self.read);
        self.read += block.bytes().len() as u64;
        self.progress.advance(of_input(self.read) - before);
        Ok(number)
    }
}

/// The next block of the input.
pub(super) struct Numbered {
    pub(super) next: Result<Next, ReadError>,
    /// Counted from 0, without a gap.
    pub(super) turn: u64,
    /// The number that the block had in the first pass, which counts unread lines too.
    pub(super) number: u64,
}

impl<K> Reader<'_, K> {
    pub(super) fn next(&mut self, block: &mut Block) -> Numbered {
        let turn = self.count;
        self.count += 1;
        let mut number = turn;
        let next = match &mut self.kept {
            None => self.blocks.next(block),
            Some(kept) => match kept.next(block).context("cannot read a temporary file") {
                Ok(Some(kept)) => {
                    number = kept;
                    Ok(Next::Lines)
                }
                Ok(None) => Ok(Next::End),
                Err(error) => Err(ReadError::Kept(error)),
            },
        };
        let next = next.and_then(|next| {
            if let Some(adapting) = self.settling {
                let settled = adapting.settle_by(block, self.progress);
                settled.map_err(ReadError::Records)?;
            }
            Ok(next)
        });
        Numbered { next, turn, number }
    }
}
