//! [`History`]: questions about every earlier state.

pub(crate) mod changes;
pub(crate) mod compare;
mod counting;
pub(crate) mod digest;
pub(crate) mod explain;
pub(crate) mod log_entry;
pub(crate) mod preview;
mod sections;
pub(crate) mod simulate;
pub(crate) mod story;

use idmerge_core::IdentityResolver;
use redb::ReadTransaction;

use crate::error::StoreError;
use crate::log::entry::Entry;
use crate::log::{Log, tail::Tail};
use crate::options::MayGoOn;
use crate::state::State;
use crate::state::overlay::Fresh;

/// The committed log of a store at one moment. Later commits are not visible in it.
///
/// ```
/// use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Resolve};
/// use idmerge_simplified::Simplified;
/// use idmerge_store::{Durable, Explanation, Options};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let mut store = Durable::open(folder.path(), Simplified::default, Options::default())?;
/// let [phone, tablet, user] = ["phone", "tablet", "ben"].map(|text| Id::new(text).unwrap());
/// store.apply(Claim::Link { device: phone, user })?;
/// store.apply(Claim::Link { device: tablet, user })?;
/// store.commit()?;
///
/// let history = store.history()?;
/// let [phone, tablet] = [phone, tablet].map(DistinctId::device);
/// // The state after entry 1, when only the phone was linked.
/// assert_eq!(history.as_of(1)?.resolve(tablet), tablet);
/// // Both devices are one user because of these two claims.
/// let Explanation::Joined(chain) = history.explain(&store, phone, tablet)? else { panic!() };
/// assert_eq!(chain.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2]);
/// // What changed after entry 1.
/// history.changes_since(1, &mut |change| {
///     assert_eq!((change.id.as_id(), change.to.as_id()), (tablet, DistinctId::plain(user)));
///     Ok(true)
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct History<R> {
    pub(crate) fresh: Fresh<R>,
    read: ReadTransaction,
    /// The entries that another process has in its journal.
    tail: Option<Tail>,
    last: u64,
    may_go_on: Option<MayGoOn>,
}

impl<R: IdentityResolver> History<R> {
    pub(crate) fn new(fresh: Fresh<R>, read: ReadTransaction, last: u64) -> Self {
        Self {
            fresh,
            read,
            tail: None,
            last,
            may_go_on: None,
        }
    }

    /// The same log, which goes on in a journal.
    pub(crate) fn with_tail(self, tail: Option<Tail>) -> Self {
        Self { tail, ..self }
    }

    /// The same log. A question fails with [`StoreError::Cancelled`] soon after `may_go_on` has returned
    /// `false`: it is called for every 1,024 entries and for every 512 KiB of a snapshot that are read.
    #[must_use]
    pub fn only_while(self, may_go_on: MayGoOn) -> Self {
        Self {
            may_go_on: Some(may_go_on),
            ..self
        }
    }

    /// The number of the last entry; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn log(&self) -> Log<'_> {
        let log = Log::of(&self.read, self.tail.as_ref(), self.last);
        log.only_while(self.may_go_on.as_ref())
    }

    /// Calls `visit` with each entry from this number on, until `visit` answers `false`.
    ///
    /// # Errors
    ///
    /// Those of `visit`, and [`StoreError::DamagedLog`].
    pub fn entries(
        &self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.log().each_entry(from, visit)
    }

    /// The state after this entry, as an engine. 0 gives the empty state.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`], and if the log cannot be read.
    pub fn as_of(&self, sequence: u64) -> Result<R, StoreError> {
        self.has(sequence)?;
        let log = self.log().up_to(sequence);
        Ok(State::fold(self.fresh.clone(), log)?.overlay.into_whole())
    }

    pub(crate) fn has(&self, sequence: u64) -> Result<(), StoreError> {
        if sequence <= self.last {
            return Ok(());
        }
        Err(StoreError::NoSuchEntry {
            sequence,
            last: self.last,
        })
    }
}

impl<R> std::fmt::Debug for History<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
