//! Law 1, and law 7 for snapshots.

use idmerge_core::{IdentityResolver, RuleBook};
use proptest::prelude::*;

use crate::check::{Check, Differences, Make, apply, clusters_of, snapshot_of};
use crate::generate::{CLAIMS_MAX, claims, for_all};
use crate::settings::EngineSettings;
use crate::vectors::{OwnedClaim, show};

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![
        ("1-replay", Box::new(move |make| replay(rule_book, make))),
        (
            "7-damaged-snapshot-leaves-no-trace",
            Box::new(move |make| damaged(rule_book, make)),
        ),
    ]
}

/// Law 1: the same claims give the same state, also if a snapshot is written and read in between.
fn replay(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    for_all(
        &(
            claims(rule_book, make, CLAIMS_MAX),
            any::<prop::sample::Index>(),
        ),
        |((settings, claims), at)| {
            let (mut one, mut two) = (make(settings), make(settings));
            let stop = at.index(claims.len() + 1);
            for claim in &claims[..stop] {
                apply(&mut *one, claim)?;
                apply(&mut *two, claim)?;
            }
            let mut differences = Differences::default();
            let bytes = snapshot_of(&*one)?;
            differences.expect("the snapshot of a replay", &bytes, &snapshot_of(&*two)?);

            let mut restored = another_state(settings, make)?;
            let mut source = &*[&bytes[..], b"more"].concat();
            if let Err(error) = restored.read_snapshot(&mut source) {
                differences.expect("reading a snapshot", &String::new(), &error.to_string());
            }
            differences.expect("what follows the snapshot", &&b"more"[..], &source);
            compare_continuations(&mut *one, &mut *restored, &claims[stop..], &mut differences)?;
            differences.into_result()
        },
        |((settings, claims), at)| {
            let stop = at.index(claims.len() + 1);
            let vector = show::as_vector(rule_book, settings, claims);
            format!("with a snapshot before claim {stop}, {vector}")
        },
    )
}

/// An engine with another state, so that parts which a snapshot does not replace are noticed.
pub(super) fn another_state(
    settings: &EngineSettings,
    make: &Make,
) -> Result<Box<dyn IdentityResolver>, String> {
    let mut engine = make(settings);
    for claim in [OwnedClaim::Merge, OwnedClaim::Link, OwnedClaim::Identify] {
        apply(&mut *engine, &claim("other".to_owned(), "ids".to_owned()))?;
    }
    Ok(engine)
}

/// Applies the claims to both engines, and compares their outcomes and states.
pub(super) fn compare_continuations(
    one: &mut dyn IdentityResolver,
    restored: &mut dyn IdentityResolver,
    claims: &[OwnedClaim],
    differences: &mut Differences,
) -> Result<(), String> {
    for claim in claims {
        let outcome = |engine: &mut dyn IdentityResolver| {
            let outcome = engine.apply(claim.as_claim());
            outcome.map(|outcome| format!("{outcome:?}")).ok()
        };
        let of = format!("from a snapshot, the outcome of {}", claim.to_toml());
        differences.expect(&of, &outcome(one), &outcome(restored));
    }
    let of = "from a snapshot, the clusters";
    differences.expect(of, &clusters_of(one), &clusters_of(restored));
    let of = "from a snapshot, the snapshot";
    differences.expect(of, &snapshot_of(one)?, &snapshot_of(restored)?);
    Ok(())
}

/// Law 7, for snapshots: a snapshot that is cut off, changed or over the limit is an error, and
/// leaves the state as it was.
fn damaged(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    let place = || any::<prop::sample::Index>();
    for_all(
        &(claims(rule_book, make, CLAIMS_MAX), place(), 1..=255_u8),
        |((settings, claims), place, change)| {
            let mut engine = make(settings);
            for claim in claims {
                apply(&mut *engine, claim)?;
            }
            let before = snapshot_of(&*engine)?;
            let mut changed = before.clone();
            *place.get_mut(&mut changed) ^= change;
            let cut_off = &before[..place.index(before.len())];
            let mut differences = Differences::default();
            for (wrong, bytes) in [("changed", &*changed), ("cut off", cut_off)] {
                let read = engine.read_snapshot(&mut &*bytes);
                differences.expect(
                    &format!("a snapshot that is {wrong} is read"),
                    &false,
                    &read.is_ok(),
                );
                differences.expect("the state after it", &before, &snapshot_of(&*engine)?);
            }
            let largest = engine.clusters().map(|cluster| cluster.members.len()).max();
            if let Some(largest) = largest
                && rule_book == RuleBook::Original
            {
                let mut smaller = make(&EngineSettings {
                    max_cluster_ids: u32::try_from(largest - 1).unwrap_or(u32::MAX),
                    ..settings.clone()
                });
                let read = smaller.read_snapshot(&mut &*before);
                differences.expect("a snapshot over the limit is read", &false, &read.is_ok());
            }
            differences.into_result()
        },
        |((settings, claims), place, change)| {
            let vector = show::as_vector(rule_book, settings, claims);
            format!("with {place:?} changed by {change}, {vector}")
        },
    )
}
