//! Law 9: parts that no claim connects are independent.

use std::collections::BTreeSet;

use idmerge_core::{IdentityResolverExt, RuleBook};

use crate::check::{Check, Differences, Make, apply};
use crate::generate::{claims, for_all};
use crate::vectors::{OwnedClaim, show};

/// How many claims a random sequence has at most.
const CLAIMS_MAX: usize = 40;

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![(
        "9-independence",
        Box::new(move |make| independence(rule_book, make)),
    )]
}

/// Law 9: what no claim connects, however indirectly, does not affect each other.
fn independence(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    for_all(
        &claims(rule_book, CLAIMS_MAX),
        |(settings, claims)| {
            let mut whole = make(settings);
            for claim in claims {
                apply(&mut *whole, claim)?;
            }
            // A claim of the other rule book attempts nothing, and so connects nothing.
            let is_link = |claim: &&OwnedClaim| matches!(claim, OwnedClaim::Link(..));
            let simplified = rule_book == RuleBook::Simplified;
            let own: Vec<_> = claims
                .iter()
                .filter(|claim| is_link(claim) == simplified)
                .collect();
            let mut differences = Differences::default();
            for part in connected_parts(&own) {
                let mut alone = make(settings);
                for claim in part.iter().copied() {
                    apply(&mut *alone, claim)?;
                }
                for id in part.iter().flat_map(|claim| names(claim)) {
                    let Ok(id) = alone.read_id(&id) else {
                        continue;
                    };
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

/// The distinct_ids that a claim names. A device and a user of one text are two.
fn names(claim: &OwnedClaim) -> [String; 2] {
    let [a, b] = claim.ids().map(str::to_owned);
    match claim {
        OwnedClaim::Link(..) => [format!("$device:{a}"), b],
        _ => [a, b],
    }
}

/// The claims, split so that no two parts name one id.
fn connected_parts<'c>(claims: &[&'c OwnedClaim]) -> Vec<Vec<&'c OwnedClaim>> {
    let mut parts: Vec<(BTreeSet<String>, Vec<usize>)> = Vec::new();
    for (number, claim) in claims.iter().enumerate() {
        let mut ids = BTreeSet::from(names(claim));
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
        let parts = connected_parts(&claims.iter().collect::<Vec<_>>());
        let [lone, rest] = &parts[..] else {
            panic!("{parts:?}");
        };
        // The device U is not the user U.
        assert_eq!(*lone, [&claims[2]]);
        assert_eq!(*rest, [&claims[0], &claims[1], &claims[3], &claims[4]]);
    }
}
