//! Which rule decided a case, and what would settle it.

use idmerge_core::RuleBook;
use idmerge_migrate::ConflictKind;

/// The rule that decided a case of this kind.
pub(super) fn rule(kind: ConflictKind, rule_book: RuleBook) -> &'static str {
    let is_legacy = rule_book == RuleBook::Legacy;
    match kind {
        ConflictKind::Contradicted if rule_book == RuleBook::Simplified => "S-7",
        ConflictKind::Contradicted => "O-11",
        ConflictKind::NonUuid => "O-8",
        ConflictKind::OverCap => "O-12",
        ConflictKind::RefusedAlias if is_legacy => "L-6",
        ConflictKind::RefusedAlias => "O-9",
        ConflictKind::Loop if is_legacy => "L-5",
        ConflictKind::Loop if rule_book != RuleBook::Simplified => "O-7",
        _ => "S-9",
    }
}

/// What a person can do about a case of this kind.
pub(super) fn what_would_settle_it(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Contradicted => {
            "The device stays with the user in chosen, who had it first. If it is the other user's device, \
             leave out the line that gave it to the first one; `idmerge store retract` does that in a store. \
             A shared device needs a call of reset() when a user logs out."
        }
        ConflictKind::NonUuid => {
            "--anon-id-format sdk takes the anonymous IDs of older SDKs too. If the anonymous ID is a user ID, \
             the sender called identify() for a second user without reset() in between."
        }
        ConflictKind::OverCap => {
            "If the IDs are one person, --max-cluster-ids N takes larger clusters. If many people share one \
             of them, such as a test account, name that ID in --blocked-ids +FILE."
        }
        ConflictKind::RefusedAlias => {
            "The alias belongs to the ID in chosen, for which it was used first. If that was a mistake, leave \
             out that line; `idmerge store retract` does that in a store. The other ID needs an alias of its own."
        }
        ConflictKind::Loop => {
            "The line names one ID twice, and says nothing. If it should join two IDs, correct the sender."
        }
        _ => {
            "Decide which of the users is the person, and send that ID from now on. If one of the IDs is a \
             device, send it as such. Simplified joins no two users: --engine original does, and `idmerge \
             migrate` gives the events of one to the other (--on-conflict oldest --rewrite-users)."
        }
    }
}
