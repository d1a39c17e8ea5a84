//! The index of the log: which entries name an ID.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::{BTreeSet, HashSet};

use idmerge_core::{Claim, Id, Outcome};
use idmerge_disk::{OpenRuns, Runs, row};
use redb::{Database, ReadableDatabase};

use crate::error::StoreError;
use crate::log::Log;
use crate::log::codec;
use crate::log::entry::{Entry, What};
use crate::log::tables;

/// The index on disk: from the fingerprint of an ID to the entries whose claims name it, and from
/// [`RETRACTIONS`] to the entries that withdraw others.
pub(crate) const ENTRIES_BY_ID: Runs = Runs::new("named", "named pages");

/// The key of retractions. If an ID has this fingerprint too (1 in 2⁶⁴), lookups find more entries
/// than they need, which is harmless.
const RETRACTIONS: u64 = 0;

/// A hash of an ID. Two IDs with the same hash count as connected. That changes no answer: only more
/// entries are folded again than necessary.
pub(crate) fn fingerprint(id: Id<'_>) -> u64 {
    let mut bytes = Vec::with_capacity(32);
    codec::put_id(&mut bytes, id);
    row::checksum(1, &bytes)
}

/// The keys of an entry in the index.
pub(super) fn fingerprints(entry: &Entry<'_>) -> Vec<u64> {
    match entry.what {
        What::Claim { claim, outcome } => attempted(claim, outcome).map(fingerprint).collect(),
        What::Retracted { .. } => vec![RETRACTIONS],
        What::Erased { .. } | What::Replaced => Vec::new(),
    }
}

/// The IDs that a claim would connect. A claim of the other rule book connects none.
fn attempted<'a>(claim: Claim<'a>, outcome: Outcome<'_>) -> impl Iterator<Item = Id<'a>> {
    let ids = (outcome != Outcome::Ignored).then(|| claim.ids());
    ids.into_iter().flatten().map(|id| id.id())
}

/// Looks up which entries name an ID, in the index on disk and in the entries after it.
pub(crate) struct Index<'l> {
    pub(crate) log: Log<'l>,
    runs: OpenRuns,
    indexed: u64,
    after_index: OnceCell<Vec<(u64, u64)>>,
    /// Up to this many unindexed entries are cached in memory; more are rescanned on every lookup.
    cached_max: u64,
    scanned: Cell<u64>,
}

const CACHED_MAX: u64 = 1 << 18;

/// What was withdrawn in a log.
pub(crate) struct Revisions {
    /// The number of each retraction, and those of the entries that it withdraws.
    pub(crate) retractions: Vec<(u64, Vec<u64>)>,
    /// The entries that do not count: they were withdrawn, and the retraction was not.
    pub(crate) withdrawn: HashSet<u64>,
}

impl<'l> Index<'l> {
    pub(crate) fn new(log: Log<'l>) -> Result<Self, StoreError> {
        Ok(Self {
            log,
            runs: ENTRIES_BY_ID.open(log.read)?,
            indexed: ENTRIES_BY_ID.until(log.read)?,
            after_index: OnceCell::new(),
            cached_max: CACHED_MAX,
            scanned: Cell::new(0),
        })
    }

    /// The retractions of a log, and the entries that do not count. Nothing of the index stays in memory.
    pub(crate) fn revisions(log: Log<'l>) -> Result<Revisions, StoreError> {
        let mut index = Self::new(log)?;
        index.cached_max = 0;
        let retractions = index.retractions()?;
        let withdrawn = withdrawn_by(retractions.clone());
        Ok(Revisions {
            retractions,
            withdrawn,
        })
    }

    /// Adds the entries with one of these keys to `found`.
    pub(super) fn find(
        &self,
        fingerprints: &HashSet<u64>,
        found: &mut BTreeSet<u64>,
    ) -> Result<(), StoreError> {
        for &fingerprint in fingerprints {
            self.runs.find(fingerprint, &mut |entry| {
                if entry <= self.log.until {
                    found.insert(entry);
                }
            })?;
        }
        let unindexed = self.unindexed(fingerprints)?;
        for &fingerprint in fingerprints {
            found.extend(unindexed_entries(&unindexed, fingerprint));
        }
        Ok(())
    }

    /// For each of these keys the first entries after an entry, at most `limit` of them, in order.
    /// Returns nothing for the keys after the one whose entries filled the limit.
    pub(crate) fn first_entries(
        &self,
        keys: &[(u64, u64)],
        limit: usize,
    ) -> Result<Vec<BTreeSet<u64>>, StoreError> {
        let unindexed = self.unindexed(&keys.iter().map(|(key, _)| *key).collect())?;
        let mut all = Vec::new();
        let mut room = limit;
        for &(key, after) in keys {
            if room == 0 {
                break;
            }
            // The first ones: the greatest goes if a smaller one comes.
            let mut first = BTreeSet::new();
            let mut add = |entry| {
                if entry > after && entry <= self.log.until {
                    first.insert(entry);
                }
                if first.len() > room {
                    first.pop_last();
                }
            };
            self.runs.find(key, &mut add)?;
            unindexed_entries(&unindexed, key).for_each(add);
            room -= first.len();
            all.push(first);
        }
        Ok(all)
    }

