//! The feed of changes: which ids got another canonical one, and by which entry.

use std::collections::HashSet;

use idmerge_core::{Claim, DistinctId, IdentityResolver, Outcome};

use crate::error::StoreError;
use crate::history::History;
use crate::log::entry::{Cause, Entry, What};
use crate::state::State;
use crate::state::overlay::{Before, Overlay};
use crate::state::owned::{OwnedId, distinct_ids, members};

/// An id that resolves to another one since an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The id.
    pub id: DistinctId<'a>,
    /// What it resolved to before.
    pub from: DistinctId<'a>,
    /// What it has resolved to since.
    pub to: DistinctId<'a>,
    /// The number of the entry.
    pub sequence: u64,
    /// What made the entry.
    pub cause: Cause<'a>,
}

impl<R: IdentityResolver> History<R> {
    /// Calls `visit` with every change that came after this entry, in order, until it answers
    /// `false`. To go on another day, keep the number of the last change and give it here; keep it
    /// only when all changes of that number are dealt with, since an entry can make many.
    ///
    /// # Errors
    ///
    /// What `visit` fails with, [`StoreError::NoSuchEntry`], and where the log cannot be read.
    pub fn changes_since(
        &self,
        sequence: u64,
        visit: &mut dyn FnMut(Change<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.has(sequence)?;
        let mut state = State::fold(self.fresh.clone(), self.log().up_to(sequence))?;
        self.entries(sequence + 1, &mut |entry| {
            let mut before = affected(&state.overlay, &entry);
            before.extend(state.weigh(self.log(), &entry, true)?);
            let mut changes = before.iter().map(|(id, from)| (id.get(), from.get()));
            let mut tell = |(id, from): (DistinctId<'_>, DistinctId<'_>)| {
                let to = state.overlay.resolve(id);
                let change = Change {
                    id,
                    from,
                    to,
                    sequence: entry.sequence,
                    cause: entry.cause,
                };
                Ok::<_, StoreError>(to == from || visit(change)?)
            };
            for change in changes.by_ref() {
                if !tell(change)? {
                    return Ok(false);
                }
            }
            if entry.what == What::Replaced {
                let known: HashSet<_> = before.iter().map(|(id, _)| id.get()).collect();
                for id in state.overlay.clusters().flat_map(|cluster| cluster.members) {
                    if !known.contains(&id) && !tell((id, id))? {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })
    }
}

/// The ids that an entry may give another canonical one, each with that of now.
fn affected(engine: &Overlay<impl IdentityResolver>, entry: &Entry<'_>) -> Vec<Before> {
    let pair = |id, canonical| (OwnedId::new(id), OwnedId::new(canonical));
    let (claim, outcome) = match entry.what {
        What::Claim { claim, outcome } => (claim, outcome),
        What::Replaced => {
            let all = engine.clusters().flat_map(|cluster| {
                let canonical = cluster.canonical;
                let members = cluster.members.into_iter();
                members.map(move |id| pair(id, canonical))
            });
            return all.collect();
        }
        // Which these are shows when it is folded again.
        What::Retracted { .. } => return Vec::new(),
    };
    let (Outcome::Merged | Outcome::AlreadyMerged, Some([first, second])) =
        (outcome, distinct_ids(claim))
    else {
        return Vec::new();
    };
    let mut ids = members(engine.cluster(first), first);
    // A user's id is canonical before and after, and the user may have many devices.
    if !matches!(claim, Claim::Link { .. }) && engine.resolve(first) != engine.resolve(second) {
        ids.extend(members(engine.cluster(second), second));
    }
    ids.into_iter()
        .map(|id| pair(id, engine.resolve(id)))
        .collect()
}
