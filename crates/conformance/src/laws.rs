//! The laws of the rule book (section 7) and of the trait's contract, on random claims.

mod agreement;
mod batches;
mod independence;
mod replay;
mod step;

use idmerge_core::RuleBook;

use crate::check::Check;

/// The laws that engines of this rule book keep, by number.
pub(crate) fn trials(rule_book: RuleBook) -> Vec<Check> {
    let mut trials = step::trials(rule_book);
    trials.extend(replay::trials(rule_book));
    trials.extend(agreement::trials());
    trials.extend(independence::trials(rule_book));
    trials.extend(batches::trials(rule_book));
    trials.sort_by_key(|(name, _)| *name);
    trials
}
