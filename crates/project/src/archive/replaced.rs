//! The events that an imported one has replaced (AR-2). They stay in their blocks, and no query
//! shows them.
//!
//! ```text
//! key     the number of an event, divided by 1,024
//! row     for each replaced event of these 1,024, in order: its number as a difference to the one
//!         before, and how much greater the number of the event in its place is
//! key     2⁶⁴ − 1
//! row     how many events are replaced
//! ```
//!
//! The numbers have 7 bits per byte, the lowest first. Each row has a checksum.

use std::collections::BTreeMap;

use idmerge_disk::{row, varint};
use idmerge_store::redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, TableError, WriteTransaction,
};

use crate::archive::block::{EventBlock, Visit};
use crate::archive::directory::BlockHead;
use crate::archive::tables::REPLACED;
use crate::error::ProjectError;
use crate::large::LargeShare;

/// How many successive events share a row.
const ROW_EVENTS: u64 = 1 << 10;
/// The key of the row with the count.
const COUNT: u64 = u64::MAX;

/// The replaced events of one database transaction.
pub(crate) struct ReplacedEvents {
    table: Option<ReadOnlyTable<u64, &'static [u8]>>,
}

impl ReplacedEvents {
    pub(crate) fn open(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let table = match read.open_table(REPLACED) {
            Err(TableError::TableDoesNotExist(_)) => None,
            table => Some(table?),
        };
        Ok(Self { table })
    }

    /// How many events are replaced.
    pub(crate) fn count(&self) -> Result<u64, ProjectError> {
        match &self.table {
            Some(table) => count(table),
            None => Ok(0),
        }
    }

    /// Whether an event was replaced by the event `last` or an earlier one. `row` keeps what was read, for
    /// the next number.
    pub(crate) fn has(
        &self,
        number: u64,
        last: u64,
        row: &mut ReplacedRow,
    ) -> Result<bool, ProjectError> {
        let Some(table) = &self.table else {
            return Ok(false);
        };
        let key = number / ROW_EVENTS;
        if row.key != Some(key) {
            row.pairs = match table.get(key)? {
                Some(bytes) => read(key, bytes.value())?,
                None => Vec::new(),
            };
            row.key = Some(key);
        }
        let at = row.pairs.binary_search_by_key(&number, |pair| pair.0);
        Ok(at.is_ok_and(|at| row.pairs[at].1 <= last))
    }

    /// The events of a block that were replaced by the event `last` or an earlier one, in order.
    pub(crate) fn of_block(&self, head: &BlockHead, last: u64) -> Result<Vec<u64>, ProjectError> {
        let mut replaced = Vec::new();
        let Some(table) = &self.table else {
            return Ok(replaced);
        };
        for row in table.range(head.first / ROW_EVENTS..=head.last / ROW_EVENTS)? {
            let (key, row) = row?;
            let pairs = read(key.value(), row.value())?;
            let here = pairs
                .into_iter()
                .filter(|(number, by)| (head.first..=head.last).contains(number) && *by <= last);
            replaced.extend(here.map(|(number, _)| number));
        }
        Ok(replaced)
    }
}

/// The replaced events of one row.
#[derive(Default)]
pub(crate) struct ReplacedRow {
    key: Option<u64>,
    pairs: Vec<(u64, u64)>,
}

/// A block without its replaced events.
pub(crate) struct ShownBlock {
    pub(crate) block: EventBlock,
    /// The numbers of the replaced events, in order.
    pub(crate) replaced: Vec<u64>,
    pub(super) _large: Option<LargeShare>,
}

impl ShownBlock {
    /// Calls `visit` with each event in order, until it returns `false`.
    pub(crate) fn each(&self, visit: &mut Visit<'_>) -> Result<(), ProjectError> {
        self.block.each(&mut |event| {
            if self.is_replaced(event.number) {
                return Ok(true);
            }
            visit(event)
        })
    }

    pub(crate) fn is_replaced(&self, number: u64) -> bool {
        self.replaced.binary_search(&number).is_ok()
    }
}

