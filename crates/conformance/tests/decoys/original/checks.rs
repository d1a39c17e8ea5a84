//! Mistakes in the checks O-7 to O-11: their order, and what they look at.

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{Claim, Id, Outcome, Rejection};

use super::{identify, ids_of};
use crate::decoy::{Mistake, id, judge, keep, rejects, weigh};
use crate::events::with_ids;
use crate::memory::{holder, known};

const SAME_IDS: &str = "errSameIDs";
const NO_GUID: &str = "errAnonDistinctIdNonGUIDForm";
const ASSIGNED: &str = "errAnonDistinctIdAssignedAlready";
const ALIAS_EXISTS: &str = "errAliasAlreadyExists";
const MANY_IDS: &str = "errManyIDs";

/// The claim with somebody else in the first place, whom no event names.
fn of_a_stranger(claim: Claim<'_>) -> Claim<'_> {
    let first = ids_of(claim).map(|[first, _]| first);
    with_ids(claim, |other| match first {
        Some(first) if first == other => id("a stranger"),
        _ => other,
    })
}

/// The claim as a `$merge`, to which fewer checks apply.
fn as_merge(claim: Claim<'_>) -> Claim<'_> {
    match ids_of(claim) {
        Some([first, second]) => Claim::Merge { first, second },
        None => claim,
    }
}

/// Never merges: what it would have to remember, it forgets.
#[derive(Default)]
pub(crate) struct Hermit;

impl Mistake for Hermit {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        judge(oracle, claim)
    }
}

/// Looks at the form of the anonymous id (O-8) before it asks whether both are the same (O-7).
#[derive(Default)]
pub(crate) struct FormBeforeSame;

impl Mistake for FormBeforeSame {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        if let Claim::Identify { anon, .. } = claim
            && rejects(oracle, claim, SAME_IDS)
        {
            let identified = id("a stranger");
            let other = Claim::Identify { identified, anon };
            if rejects(oracle, other, NO_GUID) {
                return judge(oracle, other);
            }
        }
        weigh(oracle, claim)
    }
}

/// Asks whose the anonymous id is (O-11) before whether both are one user already (O-10).
#[derive(Default)]
pub(crate) struct AssignedBeforeMerged;

impl Mistake for AssignedBeforeMerged {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let other = of_a_stranger(claim);
        if judge(oracle, claim) == Outcome::AlreadyMerged && rejects(oracle, other, ASSIGNED) {
            return judge(oracle, other);
        }
        weigh(oracle, claim)
    }
}

/// Counts members (O-12) before it asks whose the anonymous id is (O-11).
#[derive(Default)]
pub(crate) struct LimitBeforeAssigned;

impl Mistake for LimitBeforeAssigned {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let merge = as_merge(claim);
        if rejects(oracle, claim, ASSIGNED) && rejects(oracle, merge, MANY_IDS) {
            return judge(oracle, merge);
        }
        weigh(oracle, claim)
    }
}

/// Counts members (O-12) before it asks whether the alias is free (O-9).
#[derive(Default)]
pub(crate) struct LimitBeforeAlias;

impl Mistake for LimitBeforeAlias {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let merge = as_merge(claim);
        if rejects(oracle, claim, ALIAS_EXISTS) && rejects(oracle, merge, MANY_IDS) {
            return judge(oracle, merge);
        }
        weigh(oracle, claim)
    }
}

/// Has no check O-9: an alias may be used for several users.
#[derive(Default)]
pub(crate) struct AliasTwice;

impl Mistake for AliasTwice {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        if rejects(oracle, claim, ALIAS_EXISTS) {
            // The alias has its mark already.
            return weigh(oracle, as_merge(claim));
        }
        weigh(oracle, claim)
    }
}

/// Forgets the exception of O-9: an alias that is repeated for its own user is rejected.
#[derive(Default)]
pub(crate) struct AliasOnlyOnce;

impl Mistake for AliasOnlyOnce {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let other = of_a_stranger(claim);
        if judge(oracle, claim) == Outcome::AlreadyMerged && rejects(oracle, other, ALIAS_EXISTS) {
            return judge(oracle, other);
        }
        weigh(oracle, claim)
    }
}

/// Asks in O-11 whether the anonymous id is marked, and not whether its cluster holds a mark.
#[derive(Default)]
pub(crate) struct AsksOneIdAlone;

