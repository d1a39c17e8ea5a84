//! [`IdReader`]: lookups in a table that another thread changes.

use std::fmt;
use std::sync::Arc;

use idmerge_core::Id;

use super::hashes::KeyHashes;
use crate::index::{Found, IndexView};
use crate::keys::KeysView;
use crate::published::{Pin, Published};
use crate::texts::TextsView;

/// Looks up IDs of an [`IdTable`](crate::IdTable) while another thread inserts IDs into it. It takes no lock and never
/// waits.
///
/// ```
/// use std::thread;
///
/// use idmerge_core::Id;
/// use idmerge_state::{IdTable, pin};
///
/// let id = |text| Id::new(text).unwrap();
/// let mut ids = IdTable::new();
/// let reader = ids.reader();
/// thread::scope(|threads| {
///     threads.spawn(|| {
///         ids.insert(&ids.probe(id("D1")), 7, ());
///     });
///     let found = reader.look(&pin(), |view| view.find(id("D1")));
///     assert!(found.is_none_or(|found| (found.number, found.owner) == (0, 7)));
/// });
/// let pin = pin();
/// assert_eq!(reader.look(&pin, |view| view.find(id("D1"))).unwrap().owner, 7);
/// assert_eq!(reader.look(&pin, |view| view.id(0)), id("D1"));
/// ```
#[derive(Clone, Debug)]
pub struct IdReader {
    latest: Arc<Published<Arc<IdView>>>,
}

/// The memory of a table as a reader sees it. It has all IDs that were inserted before it was made, and most of those
/// that were inserted since.
pub struct IdView {
    index: IndexView,
    keys: KeysView,
    texts: TextsView,
    hashes: KeyHashes,
}

/// The view was made before what it was asked for. A new one has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfDate;

/// What the thread that changes a table has for its readers.
#[derive(Debug)]
pub(super) struct Views {
    latest: Arc<Published<Arc<IdView>>>,
    /// Those before, until nobody reads them: whoever drops the last one frees memory, which should not be a reader.
    before: Vec<Arc<IdView>>,
    now: Arc<IdView>,
}

impl Views {
    pub(super) fn new(view: IdView) -> Self {
        let now = Arc::new(view);
        Self {
            latest: Arc::new(Published::new(now.clone())),
            before: Vec::new(),
            now,
        }
    }

    pub(super) fn reader(&self) -> IdReader {
        IdReader {
            latest: self.latest.clone(),
        }
    }

    /// What readers see.
    pub(super) fn now(&self) -> &IdView {
        &self.now
    }

    /// From now on readers see this view.
    pub(super) fn publish(&mut self, view: IdView) {
        let before = std::mem::replace(&mut self.now, Arc::new(view));
        self.latest.replace(self.now.clone());
        self.before.push(before);
        self.free_unread();
    }

    /// Frees the views that nobody reads any more.
    fn free_unread(&mut self) {
        self.before.retain(|view| Arc::strong_count(view) > 1);
    }
}

impl IdReader {
    /// Calls `look` with the latest view, and again with a later one if that is [`OutOfDate`]. A view is out of date only
    /// if another thread has inserted IDs meanwhile, and has published a later view before. So ask only for what is in the
    /// table: this does not return while `look` asks for the [`id`](IdView::id) of a number that no ID has.
    #[inline]
    pub fn look<'p, T>(
        &'p self,
        pin: &'p Pin,
        mut look: impl FnMut(&'p IdView) -> Result<T, OutOfDate>,
    ) -> T {
        loop {
            if let Ok(seen) = look(self.latest.now(pin)) {
                return seen;
            }
        }
    }
}

impl IdView {
    pub(super) fn new(
        index: IndexView,
        keys: KeysView,
        texts: TextsView,
        hashes: KeyHashes,
    ) -> Self {
        Self {
            index,
            keys,
            texts,
            hashes,
        }
    }

