//! Law 9: parts that no claim connects are independent.

use std::collections::BTreeSet;

use idmerge_core::RuleBook;

use crate::check::{Check, Differences, Make, apply};
use crate::generate::{CLAIMS_MAX, claims, for_all};
use crate::vectors::{OwnedClaim, show};

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![(
        "9-independence",
        Box::new(move |make| independence(rule_book, make)),
    )]
}

/// Law 9: parts that no claim connects, not even indirectly, do not affect each other.
fn independence(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    for_all(
        &claims(rule_book, make, CLAIMS_MAX),
        |(settings, claims)| {
            let mut whole = make(settings);
            for claim in claims {
                apply(&mut *whole, claim)?;
            }
            // A claim of another rule book attempts nothing, and so connects nothing.
            let own: Vec<_> = claims
                .iter()
                .filter(|claim| rule_book.weighs(claim.as_claim().kind()))
                .collect();
            let mut differences = Differences::default();
            for part in connected_parts(&own, rule_book) {
                let mut alone = make(settings);
                for claim in part.iter().copied() {
                    apply(&mut *alone, claim)?;
                }
                for id in part.iter().flat_map(|claim| claim.as_claim().ids()) {
                    let of = format!("alone, what {id} resolves to");
                    differences.expect(&of, &whole.resolve(id), &alone.resolve(id));
                    let of = format!("alone, the cluster of {id}");
                    differences.expect(&of, &whole.cluster(id), &alone.cluster(id));
                }
            }
            differences.into_result()
        },
        |(settings, claims)| show::as_vector(rule_book, settings, claims),
    )
}

/// The IDs that a claim names. In Simplified ID Merge a device and a user with the same text are
/// two. A custom model may take them for one, so there one text is one ID: this can only make parts
/// larger.
fn names(claim: &OwnedClaim, rule_book: RuleBook) -> [String; 2] {
    match rule_book {
        RuleBook::Simplified => claim.as_claim().ids().map(|id| id.to_string()),
        _ => claim.ids().map(str::to_owned),
    }
}

/// Splits the claims so that no two parts name one ID.
fn connected_parts<'c>(claims: &[&'c OwnedClaim], rule_book: RuleBook) -> Vec<Vec<&'c OwnedClaim>> {
    let mut parts: Vec<(BTreeSet<String>, Vec<usize>)> = Vec::new();
    for (number, claim) in claims.iter().enumerate() {
        let mut ids = BTreeSet::from(names(claim, rule_book));
        let mut numbers = vec![number];
        parts.retain_mut(|(other_ids, other_numbers)| {
            let connected = !ids.is_disjoint(other_ids);
            if connected {
                ids.append(other_ids);
                numbers.append(other_numbers);
            }
            !connected
        });
        numbers.sort_unstable();
        parts.push((ids, numbers));
    }
    parts
        .into_iter()
        .map(|(_, numbers)| numbers.into_iter().map(|number| claims[number]).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_connected_and_keep_their_order() {
        let link = |device: &str, user: &str| OwnedClaim::Link(device.to_owned(), user.to_owned());
        let claims = [
            link("a", "U"),
            link("b", "V"),
            link("U", "W"),
            link("c", "U"),
            link("c", "V"),
        ];
        let parts = connected_parts(&claims.iter().collect::<Vec<_>>(), RuleBook::Simplified);
        let [lone, rest] = &parts[..] else {
            panic!("{parts:?}");
        };
        // The device U is not the user U.
        assert_eq!(*lone, [&claims[2]]);
        assert_eq!(*rest, [&claims[0], &claims[1], &claims[3], &claims[4]]);
    }
}
