//! The laws of the rule book (section 7) and of the trait's contract, on random claims.

mod agreement;
mod batches;
mod coverage;
mod image;
mod independence;
mod reading;
mod replay;
mod round_trip;
mod step;

use idmerge_core::RuleBook;

use crate::check::Check;

pub(crate) use step::{laws_hold_after, state_is_consistent};

/// The laws that engines of this rule book keep, by number. A model that attributes events at their
/// arrival is not retroactive: it is exempt from law 8, and law 10 looks at what is written then.
pub(crate) fn trials(rule_book: RuleBook) -> Vec<Check> {
    let mut trials = step::trials(rule_book);
    trials.extend(replay::trials(rule_book));
    trials.extend(image::trials(rule_book));
    trials.extend(agreement::trials(rule_book));
    trials.extend(independence::trials(rule_book));
    trials.extend(batches::trials(rule_book));
    trials.extend(reading::trials(rule_book));
    trials.extend(round_trip::trials());
    trials.extend(coverage::trials(rule_book));
    trials.sort_by_key(|(name, _)| *name);
    trials
}

/// The laws that the suite does not hold an engine of a custom rule book to, and why.
pub(crate) const NOT_FOR_CUSTOM: [(&str, &str); 3] = [
    (
        "5-bounded",
        "a limit on clusters is a rule of Original ID Merge (O-12)",
    ),
    (
        "6-one-user-per-device",
        "this is a rule of Simplified ID Merge (S-5 to S-7)",
    ),
    (
        "8-agreement",
        "this compares Simplified and Original ID Merge",
    ),
];
