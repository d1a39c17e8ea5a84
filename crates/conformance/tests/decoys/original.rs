//! Mistakes in Original ID Merge.

pub(crate) mod batches;
pub(crate) mod checks;
pub(crate) mod exports;
pub(crate) mod limits;
pub(crate) mod marks;
pub(crate) mod reading;
pub(crate) mod showing;
pub(crate) mod snapshots;

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{Claim, Id, Outcome};

use crate::decoy::{Mistake, is_accepted, weigh};
use crate::memory::change_each;

/// The unchanged oracle, which passes every trial.
#[derive(Default)]
pub(crate) struct NoMistake;

impl Mistake for NoMistake {
    type Oracle = OriginalOracle;
}

/// `$identify` without its own checks O-8 and O-11: a `$merge` that also marks.
fn identify(oracle: &mut OriginalOracle, identified: Id<'_>, anon: Id<'_>) -> Outcome<'static> {
    let claim = Claim::Merge {
        first: identified,
        second: anon,
    };
    let outcome = weigh(oracle, claim);
    if is_accepted(outcome) {
        change_each(oracle, |known| known.identified |= known.id == identified);
    }
    outcome
}

/// The two IDs of a claim, in order. `None` for a link, which this rule book ignores.
fn ids_of(claim: Claim<'_>) -> Option<[Id<'_>; 2]> {
    match claim {
        Claim::Identify { identified, anon } => Some([identified, anon]),
        Claim::Alias { distinct_id, alias } => Some([distinct_id, alias]),
        Claim::Merge { first, second } => Some([first, second]),
        _ => None,
    }
}
