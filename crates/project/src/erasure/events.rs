//! Writes the events anew.

use std::collections::BTreeMap;

use idmerge_core::DistinctId;
use idmerge_engines::{Engine, Settings};
use idmerge_events::JsonEvent;
use idmerge_store::redb::{TableError, TableHandle};
use idmerge_store::{ErasedEvents, ErasedRows, Erasing, StoreError};

use super::rewrite::{Rewriter, Rewritten};
use super::tables::copy_if_there;
use crate::archive::block::{BlockBuilder, EventBlock, NOT_AN_EVENT, StoredEvent};
use crate::archive::directory::{BlockHead, Directory};
use crate::archive::numbers;
use crate::archive::reader::ArchiveReader;
use crate::archive::replaced::{self, ReplacedEvents};
use crate::archive::tables::{BLOCK_HEADS, BLOCKS, REPLACED, USER_INDEX};
use crate::error::ProjectError;
use crate::user_key::{push_id, user_key};

/// A commit has about this many bytes of blocks.
const COMMIT_BYTES: usize = 8 << 20;
/// A run of the index has this many pairs. The runs are merged when the project is open.
const RUN_PAIRS: usize = 1 << 17;

/// Writes the events, their index, and the lists of events by number.
pub(super) fn erase(
    settings: &Settings,
    erasing: &Erasing<'_, Engine>,
    rows: &mut ErasedRows,
) -> Result<(), ProjectError> {
    match erasing.read.open_table(BLOCKS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        table => drop(table?),
    }
    copy_if_there(erasing, REPLACED.name())?;
    let directory = Directory::read(erasing.read)?;
    let mut work = Work {
        archive: ArchiveReader::new(erasing.read)?,
        replaced: ReplacedEvents::open(erasing.read)?,
        rewriter: Rewriter {
            settings,
            named: erasing.named,
        },
        settings,
        erasing,
        rows,
        compressor: zstd::bulk::Compressor::new(1).map_err(StoreError::from)?,
        blocks: Vec::new(),
        block_bytes: 0,
        pairs: Vec::new(),
        new_replaced: BTreeMap::new(),
        gone: Vec::new(),
    };
    let last = directory.last();
    let mut next = 1;
    while let Some(head) = directory.block_from(next) {
        erasing.progress("events", next - 1, last)?;
        work.block(&head)?;
        next = head.last + 1;
        if work.block_bytes >= COMMIT_BYTES || work.pairs.len() >= RUN_PAIRS {
            work.commit(head.last)?;
        }
    }
    work.commit(last)?;
    // The events that are gone can be replaced by no other one.
    numbers::copy(erasing, &work.gone, last)?;
    erasing.progress("events", last, last)?;
    Ok(())
}

/// What is written and not committed.
struct Work<'w> {
    settings: &'w Settings,
    erasing: &'w Erasing<'w, Engine>,
    rows: &'w mut ErasedRows,
    rewriter: Rewriter<'w>,
    archive: ArchiveReader,
    replaced: ReplacedEvents,
    compressor: zstd::bulk::Compressor<'static>,
    blocks: Vec<(BlockHead, Vec<u8>)>,
    block_bytes: usize,
    /// User keys and numbers of events.
    pairs: Vec<(u64, u64)>,
    /// The events that no query shows from now on.
    new_replaced: BTreeMap<u64, u64>,
    /// The numbers of events that are erased or have no ID, in order.
    gone: Vec<u64>,
}

impl Work<'_> {
    fn block(&mut self, head: &BlockHead) -> Result<(), ProjectError> {
        let row = self.archive.row(head.first)?;
        let block = EventBlock::read(head.first, row.value())?;
        // Events that are not shown already.
        let hidden = self.replaced.of_block(head, u64::MAX)?;
        let mut builder = BlockBuilder::starting_at(head.first);
        let mut has_changed = false;
        block.each(&mut |stored| {
            let is_hidden = hidden.binary_search(&stored.number).is_ok();
            has_changed |= self.event(stored, is_hidden, &mut builder)?;
            Ok(true)
        })?;
        let row = match has_changed {
            true => builder
                .row(&mut self.compressor)
                .map_err(StoreError::from)?,
            false => row.value().to_vec(),
        };
        let head = match has_changed {
            true => builder.head(),
            false => *head,
        };
        self.block_bytes += row.len();
        self.blocks.push((head, row));
        Ok(())
    }

    /// Adds an event, or what is left of it. Returns whether it was changed.
    fn event(
        &mut self,
        stored: StoredEvent<'_>,
        is_hidden: bool,
        to: &mut BlockBuilder,
    ) -> Result<bool, ProjectError> {
        if stored.text.is_empty() {
            to.push_erased();
            return Ok(false);
        }
        let number = stored.number;
        let event = JsonEvent::parse_text(stored.text)
            .map_err(|_| ProjectError::damaged(number, NOT_AN_EVENT))?;
        let reading = self.settings.read(&event.event());
        let own = reading.ok().and_then(|reading| reading.distinct_id);
        let under = own.map(|own| stored.at_arrival(self.settings, own).unwrap_or(own));
        if under.is_some_and(|id| self.erasing.named.has(id)) {
            let is_kept = self.erasing.events == ErasedEvents::Anonymous
                && !event.event().is_identity_event();
            self.gone.push(number);
            if is_kept {
                let text = self.rewriter.anonymous(&event);
                to.push(&StoredEvent {
                    failure: None,
                    attributed: None,
                    text: &text,
                    ..stored
                });
                self.rows.events_made_anonymous += u64::from(!is_hidden);
            } else {
                to.push_erased();
                self.rows.events_erased += u64::from(!is_hidden);
                if !is_hidden {
                    self.new_replaced.insert(number, number);
                }
            }
            return Ok(true);
        }
        self.pairs.extend(under.map(|id| (key(id), number)));
        match self.rewriter.of_others(&event, own, under, &stored) {
            None => {
                to.push(&stored);
                Ok(false)
            }
            Some(Rewritten { text, description }) => {
                let failure = stored
                    .failure
                    .map(|[code, before]| [code, description.unwrap_or(before)]);
                to.push(&StoredEvent {
                    text: &text,
                    failure,
                    ..stored
                });
                self.rows.events_of_others_changed += u64::from(!is_hidden);
                Ok(true)
            }
        }
    }

    /// Writes the blocks, and the user keys of all events up to `last`.
    fn commit(&mut self, last: u64) -> Result<(), ProjectError> {
        let blocks = std::mem::take(&mut self.blocks);
        let pairs = std::mem::take(&mut self.pairs);
        let new_replaced = std::mem::take(&mut self.new_replaced);
        self.block_bytes = 0;
        self.erasing.commit(|write| {
            {
                let mut rows = write.open_table(BLOCKS)?;
                let mut heads = write.open_table(BLOCK_HEADS)?;
                for (head, row) in &blocks {
                    rows.insert(head.first, &**row)?;
                    heads.insert(head.first, (head.last, head.min_ms, head.max_ms))?;
                }
            }
            if !new_replaced.is_empty() {
                replaced::write(write, &new_replaced)?;
            }
            Ok::<_, ProjectError>(USER_INDEX.add(write, pairs, last)?)
        })
    }
}

fn key(id: DistinctId<'_>) -> u64 {
    let mut text = String::new();
    push_id(id, &mut text);
    user_key(&text)
}