impl Mistake for AsksOneIdAlone {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        if let Claim::Identify { identified, anon } = claim
            && rejects(oracle, claim, ASSIGNED)
            && known(oracle, anon).is_none_or(|anon| !anon.identified)
        {
            return identify(oracle, identified, anon);
        }
        weigh(oracle, claim)
    }
}

/// Binds `$merge` by a guardrail of `$identify` (O-18).
#[derive(Default)]
pub(crate) struct GuardsMergeToo;

impl Mistake for GuardsMergeToo {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        if let Claim::Merge { first, second } = claim {
            let other = Claim::Identify {
                identified: first,
                anon: second,
            };
            if rejects(oracle, other, ASSIGNED) {
                return judge(oracle, other);
            }
        }
        weigh(oracle, claim)
    }
}

/// Takes an anonymous id for one of the right form if another spelling of it has that form.
fn takes_for(
    oracle: &mut OriginalOracle,
    claim: Claim<'_>,
    spelling: impl Fn(&str) -> String,
) -> Outcome<'static> {
    let Claim::Identify { identified, anon } = claim else {
        return weigh(oracle, claim);
    };
    let other = Claim::Identify {
        identified: id("a stranger"),
        anon: id(&spelling(&anon.text())),
    };
    if !rejects(oracle, claim, NO_GUID) || rejects(oracle, other, NO_GUID) {
        return weigh(oracle, claim);
    }
    // Only O-8 is passed over; O-11 comes after O-10.
    let merged = judge(oracle, as_merge(claim)) == Outcome::AlreadyMerged;
    if let Some(holder) = holder(oracle, anon)
        && !merged
    {
        let anon = keep(anon);
        return Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { anon, holder });
    }
    identify(oracle, identified, anon)
}

/// Has no check O-8: any id may be anonymous.
#[derive(Default)]
pub(crate) struct AnyAnonId;

impl Mistake for AnyAnonId {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let uuid = "8c14f0f8-2a2d-4b6e-9b1c-0123456789ab".to_owned();
        takes_for(oracle, claim, |_| uuid.clone())
    }
}

/// Takes the form of a UUID without hyphens (ID-6).
#[derive(Default)]
pub(crate) struct UuidWithoutHyphens;

impl Mistake for UuidWithoutHyphens {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        takes_for(oracle, claim, |text| {
            if text.len() != 32 || !text.is_ascii() {
                return text.to_owned();
            }
            let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
            groups.map(|group| &text[group]).join("-")
        })
    }
}

/// Takes a UUID in braces (ID-6).
#[derive(Default)]
pub(crate) struct UuidInBraces;

impl Mistake for UuidInBraces {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        takes_for(oracle, claim, |text| {
            let inner = text
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}'));
            inner
                .filter(|inner| !inner.is_empty())
                .unwrap_or(text)
                .to_owned()
        })
    }
}

/// Takes any version digit for a 4 (ID-6).
#[derive(Default)]
pub(crate) struct UuidOfAnyVersion;

impl Mistake for UuidOfAnyVersion {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        takes_for(oracle, claim, |text| with_digit(text, 14, '4'))
    }
}

/// Takes any variant digit (ID-6).
#[derive(Default)]
pub(crate) struct UuidOfAnyVariant;

impl Mistake for UuidOfAnyVariant {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        takes_for(oracle, claim, |text| with_digit(text, 19, '8'))
    }
}

/// The text with a digit in the place of another.
fn with_digit(text: &str, place: usize, digit: char) -> String {
    let change = |(at, c): (usize, char)| {
        if at == place && c.is_ascii_hexdigit() {
            digit
        } else {
            c
        }
    };
    text.chars().enumerate().map(change).collect()
}

/// Takes UUIDs in lower case alone (ID-6).
#[derive(Default)]
pub(crate) struct LowerCaseUuids;

impl Mistake for LowerCaseUuids {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        if let Claim::Identify { anon, .. } = claim
            && !rejects(oracle, claim, SAME_IDS)
            && anon.text().contains(|c: char| c.is_ascii_uppercase())
        {
            let anon: Id<'static> = keep(anon);
            return Outcome::Rejected(Rejection::AnonDistinctIdNonGuidForm { anon });
        }
        weigh(oracle, claim)
    }
}