    /// The number and the owner of an ID, or `None` if it is not in the table. An ID that was inserted after the view
    /// was made may be found or not; one that was inserted before is found.
    ///
    /// # Errors
    ///
    /// [`OutOfDate`] if a later view has to be asked.
    #[inline]
    pub fn find(&self, id: Id<'_>) -> Result<Option<Found>, OutOfDate> {
        let probe = self.hashes.probe(id);
        let mut is_out_of_date = false;
        let found = self.index.find(probe.hash, |number| {
            let key = self.keys.get(number);
            let is_it = key.and_then(|key| probe.is_of(key, |span| self.texts.bytes_at(span)));
            is_out_of_date |= is_it.is_none();
            is_it.unwrap_or(true)
        });
        match is_out_of_date {
            true => Err(OutOfDate),
            false => Ok(found),
        }
    }

    /// The ID with a number that was found in the table, or that is an owner which names an ID of it.
    ///
    /// # Errors
    ///
    /// [`OutOfDate`] if a later view has to be asked: the number was given after this one was made. A number that no ID
    /// has is in no view.
    #[inline]
    pub fn id(&self, number: u32) -> Result<Id<'_>, OutOfDate> {
        let key = self.keys.get(number).ok_or(OutOfDate)?;
        key.id(|span| self.texts.at(span)).ok_or(OutOfDate)
    }
}

impl fmt::Debug for IdView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdView").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::id_table::IdTable;
    use crate::published::pin;

    fn text(number: u32) -> String {
        match number % 3 {
            0 => format!("5c7f0e7c-6a52-4b26-9fb8-{number:012x}"),
            1 => number.to_string(),
            _ => format!("a text that is longer than a key, {number}"),
        }
    }

    #[test]
    fn an_older_view_finds_what_it_had_and_no_wrong_id() {
        const IDS: u32 = 3_000;
        let texts: Vec<_> = (0..IDS).map(text).collect();
        let id = |number: u32| Id::new(&texts[number as usize]).unwrap();
        let mut table = IdTable::new();
        let reader = table.reader();
        let pin = pin();
        let mut views = Vec::new();
        for number in 0..IDS {
            if number % 200 == 0 {
                views.push((number, reader.latest.now(&pin)));
            }
            table.insert(&table.probe(id(number)), number ^ 7, ());
        }
        let mut seen = [0; 3];
        for (had, view) in views {
            for number in 0..IDS {
                let owner = number ^ 7;
                let found = view.find(id(number));
                match found {
                    Ok(Some(found)) => assert_eq!(found, Found { number, owner }),
                    Ok(None) => assert!(number >= had, "{number} of {had}"),
                    Err(OutOfDate) => assert!(number >= had, "{number} of {had}"),
                }
                if number >= had {
                    let kind = found.map_or(2, |found| usize::from(found.is_none()));
                    seen[kind] += 1;
                }
                match view.id(number) {
                    Ok(found) => assert_eq!(found, id(number)),
                    Err(OutOfDate) => assert!(number >= had),
                }
                let now = reader.look(&pin, |view| view.find(id(number)));
                assert_eq!(now, Some(Found { number, owner }));
            }
        }
        // A later ID is found, or not, or the view is too old to tell: there were some of each.
        assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
    }

    #[test]
    fn the_thread_that_inserts_frees_the_views_that_nobody_reads() {
        let mut table = IdTable::new();
        let reader = table.reader();
        for number in 0..3_000 {
            let text = text(number);
            table.insert(&table.probe(Id::new(&text).unwrap()), 0, ());
        }
        let views = table.views.get_mut().unwrap();
        // Another test may have a pin for a while, which keeps what was replaced since.
        let is_free = (0..50_000_000).any(|_| {
            // Moves the others on, as a thread that resolves does.
            reader.look(&pin(), |_| Ok(()));
            std::thread::yield_now();
            views.free_unread();
            views.before.is_empty()
        });
        assert!(is_free, "{} views are left", views.before.len());
    }
}
