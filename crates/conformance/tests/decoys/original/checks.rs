//! Mistakes in the checks O-7 to O-11: their order, and their conditions.

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

/// The claim with its first ID replaced by one that no event names.
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

/// Never merges: it forgets every claim.
#[derive(Default)]
pub(crate) struct Hermit;

impl Mistake for Hermit {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        judge(oracle, claim)
    }
}

/// Checks the form of the anonymous ID (O-8) before it checks for the same ID (O-7).
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

/// Checks for a holder of the anonymous ID (O-11) before it checks for one cluster (O-10).
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

/// Counts members (O-12) before it checks for a holder of the anonymous ID (O-11).
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

/// Counts members (O-12) before it checks whether the alias is free (O-9).
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

/// Lacks check O-9: several users may use one alias.
#[derive(Default)]
pub(crate) struct AliasTwice;

impl Mistake for AliasTwice {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        if rejects(oracle, claim, ALIAS_EXISTS) {
            // The alias is marked already.
            return weigh(oracle, as_merge(claim));
        }
        weigh(oracle, claim)
    }
}

/// Lacks the exception of O-9: rejects an alias that is repeated for its own user.
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

/// Checks in O-11 whether the anonymous ID is marked, instead of any ID of its cluster.
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

/// Applies a guardrail of `$identify` to `$merge` (O-18).
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

/// Accepts an anonymous ID if another spelling of it has the right form.
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
    // Only O-8 is skipped; O-11 comes after O-10.
    let merged = judge(oracle, as_merge(claim)) == Outcome::AlreadyMerged;
    if let Some(holder) = holder(oracle, anon)
        && !merged
    {
        let anon = keep(anon);
        return Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready { anon, holder });
    }
    identify(oracle, identified, anon)
}

/// Lacks check O-8: any ID may be anonymous.
#[derive(Default)]
pub(crate) struct AnyAnonId;

impl Mistake for AnyAnonId {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let uuid = "8c14f0f8-2a2d-4b6e-9b1c-0123456789ab".to_owned();
        takes_for(oracle, claim, |_| uuid.clone())
    }
}

/// Accepts a UUID without hyphens (ID-6).
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

/// Accepts a UUID in braces (ID-6).
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

/// Accepts any version digit (ID-6).
#[derive(Default)]
pub(crate) struct UuidOfAnyVersion;

impl Mistake for UuidOfAnyVersion {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        takes_for(oracle, claim, |text| with_digit(text, 14, '4'))
    }
}

/// Accepts any variant digit (ID-6).
#[derive(Default)]
pub(crate) struct UuidOfAnyVariant;

impl Mistake for UuidOfAnyVariant {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        takes_for(oracle, claim, |text| with_digit(text, 19, '8'))
    }
}

/// The text with one digit replaced.
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

/// Accepts UUIDs in lower case only (ID-6).
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
