//! Clause 7 of the trait's contract: a batch gives the same answers and state as single calls. So does a concurrent
//! reader.

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, RuleBook};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::check::{Check, Differences, Make, clusters_of, snapshot_of};
use crate::generate::{all_ids, claims, for_all};
use crate::settings::EngineSettings;
use crate::vectors::{OwnedClaim, show};

/// The longest random sequence of claims: longer than the batches that an engine is likely to look
/// at together.
const CLAIMS_MAX: usize = 100;

/// The largest batch of IDs to resolve.
const IDS_MAX: usize = 100;

/// IDs that no claim names.
const STRANGERS: [&str; 2] = ["nobody", "00000009-0000-4000-8000-000000000000"];

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![(
        "batch-is-one-by-one",
        Box::new(move |make| one_by_one(rule_book, make)),
    )]
}

fn one_by_one(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    // There are few IDs, so most batches name one twice, and have claims that depend on earlier
    // claims of the batch.
    let lengths = prop::collection::vec(prop_oneof![0..4_usize, 0..=CLAIMS_MAX], 0..30);
    let ids = prop::collection::vec(any::<Index>(), 0..IDS_MAX);
    let new_ids_every = prop_oneof![Just(CLAIMS_MAX), 1..10_usize];
    let claims = (claims(rule_book, make, CLAIMS_MAX), new_ids_every);
    let claims = claims.prop_map(|((settings, claims), every)| {
        let claims = claims.iter().enumerate();
        let claims = claims.map(|(number, claim)| with_ids_of(claim, number / every));
        (settings, claims.collect::<Vec<_>>())
    });
    for_all(
        &(claims, lengths, ids),
        |((settings, claims), lengths, ids)| {
            batches_are_one_by_one(make, settings, &batches(claims, lengths), ids)
        },
        |((settings, claims), lengths, ids)| {
            let lengths: Vec<usize> = batches(claims, lengths).iter().map(|b| b.len()).collect();
            let ids = ids_at(ids);
            let vector = show::as_vector(rule_book, settings, claims);
            format!("in batches of {lengths:?}, resolving {ids:?}, {vector}")
        },
    )
}

/// The claim with the IDs of this group. With the same few IDs to the end, every device soon has a
/// user, and no claim late in a long batch changes anything.
fn with_ids_of(claim: &OwnedClaim, group: usize) -> OwnedClaim {
    claim.map_ids(|id| match id.get(..32) {
        _ if group == 0 => id.to_owned(),
        // A UUID remains one, because Original looks at the form.
        Some(beginning) if id.len() == 36 => format!("{beginning}{group:04x}"),
        _ => format!("{id}-{group}"),
    })
}

/// Splits the claims into batches of these lengths, and one batch with the rest.
fn batches<'c>(claims: &'c [OwnedClaim], lengths: &[usize]) -> Vec<&'c [OwnedClaim]> {
    let mut rest = claims;
    let mut batches = Vec::new();
    for &length in lengths {
        let (batch, after) = rest.split_at(length.min(rest.len()));
        batches.push(batch);
        rest = after;
    }
    batches.push(rest);
    batches
}

/// Known and unknown IDs, with and without the prefix, some of them twice.
fn ids_at(places: &[Index]) -> Vec<DistinctId<'static>> {
    let all: Vec<_> = all_ids()
        .chain(STRANGERS)
        .flat_map(Id::new)
        .flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
        .collect();
    places.iter().map(|place| *place.get(&all)).collect()
}

fn batches_are_one_by_one(
    make: &Make,
    settings: &EngineSettings,
    batches: &[&[OwnedClaim]],
    ids: &[Index],
) -> Result<(), String> {
    let (mut one_by_one, mut batched) = (make(settings), make(settings));
    for (number, batch) in batches.iter().enumerate() {
        let mut want = Vec::new();
        for claim in *batch {
            let outcome = one_by_one.apply(claim.as_claim());
            let outcome = outcome.map_err(|error| error.to_string())?;
            want.push(format!("{outcome:?}"));
        }
        let batch: Vec<Claim<'_>> = batch.iter().map(OwnedClaim::as_claim).collect();
        let mut got = Vec::new();
        batched
            .apply_batch(&batch, &mut |outcome| got.push(format!("{outcome:?}")))
            .map_err(|error| format!("batch {number}: {error}"))?;

        let mut differences = Differences::default();
        differences.expect("the outcomes", &want, &got);
        differences.expect(
            "the snapshot",
            &snapshot_of(&*one_by_one)?,
            &snapshot_of(&*batched)?,
        );
        differences.expect(
            "the clusters",
            &clusters_of(&*one_by_one),
            &clusters_of(&*batched),
        );
        resolved(&*one_by_one, &*batched, &ids_at(ids), &mut differences);
        differences
            .into_result()
            .map_err(|what| format!("after batch {number}: {what}"))?;
    }
    Ok(())
}

/// Compares the canonical IDs that both engines give, one by one and in a batch, and those that their concurrent readers
/// give, if they have any: each calls once, with the same answer.
fn resolved(
    one_by_one: &dyn IdentityResolver,
    batched: &dyn IdentityResolver,
    ids: &[DistinctId<'static>],
    differences: &mut Differences,
) {
    for (of, engine) in [
        ("what a batch of ids resolves to", one_by_one),
        ("after batches, what a batch of ids resolves to", batched),
    ] {
        let want: Vec<_> = ids.iter().map(|id| one_by_one.resolve(*id)).collect();
        let mut got = ids.to_vec();
        engine.resolve_batch(&mut got);
        differences.expect(of, &want, &got);
    }
    for (of, engine) in [
        ("what a concurrent reader answers", one_by_one),
        ("after batches, what a concurrent reader answers", batched),
    ] {
        let Some(reader) = engine.concurrent_reader() else {
            continue;
        };
        let want: Vec<_> = ids
            .iter()
            .map(|id| vec![one_by_one.resolve(*id).to_buf()])
            .collect();
        let answers = ids.iter().map(|id| {
            let mut answers = Vec::new();
            reader.resolve(id, &mut |canonical| answers.push(canonical.to_buf()));
            answers
        });
        differences.expect(of, &want, &answers.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_have_all_claims_in_order() {
        let claims: Vec<_> = (0..5)
            .map(|n| OwnedClaim::Merge(n.to_string(), "a".to_owned()))
            .collect();
        let lengths = |lengths: &[usize]| -> Vec<usize> {
            let batches = batches(&claims, lengths);
            assert_eq!(batches.concat(), claims);
            batches.iter().map(|batch| batch.len()).collect()
        };
        assert_eq!(lengths(&[]), [5]);
        assert_eq!(lengths(&[0, 2, 0, 1]), [0, 2, 0, 1, 2]);
        assert_eq!(lengths(&[4, 9, 3]), [4, 1, 0, 0]);
    }
}