    /// The pairs of the unindexed entries, sorted. If there are many, only those with these keys.
    fn unindexed(&self, fingerprints: &HashSet<u64>) -> Result<Cow<'_, [(u64, u64)]>, StoreError> {
        let unindexed = self.log.until.saturating_sub(self.indexed);
        if unindexed <= self.cached_max {
            return Ok(self.after_index()?.into());
        }
        self.scanned.update(|scanned| scanned + unindexed);
        let mut pairs = Vec::new();
        self.log.each_entry(self.indexed + 1, &mut |entry| {
            let named = self::fingerprints(&entry).into_iter();
            let named = named.filter(|it| fingerprints.contains(it));
            pairs.extend(named.map(|it| (it, entry.sequence)));
            Ok(true)
        })?;
        pairs.sort_unstable();
        Ok(pairs.into())
    }

    /// The pairs of the unindexed entries, sorted.
    fn after_index(&self) -> Result<&[(u64, u64)], StoreError> {
        if let Some(pairs) = self.after_index.get() {
            return Ok(pairs);
        }
        let mut pairs = pairs(self.log, self.indexed + 1)?;
        pairs.sort_unstable();
        self.scanned.update(|scanned| scanned + pairs.len() as u64);
        Ok(self.after_index.get_or_init(|| pairs))
    }

    /// Counts entries that a search has read.
    pub(super) fn count_read(&self, entries: &BTreeSet<u64>) {
        self.scanned
            .update(|scanned| scanned + entries.len() as u64);
    }

    /// How many entries were read: because they were not indexed, because they are retractions, or to
    /// find a component.
    pub(crate) fn scanned(&self) -> u64 {
        self.scanned.get()
    }

    /// The entries that name one of these IDs, in order.
    pub(crate) fn entries<'i>(
        &self,
        ids: impl Iterator<Item = Id<'i>>,
    ) -> Result<BTreeSet<u64>, StoreError> {
        let mut found = BTreeSet::new();
        self.find(&ids.map(fingerprint).collect(), &mut found)?;
        Ok(found)
    }

    /// The entries that do not count: they were withdrawn, and the retraction was not.
    pub(crate) fn withdrawn(&self) -> Result<HashSet<u64>, StoreError> {
        Ok(withdrawn_by(self.retractions()?))
    }

    /// The entries that would not count after one more retraction.
    pub(crate) fn withdrawn_with(
        &self,
        sequence: u64,
        retracted: &BTreeSet<u64>,
    ) -> Result<HashSet<u64>, StoreError> {
        let mut retractions = self.retractions()?;
        retractions.push((sequence, retracted.iter().copied().collect()));
        Ok(withdrawn_by(retractions))
    }

    /// The retractions: the number of each, and those of the entries that it withdraws.
    pub(crate) fn retractions(&self) -> Result<Vec<(u64, Vec<u64>)>, StoreError> {
        let mut sequences = BTreeSet::new();
        self.find(&HashSet::from([RETRACTIONS]), &mut sequences)?;
        let mut retractions = Vec::new();
        self.scanned
            .update(|scanned| scanned + sequences.len() as u64);
        self.log.each_of(&sequences, &mut |entry| {
            if let What::Retracted { retracted, .. } = entry.what {
                retractions.push((entry.sequence, retracted.iter().collect()));
            }
            Ok(())
        })?;
        Ok(retractions)
    }
}

/// The entries of a key among sorted pairs.
fn unindexed_entries(pairs: &[(u64, u64)], fingerprint: u64) -> impl Iterator<Item = u64> {
    let from = pairs.partition_point(|pair| pair.0 < fingerprint);
    let of_key = pairs[from..].iter();
    of_key
        .take_while(move |pair| pair.0 == fingerprint)
        .map(|pair| pair.1)
}

fn withdrawn_by(retractions: Vec<(u64, Vec<u64>)>) -> HashSet<u64> {
    let mut withdrawn = HashSet::new();
    // A retraction withdraws an earlier entry, so going backwards sees each retraction first.
    for (sequence, retracted) in retractions.into_iter().rev() {
        if !withdrawn.contains(&sequence) {
            withdrawn.extend(retracted);
        }
    }
    withdrawn
}

/// Indexes `at_a_time` committed entries, and returns whether there were as many. Fewer stay unindexed.
pub(crate) fn update(
    database: &Database,
    at_a_time: u64,
    give_way: &dyn Fn(),
) -> Result<bool, StoreError> {
    let read = database.begin_read()?;
    let from = ENTRIES_BY_ID.until(&read)? + 1;
    let until = from + at_a_time.max(1) - 1;
    if tables::last_sequence(&read)? < until {
        return Ok(false);
    }
    let pairs = pairs(Log::committed(&read, until), from)?;
    give_way();
    let write = database.begin_write()?;
    ENTRIES_BY_ID.add(&write, pairs, until)?;
    write.commit()?;
    Ok(true)
}

