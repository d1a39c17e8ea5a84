//! The oracle: the whole rule book a second time, by brute force.
//!
//! [`SimplifiedOracle`] and [`OriginalOracle`] are engines like any other, and nobody should use
//! them as one. They exist to be compared with: they are written for obviousness, share nothing
//! with the real engines but the types of `idmerge-core`, and cite the rule at every step.
//!
//! The state of an oracle is a log: the accepted claims, in order. Each question is answered by
//! going through the log from its start, so there is nothing that could be out of date. Resolving
//! therefore takes time in proportion to all that ever happened, and allocates; of the contract
//! of [`IdentityResolver`](idmerge_core::IdentityResolver), that is the one promise that an
//! oracle does not keep.
//!
//! An oracle does not use [`IdRules`](idmerge_core::IdRules): which values are ids is part of the
//! rule book too.
//!
//! Its snapshots are a text of its own, which no engine reads.

mod format;
#[cfg(test)]
mod laws;
mod original;
mod reading;
mod simplified;
mod snapshot;

use idmerge_core::{IdentityResolver, RuleBook};

use crate::settings::EngineSettings;

pub use original::OriginalOracle;
pub use simplified::SimplifiedOracle;

/// The oracle of a rule book.
pub(crate) fn oracle(rule_book: RuleBook, settings: &EngineSettings) -> Box<dyn IdentityResolver> {
    match rule_book {
        RuleBook::Simplified => Box::new(SimplifiedOracle::new(settings.clone())),
        RuleBook::Original => Box::new(OriginalOracle::new(settings.clone())),
        custom => unreachable!("the suite has no oracle of {custom}"),
    }
}
