//! [`Numbers`]: where the events are that an imported one may replace (AR-2).
//!
//! By the fingerprint of an event: its number. Only events that came without a credential are in
//! it. Like the index of users it is written in sorted runs, and the events since the last run are
//! in memory and in a row per commit.

use foldhash::HashMap;
use idmerge_disk::{OpenRuns, row};
use idmerge_engines::Engine;
use idmerge_store::Erasing;
use idmerge_store::redb::{ReadTransaction, TableError, WriteTransaction};

use crate::archive::tables::{NUMBERS, RECENT_NUMBERS};
use crate::error::ProjectError;

const FINGERPRINT_BYTES: usize = 16;
const PAIR_BYTES: usize = FINGERPRINT_BYTES + 8;

/// The numbers of the events that came without a credential.
pub(crate) struct Numbers {
    /// Those that are in no run, committed or not.
    recent: HashMap<u128, u64>,
    /// Those that are not committed.
    new: Vec<(u128, u64)>,
}

impl Numbers {
    pub(crate) fn open(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let mut recent = HashMap::default();
        match read.open_table(RECENT_NUMBERS) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (key, row) = row?;
                    let key = key.value();
                    let pairs = row::open(key, row.value()).ok_or(ProjectError::damaged(
                        key,
                        "the index of event numbers cannot be read",
                    ))?;
                    let (pairs, _) = pairs.as_chunks::<PAIR_BYTES>();
                    recent.extend(pairs.iter().filter_map(pair_of));
                }
            }
        }
        Ok(Self {
            recent,
            new: Vec::new(),
        })
    }

    pub(crate) fn add(&mut self, fingerprint: u128, number: u64) {
        self.recent.insert(fingerprint, number);
        self.new.push((fingerprint, number));
    }

    /// The number of the last event with this fingerprint. `None` if it came with a credential, or
    /// was stored by a version without this index.
    pub(crate) fn find(
        &self,
        fingerprint: u128,
        runs: &OpenRuns,
    ) -> Result<Option<u64>, ProjectError> {
        let mut last = self.recent.get(&fingerprint).copied();
        if last.is_none() {
            runs.find(key(fingerprint), &mut |number| {
                last = last.max(Some(number));
            })?;
        }
        Ok(last)
    }

    /// Writes the new numbers. `last` is the number of the last event of the commit.
    pub(crate) fn write(
        &mut self,
        write: &WriteTransaction,
        last: u64,
    ) -> Result<(), ProjectError> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut row = row::start_with_capacity(self.new.len() * PAIR_BYTES);
        for (fingerprint, number) in self.new.drain(..) {
            row.extend(fingerprint.to_le_bytes());
            row.extend(number.to_le_bytes());
        }
        write
            .open_table(RECENT_NUMBERS)?
            .insert(last, &*row::seal(last, row))?;
        Ok(())
    }

    /// Writes the numbers that are in no run as a new run.
    pub(crate) fn write_run(
        &mut self,
        write: &WriteTransaction,
        last: u64,
    ) -> Result<(), ProjectError> {
        self.new.clear();
        write.delete_table(RECENT_NUMBERS)?;
        if self.recent.is_empty() {
            return Ok(());
        }
        let pairs = self
            .recent
            .drain()
            .map(|(fingerprint, number)| (key(fingerprint), number));
        Ok(NUMBERS.add(write, pairs.collect(), last)?)
    }
}

/// Writes the index of another file without the numbers of these events, which are in order.
pub(crate) fn copy(
    erasing: &Erasing<'_, Engine>,
    gone: &[u64],
    last: u64,
) -> Result<(), ProjectError> {
    let is_gone = |number: u64| gone.binary_search(&number).is_ok();
    let mut pairs = Vec::new();
    let add = |pairs: &mut Vec<(u64, u64)>| {
        let pairs = std::mem::take(pairs);
        erasing.commit(|write| Ok::<_, ProjectError>(NUMBERS.add(write, pairs, last)?))
    };
    NUMBERS.open(erasing.read)?.each(&mut |key, number| {
        if !is_gone(number) {
            pairs.push((key, number));
        }
        match pairs.len() >= RUN_PAIRS {
            true => add(&mut pairs),
            false => Ok(()),
        }
    })?;
    if !pairs.is_empty() {
        add(&mut pairs)?;
    }
    let recent = Numbers::open(erasing.read)?.recent.into_iter();
    let new = recent.filter(|(_, number)| !is_gone(*number)).collect();
    let mut numbers = Numbers {
        recent: HashMap::default(),
        new,
    };
    erasing.commit(|write| numbers.write(write, last))
}

/// A run that is copied has this many pairs.
const RUN_PAIRS: usize = 1 << 17;

/// The key of a fingerprint in a run. Half of it is enough: whether an event with the whole
/// fingerprint is stored is known before it is looked up here.
fn key(fingerprint: u128) -> u64 {
    (fingerprint >> 64) as u64
}

fn pair_of(pair: &[u8; PAIR_BYTES]) -> Option<(u128, u64)> {
    let (fingerprint, number) = pair.split_first_chunk::<FINGERPRINT_BYTES>()?;
    let number = number.try_into().ok()?;
    Some((
        u128::from_le_bytes(*fingerprint),
        u64::from_le_bytes(number),
    ))
}
