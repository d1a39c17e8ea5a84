//! The feed of changes: which IDs got another canonical ID, and by which entry.

use std::collections::HashSet;

use idmerge_core::{ClaimKind, DistinctId, DistinctIdBuf, IdentityResolver, Outcome};
use serde::Serialize;

use crate::error::StoreError;
use crate::history::History;
use crate::history::sections::Section;
use crate::log::entry::{Cause, Entry, What};
use crate::log::snapshots;
use crate::state::State;
use crate::state::overlay::{Before, Overlay, members};

/// An ID that got another canonical ID, in the one form in which the command line, HTTP and Python
/// print it.
///
/// It serialises as a flat object in the order of these fields; fields that are `None` are left out:
///
/// ```text
/// {"sequence":90017,"id":"$device:D1","from":"$device:D1","to":"U1","source":"web"}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Change {
    /// The number of the entry that changed the ID.
    pub sequence: u64,
    /// The ID.
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    pub id: DistinctIdBuf,
    /// The canonical ID of `id` before the entry.
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    pub from: DistinctIdBuf,
    /// The canonical ID of `id` after the entry.
    #[cfg_attr(feature = "utoipa", schema(value_type = String))]
    pub to: DistinctIdBuf,
    /// The `$insert_id` of the event that made the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insert_id: Option<String>,
    /// The time of that event, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<i64>,
    /// The origin of that event: a file, a path of the server such as `/import`, or a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Change {
    pub(crate) fn new(
        sequence: u64,
        [id, from, to]: [DistinctId<'_>; 3],
        cause: Cause<'_>,
    ) -> Self {
        Self {
            sequence,
            id: id.to_buf(),
            from: from.to_buf(),
            to: to.to_buf(),
            insert_id: cause.insert_id.map(str::to_owned),
            time_ms: cause.time_ms,
            source: cause.source.map(str::to_owned),
        }
    }
}

impl<R: IdentityResolver> History<R> {
    /// Calls `visit` with every change after an entry, in order, until `visit` answers `false`.
    ///
    /// To continue later, keep the sequence of the last change and pass it here. One entry can make
    /// many changes, so keep a sequence only after all of its changes were handled. If `visit` never
    /// answered `false`, there are no more changes up to [`last`](Self::last), so keep that instead.
    ///
    /// The work is in proportion to the entries after `sequence` and to the clusters that they change,
    /// not to the log before it.
    ///
    /// # Errors
    ///
    /// Those of `visit`, [`StoreError::NoSuchEntry`], and if the log cannot be read.
    pub fn changes_since(
        &self,
        sequence: u64,
        visit: &mut dyn FnMut(Change) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.has(sequence)?;
        // A section folds claims, and a state that was loaded has none.
        if snapshots::all(self.log().read)?.iter().any(|it| it.is_base) {
            return self.changes_by_folding(sequence, visit);
        }
        let rule_book = (self.fresh)().rule_book();
        let mut at = sequence;
        let mut work = 0;
        // From the first entry on, nothing has to be folded before the changes begin.
        while work < at {
            let section = Section::after(self.log(), at, rule_book)?;
            let Some(until) = section.until else {
                return Ok(());
            };
            if !self.section_changes(&section, at, &mut work, visit)? {
                return Ok(());
            }
            at = until;
        }
        self.changes_by_folding(at, visit)
    }

    /// Calls `visit` with the changes after an entry, in order, by folding the whole log up to there.
    /// That is quicker than sections if most of the log follows.
    fn changes_by_folding(
        &self,
        sequence: u64,
        visit: &mut dyn FnMut(Change) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        if sequence == self.last() {
            return Ok(());
        }
        let mut state = State::fold(self.fresh.clone(), self.log().up_to(sequence))?;
        self.entries(sequence + 1, &mut |entry| {
            let mut before = affected(&state.overlay, &entry);
            before.extend(state.apply_entry(self.log(), &entry, true)?);
            if !report(&state.overlay, &entry, &before, visit)? {
                return Ok(false);
            }
            if entry.what == What::Replaced {
                // IDs that only the new state has were their own canonical IDs before.
                let known: HashSet<_> = before.iter().map(|(id, _)| id.as_id()).collect();
                let members = state.overlay.clusters().flat_map(|it| it.members);
                let new: Vec<Before> = members
                    .filter(|id| !known.contains(id))
                    .map(|id| (id.to_buf(), id.to_buf()))
                    .collect();
                return report(&state.overlay, &entry, &new, visit);
            }
            Ok(true)
        })
    }
}

/// Calls `visit` with the changes of an entry, whose state is `after`. `before` has the IDs that it may
/// have changed.
pub(super) fn report(
    after: &Overlay<impl IdentityResolver>,
    entry: &Entry<'_>,
    before: &[Before],
    visit: &mut dyn FnMut(Change) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    for (id, from) in before {
        let (id, from) = (id.as_id(), from.as_id());
        let to = after.resolve(id);
        if to != from && !visit(Change::new(entry.sequence, [id, from, to], entry.cause))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The IDs whose canonical ID an entry may change, with their canonical IDs before the entry.
fn affected(engine: &Overlay<impl IdentityResolver>, entry: &Entry<'_>) -> Vec<Before> {
    match entry.what {
        What::Claim { claim, outcome } if may_change(outcome) => {
            let [first, second] = claim.ids();
            let mut ids = before(engine, first);
            // In a link the second ID is the user: it is canonical before and after. Leave its cluster
            // out, because a user may have many devices.
            if claim.kind() != ClaimKind::Link && engine.resolve(first) != engine.resolve(second) {
                ids.extend(before(engine, second));
            }
            ids
        }
        What::Replaced => {
            let pair =
                |id: DistinctId<'_>, canonical: DistinctId<'_>| (id.to_buf(), canonical.to_buf());
            let all = engine.clusters().flat_map(|cluster| {
                let canonical = cluster.canonical;
                let members = cluster.members.into_iter();
                members.map(move |id| pair(id, canonical))
            });
            all.collect()
        }
        // Folding again shows which IDs a retraction affects.
        What::Claim { .. } | What::Erased { .. } | What::Retracted { .. } => Vec::new(),
    }
}

/// The members of the cluster of an ID, with their canonical ID.
pub(super) fn before(engine: &Overlay<impl IdentityResolver>, id: DistinctId<'_>) -> Vec<Before> {
    let canonical = engine.resolve(id);
    members(engine.cluster(id), id)
        .into_iter()
        .map(|id| (id.to_buf(), canonical.to_buf()))
        .collect()
}

/// Whether a claim with this outcome may have changed a canonical ID. An *already merged* `$identify`
/// can, because it marks its identified ID (O-13).
pub(super) fn may_change(outcome: Outcome<'_>) -> bool {
    matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged)
}
