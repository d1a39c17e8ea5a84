//! The changes of a few entries in the middle of a log, without the state of the whole log.
//!
//! In Simplified a link that was accepted tells its change by itself. For other claims the users that they
//! name are folded, as they were just before the section: the entries that are connected with them (law
//! 9), and nothing else.

use idmerge_core::{DistinctId, DistinctIdBuf, IdentityResolver, Outcome, RuleBook};

use super::changes::{Change, before, may_change, report};
use crate::error::StoreError;
use crate::history::History;
use crate::log::Log;
use crate::log::component::Connection;
use crate::log::entry::{Entry, What};
use crate::log::index::Index;
use crate::state::{State, claimed_ids};

/// The most claims of a section whose users are folded.
const SECTION_CLAIMS: usize = 256;

/// The most entries of a section, so that a caller who wants few changes waits for few entries.
const SECTION_ENTRIES: u64 = 4_096;

/// Successive entries whose changes are found together: some claims, or one entry of another kind.
#[derive(Default)]
pub(super) struct Section {
    /// The number of its last entry; `None` if the log has no more entries.
    pub(super) until: Option<u64>,
    /// The IDs whose users must be known before the section.
    ids: Vec<DistinctIdBuf>,
    /// The claims connected with the IDs that must be known too.
    connection: Connection,
}

impl Section {
    /// The section after an entry.
    pub(super) fn after(log: Log<'_>, at: u64, rule_book: RuleBook) -> Result<Self, StoreError> {
        let mut section = Self::default();
        let mut retracted = None;
        log.each_entry(at + 1, &mut |entry| {
            match entry.what {
                What::Claim { claim, outcome } => {
                    if may_change(outcome) && rule_book != RuleBook::Simplified {
                        section.ids.extend(claim.ids().map(DistinctIdBuf::from));
                    }
                }
                What::Erased { .. } => {}
                _ if section.until.is_some() => return Ok(false),
                // The caller has folded the log if the state was ever replaced.
                What::Replaced => return Ok(false),
                What::Retracted { retracted: all, .. } => {
                    retracted = Some(all.iter().collect());
                }
            }
            section.until = Some(entry.sequence);
            let has_room =
                section.ids.len() < 2 * SECTION_CLAIMS && entry.sequence - at < SECTION_ENTRIES;
            Ok(retracted.is_none() && has_room)
        })?;
        if let Some(retracted) = retracted {
            // A retraction folds all attempted claims again.
            section.connection = Connection::Attempted;
            section
                .ids
                .extend(claimed_ids(log, &retracted)?.into_iter().flatten());
        }
        Ok(section)
    }
}

impl<R: IdentityResolver> History<R> {
    /// Calls `visit` with the changes of a section, in order, until it answers `false`. `at` is the
    /// entry before the section. Adds to `work` how many entries and IDs were looked at.
    pub(super) fn section_changes(
        &self,
        section: &Section,
        at: u64,
        work: &mut u64,
        visit: &mut dyn FnMut(Change) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let log = self.log().up_to(section.until.unwrap_or(at));
        let mut users = None;
        if !section.ids.is_empty() {
            let ids = || section.ids.iter().map(|id| id.as_id().id());
            let index = Index::new(log.up_to(at))?;
            let part = || State::part(self.fresh.clone(), &index, ids(), section.connection);
            users = Some(Users {
                before: part()?,
                after: part()?,
            });
            *work += index.scanned();
        }
        let mut wants_more = true;
        log.each_entry(at + 1, &mut |entry| {
            *work += 1;
            wants_more = match &mut users {
                Some(users) => users.entry(log, &entry, visit)?,
                None => link(&entry, visit)?,
            };
            Ok(wants_more)
        })?;
        Ok(wants_more)
    }
}

/// A link that was accepted: the device had no user (S-5), so it was its own canonical ID.
fn link(
    entry: &Entry<'_>,
    visit: &mut dyn FnMut(Change) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let What::Claim {
        claim,
        outcome: Outcome::Merged,
    } = entry.what
    else {
        return Ok(true);
    };
    let [device, user] = claim.ids();
    visit(Change::new(
        entry.sequence,
        [device, device, user],
        entry.cause,
    ))
}

/// The users that a section names, twice: before an entry and after it. So only clusters that change are
/// listed.
struct Users<R> {
    before: State<R>,
    after: State<R>,
}

impl<R: IdentityResolver> Users<R> {
    fn entry(
        &mut self,
        log: Log<'_>,
        entry: &Entry<'_>,
        visit: &mut dyn FnMut(Change) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let What::Claim { claim, outcome } = entry.what else {
            let changed = self.after.apply_entry(log, entry, true)?;
            return report(&self.after.overlay, entry, &changed, visit);
        };
        // A claim that was rejected has changed nothing (law 7).
        if !may_change(outcome) {
            return Ok(true);
        }
        self.after.apply_entry(log, entry, true)?;
        let [first, second] = claim.ids();
        let mut changed = Vec::new();
        for id in [first, second] {
            if self.has_changed(id) && (changed.is_empty() || !self.are_one(first, second)) {
                changed.extend(before(&self.before.overlay, id));
            }
        }
        if !report(&self.after.overlay, entry, &changed, visit)? {
            return Ok(false);
        }
        self.before.apply_entry(log, entry, true)?;
        Ok(true)
    }

    fn has_changed(&self, id: DistinctId<'_>) -> bool {
        self.before.overlay.resolve(id) != self.after.overlay.resolve(id)
    }

    /// Whether two IDs were one user before the entry.
    fn are_one(&self, first: DistinctId<'_>, second: DistinctId<'_>) -> bool {
        let before = &self.before.overlay;
        before.resolve(first) == before.resolve(second)
    }
}
