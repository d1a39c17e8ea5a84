//! Compares an engine with the oracle: every outcome, canonical ID and cluster, after every claim.

pub(crate) mod exhaustive;

use idmerge_core::{DistinctId, Id, IdentityResolver, InvalidEvent, Reading, RuleBook};

use crate::check::{Check, Differences, Make, clusters_of};
use crate::generate::{CLAIMS_MAX, all_ids, claims, events, for_all, for_all_times};
use crate::oracle::oracle;
use crate::settings::EngineSettings;
use crate::vectors::{OwnedClaim, outcome_text, show};

/// The number of random events for each random sequence of claims. A mistake in reading may show
/// only in one event of a hundred.
const EVENTS_A_CASE: u32 = 20;

/// The comparisons with the oracle of a built-in rule book.
pub(crate) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![
        ("reading", Box::new(move |make| reading(rule_book, make))),
        (
            "claims",
            Box::new(move |make| random_claims(rule_book, make)),
        ),
    ]
}

fn reading(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    for_all_times(
        EVENTS_A_CASE,
        &events(),
        |(settings, event)| {
            let (engine, oracle) = (make(settings), built_in_oracle(rule_book, settings)?);
            let mut differences = Differences::default();
            differences.expect(
                "the reading",
                &comparable(oracle.read(event)),
                &comparable(engine.read(event)),
            );
            differences.into_result()
        },
        |(settings, event)| format!("{event:#?}\nwith max_id_bytes = {}", settings.max_id_bytes),
    )
}

/// A reading in which an invalid event is only the rule and the property. An engine may quote the
/// value as it likes.
pub(crate) fn comparable(
    reading: Result<Reading<'_>, InvalidEvent>,
) -> Result<Reading<'_>, String> {
    reading.map_err(|refused| format!("{} {}", refused.rule(), refused.property()))
}

fn random_claims(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    for_all(
        &claims(rule_book, make, CLAIMS_MAX),
        |(settings, claims)| {
            let mut oracle = built_in_oracle(rule_book, settings)?;
            same_as_oracle(&mut *make(settings), &mut *oracle, claims)
        },
        |(settings, claims)| show::as_vector(rule_book, settings, claims),
    )
}

fn built_in_oracle(
    rule_book: RuleBook,
    settings: &EngineSettings,
) -> Result<Box<dyn IdentityResolver>, String> {
    oracle(rule_book, settings).ok_or_else(|| format!("there is no oracle for {rule_book}"))
}

/// Applies the claims to both, and compares them after each claim.
pub(crate) fn same_as_oracle(
    engine: &mut dyn IdentityResolver,
    oracle: &mut dyn IdentityResolver,
    claims: &[OwnedClaim],
) -> Result<(), String> {
    for (number, claim) in claims.iter().enumerate() {
        let mut differences = Differences::default();
        apply_both(claim, engine, oracle, all_ids(), &mut differences);
        differences
            .into_result()
            .map_err(|what| format!("after claim {number}: {what}"))?;
    }
    Ok(())
}

/// Applies one claim to both, and compares all answers about these IDs.
pub(crate) fn apply_both<'i>(
    claim: &OwnedClaim,
    engine: &mut dyn IdentityResolver,
    oracle: &mut dyn IdentityResolver,
    ids: impl Iterator<Item = &'i str>,
    differences: &mut Differences,
) {
    let outcome = |resolver: &mut dyn IdentityResolver| match resolver.apply(claim.as_claim()) {
        Ok(outcome) => format!("{} {outcome:?}", outcome_text(&outcome)),
        Err(error) => error.to_string(),
    };
    differences.expect("the outcome", &outcome(oracle), &outcome(engine));
    let clusters = clusters_of(oracle);
    differences.expect("the clusters", &clusters, &clusters_of(engine));
    for id in ids.flat_map(Id::new) {
        for id in [DistinctId::plain(id), DistinctId::device(id)] {
            let of = format!("what {id} resolves to");
            differences.expect(&of, &oracle.resolve(id), &engine.resolve(id));
            let of = format!("the cluster of {id}");
            differences.expect(&of, &oracle.cluster(id), &engine.cluster(id));
        }
    }
}