/// The pairs of the index for the entries of a log from this number on.
fn pairs(log: Log<'_>, from: u64) -> Result<Vec<(u64, u64)>, StoreError> {
    let mut pairs = Vec::new();
    log.each_entry(from, &mut |entry| {
        let fingerprints = fingerprints(&entry).into_iter();
        pairs.extend(fingerprints.map(|fingerprint| (fingerprint, entry.sequence)));
        Ok(true)
    })?;
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use idmerge_core::IdentityResolver;
    use idmerge_original::Original;

    use super::*;
    use crate::log::entry::Cause;
    use crate::{Durable, Options, Sharing};

    fn id(number: usize) -> String {
        format!("ID {number}")
    }

    /// A store whose entry `n` merges the IDs `n` and `n + 1`, and whose last entry withdraws the
    /// third. The first entries are indexed.
    fn store() -> Durable<Original> {
        let options = Options {
            sharing: Sharing::Nobody,
            unindexed_max: 7,
            ..Options::default()
        };
        let memory = redb::backends::InMemoryBackend::new();
        let mut store = Durable::open_backend(memory, Original::default, options).unwrap();
        for number in 1..=19 {
            let [first, second] = [id(number), id(number + 1)];
            let [first, second] = [&first, &second].map(|id| Id::new(id).unwrap());
            store.apply(Claim::Merge { first, second }).unwrap();
            if number == 7 {
                store.commit().unwrap();
                store.index().unwrap();
            }
        }
        store.retract(3, "ada", "a test", Cause::default()).unwrap();
        store
    }

    /// By ID the entries that name it, the retractions, and how many entries were scanned for that.
    type Found = (Vec<BTreeSet<u64>>, Vec<(u64, Vec<u64>)>, u64);

    /// What the index finds in a log of this length.
    fn found(store: &Durable<Original>, until: u64, cached_max: u64) -> Found {
        let read = store.begin_read().unwrap();
        let mut index = Index::new(Log::committed(&read, until)).unwrap();
        assert_eq!(index.indexed, 7);
        index.cached_max = cached_max;
        let entries = (1..=20).map(|number| {
            let id = id(number);
            let ids = [Id::new(&id).unwrap()].into_iter();
            index.entries(ids).unwrap()
        });
        let entries = entries.collect();
        let retractions = index.retractions().unwrap();
        (entries, retractions, index.scanned())
    }

    #[test]
    fn entries_are_scanned_from_the_first_one_if_none_is_indexed() {
        let options = Options {
            sharing: Sharing::Nobody,
            ..Options::default()
        };
        let memory = redb::backends::InMemoryBackend::new();
        let mut store = Durable::open_backend(memory, Original::default, options).unwrap();
        let [first, second] = ["A", "B"].map(|text| Id::new(text).unwrap());
        store.apply(Claim::Merge { first, second }).unwrap();
        store.commit().unwrap();
        let read = store.begin_read().unwrap();
        let mut index = Index::new(Log::committed(&read, 1)).unwrap();
        assert_eq!(index.indexed, 0);
        index.cached_max = 0;
        let found = index.entries([first].into_iter()).unwrap();
        assert_eq!((found, index.scanned()), (BTreeSet::from([1]), 1));
        // A few are kept in memory, by both of their IDs, and scanned once.
        let index = Index::new(Log::committed(&read, 1)).unwrap();
        for _ in 0..3 {
            let found = index.entries([first].into_iter()).unwrap();
            assert_eq!((found, index.scanned()), (BTreeSet::from([1]), 2));
        }
    }

    #[test]
    fn entries_are_found_whether_they_are_indexed_cached_or_scanned() {
        let store = store();
        for until in [5_u64, 7, 8, 19, 20] {
            let wanted: Vec<BTreeSet<u64>> = (1..=20_u64)
                .map(|number| {
                    let named = [number - 1, number].into_iter();
                    named
                        .filter(|at| (1..=until.min(19)).contains(at))
                        .collect()
                })
                .collect();
            let withdrawn: Vec<_> = (until == 20).then(|| (20, vec![3])).into_iter().collect();
            let retractions = withdrawn.len() as u64;
            // Each merge names two IDs.
            let unindexed = until.saturating_sub(7);
            let cached = 2 * unindexed - retractions.min(unindexed);
            assert_eq!(
                found(&store, until, unindexed),
                (wanted.clone(), withdrawn.clone(), cached + retractions),
                "until {until}"
            );
            let scanned = if unindexed > 0 { 21 * unindexed } else { 0 };
            let (entries, found, scans) = found(&store, until, unindexed.saturating_sub(1));
            assert_eq!((entries, found), (wanted, withdrawn), "until {until}");
            assert_eq!(scans, scanned + retractions, "until {until}");
        }
    }
}