/// Records replaced events: the number of each, and of the event in its place. Returns how many
/// events are replaced now.
pub(crate) fn write(
    write: &WriteTransaction,
    new: &BTreeMap<u64, u64>,
) -> Result<u64, ProjectError> {
    let mut table = write.open_table(REPLACED)?;
    let count = count(&table)? + new.len() as u64;
    table.insert(COUNT, &*seal(COUNT, [count]))?;
    let mut rest = new.iter().peekable();
    while let Some((first, _)) = rest.peek() {
        let key = *first / ROW_EVENTS;
        let mut pairs: BTreeMap<u64, u64> = match table.get(key)? {
            Some(row) => read(key, row.value())?.into_iter().collect(),
            None => BTreeMap::new(),
        };
        while let Some((number, by)) = rest.next_if(|(number, _)| *number / ROW_EVENTS == key) {
            pairs.insert(*number, *by);
        }
        let mut before = key * ROW_EVENTS;
        let numbers = pairs.into_iter().flat_map(|(number, by)| {
            let difference = number - before;
            before = number;
            [difference, by - number]
        });
        table.insert(key, &*seal(key, numbers))?;
    }
    Ok(count)
}

fn count(table: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, ProjectError> {
    let Some(row) = table.get(COUNT)? else {
        return Ok(0);
    };
    let mut bytes = row::open(COUNT, row.value()).ok_or(DAMAGED)?;
    varint::take(&mut bytes).map_err(|_| DAMAGED)
}

/// The pairs of a row: a replaced event, and the event in its place.
fn read(key: u64, row: &[u8]) -> Result<Vec<(u64, u64)>, ProjectError> {
    let first = key.saturating_mul(ROW_EVENTS);
    let damaged = || ProjectError::damaged(first, WHAT_IS_DAMAGED);
    let mut bytes = row::open(key, row).ok_or_else(damaged)?;
    let take = |bytes: &mut &[u8]| varint::take(bytes).map_err(|_| damaged());
    let mut pairs = Vec::new();
    let mut number = first;
    while !bytes.is_empty() {
        number = number.wrapping_add(take(&mut bytes)?);
        pairs.push((number, number.wrapping_add(take(&mut bytes)?)));
    }
    Ok(pairs)
}

fn seal(key: u64, numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut row = row::start();
    for number in numbers {
        varint::put(&mut row, number);
    }
    row::seal(key, row)
}

const WHAT_IS_DAMAGED: &str = "the list of replaced events cannot be read";
const DAMAGED: ProjectError = ProjectError::damaged(1, WHAT_IS_DAMAGED);

#[cfg(test)]
mod tests {
    use idmerge_store::redb::{Database, ReadableDatabase, backends::InMemoryBackend};

    use super::*;

    #[test]
    fn the_replaced_events_of_each_block_are_those_that_were_written() {
        let mut builder = Database::builder();
        builder.set_concurrency_mode(idmerge_store::Sharing::Nobody.into());
        let database = builder.create_with_backend(InMemoryBackend::new()).unwrap();
        // Numbers around the first and the last of each row, and others, in several commits.
        let ends = (1..6).flat_map(|row| row * ROW_EVENTS - 3..row * ROW_EVENTS + 3);
        let numbers: Vec<u64> = ends.chain((1..5 * ROW_EVENTS).step_by(997)).collect();
        let mut all = BTreeMap::new();
        for commit in 0..3 {
            let numbers = numbers.iter().copied().skip(commit).step_by(3);
            let new: BTreeMap<u64, u64> = numbers.map(|it| (it, it + 1 + it % 900)).collect();
            let new = new
                .into_iter()
                .filter(|(number, _)| !all.contains_key(number));
            let new: BTreeMap<u64, u64> = new.collect();
            let transaction = database.begin_write().unwrap();
            all.extend(&new);
            assert_eq!(write(&transaction, &new).unwrap(), all.len() as u64);
            transaction.commit().unwrap();

            let replaced = ReplacedEvents::open(&database.begin_read().unwrap()).unwrap();
            assert_eq!(replaced.count().unwrap(), all.len() as u64);
            let row_ends = (0..6).flat_map(|row| [row * ROW_EVENTS, row * ROW_EVENTS + 1]);
            for first in row_ends.chain(numbers_of(&all)) {
                for events in [1, 2, 700, ROW_EVENTS, 2 * ROW_EVENTS] {
                    let last = first + events - 1;
                    for until in [last, last + 450, u64::MAX] {
                        let wanted = all.range(first..=last).filter(|(_, by)| **by <= until);
                        let wanted: Vec<u64> = wanted.map(|(number, _)| *number).collect();
                        let head = BlockHead {
                            first,
                            last,
                            min_ms: 0,
                            max_ms: 0,
                        };
                        assert_eq!(replaced.of_block(&head, until).unwrap(), wanted, "{head:?}");
                    }
                }
            }
        }
    }

    fn numbers_of(all: &BTreeMap<u64, u64>) -> impl Iterator<Item = u64> {
        all.keys().copied().step_by(7)
    }
}
