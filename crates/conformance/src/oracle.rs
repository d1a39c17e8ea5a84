//! The oracle: the whole rule book a second time, by brute force.
//!
//! [`SimplifiedOracle`], [`OriginalOracle`] and [`LegacyOracle`] are engines, but do not use them as
//! such. The suite compares real engines with them. They are written to be obviously right, share
//! nothing with the real engines but the types of `idmerge-core`, and cite the rule at every step.
//!
//! The state of an oracle is a log: the accepted claims, in order. Every answer is computed from the
//! whole log, so nothing can be out of date. Resolving therefore takes time in proportion to the
//! log, and allocates: this is the one promise of the contract of
//! [`IdentityResolver`] that an oracle does not keep.
//!
//! Legacy attributes an event once, when it arrives. [`LegacyOracle::arrive`] takes events instead of
//! claims, and gives each its answer for ever.
//!
//! An oracle does not use [`IdRules`](idmerge_core::IdRules): the rules about which values are IDs
//! need a second implementation too.
//!
//! Its snapshots are a text format of their own, which no engine reads.

mod format;
#[cfg(test)]
mod laws;
mod legacy;
mod original;
mod reading;
mod simplified;
mod snapshot;

use idmerge_core::{IdentityResolver, RuleBook};

use crate::settings::EngineSettings;

pub use legacy::{Arrival, LegacyOracle};
pub use original::OriginalOracle;
pub use simplified::SimplifiedOracle;

/// The oracle of a rule book, if it is built in.
pub(crate) fn oracle(
    rule_book: RuleBook,
    settings: &EngineSettings,
) -> Option<Box<dyn IdentityResolver>> {
    match rule_book {
        RuleBook::Simplified => Some(Box::new(SimplifiedOracle::new(settings.clone()))),
        RuleBook::Original => Some(Box::new(OriginalOracle::new(settings.clone()))),
        RuleBook::Legacy => Some(Box::new(LegacyOracle::new(settings.clone()))),
        _ => None,
    }
}
