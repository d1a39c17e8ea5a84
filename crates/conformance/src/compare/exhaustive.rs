//! Holds an engine to the laws, and compares it with the oracle, on every claim sequence up to a length.
//! Nothing is random.
//!
//! Four IDs, two of them UUIDs, and a limit of three members make 48 claims in Original, and so
//! 48⁴ sequences of length four. Most of them lead to a state that another sequence led to. If two
//! sequences give equal snapshots, of the engine and of the oracle, then they continue alike: a
//! snapshot is the whole state (contract 1 of the trait), and law 1 checks that, because it continues
//! from a snapshot instead of from the claims. So each pair of states is continued once, from the
//! first sequence that led to it. Equal states of the oracle must give equal snapshots of the
//! engine, whichever claims led to them. `IDMERGE_EXHAUSTIVE_CLAIMS=5` in the environment asks for
//! longer sequences.

use std::collections::{HashMap, HashSet};

use idmerge_core::{ClaimKind, RuleBook};

use super::{apply_both, built_in_oracle};
use crate::check::{Check, Differences, Make, snapshot_of};
use crate::laws::laws_hold_after;
use crate::settings::EngineSettings;
use crate::vectors::{OwnedClaim, show};

/// The length of the sequences by default.
const DEFAULT_CLAIMS: usize = 4;

/// The environment variable that asks for longer sequences.
const CLAIMS_VARIABLE: &str = "IDMERGE_EXHAUSTIVE_CLAIMS";

const IDS: [&str; 4] = [
    "u1",
    "u2",
    "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "00000001-0000-4000-b000-000000000000",
];

/// The laws over one claim, for Legacy. They need no oracle. The sequences of Original are too many, and
/// those of Simplified are covered by the comparison.
pub(crate) fn law_trials(rule_book: RuleBook) -> Vec<Check> {
    if rule_book != RuleBook::Legacy {
        return Vec::new();
    }
    vec![(
        "laws-on-every-short-sequence-of-claims",
        Box::new(move |make| laws_on_every_sequence(rule_book, make, claims_max())),
    )]
}

fn laws_on_every_sequence(
    rule_book: RuleBook,
    make: &Make,
    claims_max: usize,
) -> Result<(), String> {
    let settings = small();
    let mut seen = HashSet::new();
    shortest_first(rule_book, claims_max, |before, last| {
        let state = laws_hold_after(make, &settings, before, last).map_err(|what| {
            let claims = sequence(before, last);
            format!("{what}{}", show::as_vector(rule_book, &settings, &claims))
        })?;
        Ok(seen.insert(state))
    })
}

fn small() -> EngineSettings {
    EngineSettings {
        max_cluster_ids: 3,
        ..EngineSettings::default()
    }
}

/// The comparison for a built-in rule book.
pub(crate) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![(
        "every-short-sequence-of-claims",
        Box::new(move |make| every_sequence(rule_book, make, claims_max())),
    )]
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test program takes its own options from the environment only"
)]
fn claims_max() -> usize {
    std::env::var(CLAIMS_VARIABLE)
        .ok()
        .and_then(|claims| claims.parse().ok())
        .unwrap_or(DEFAULT_CLAIMS)
}

/// All claims that a rule book weighs, over the IDs.
fn all_claims(rule_book: RuleBook) -> Vec<OwnedClaim> {
    type New = fn(String, String) -> OwnedClaim;
    let all: [(ClaimKind, New); 4] = [
        (ClaimKind::Link, OwnedClaim::Link),
        (ClaimKind::Identify, OwnedClaim::Identify),
        (ClaimKind::Alias, OwnedClaim::Alias),
        (ClaimKind::Merge, OwnedClaim::Merge),
    ];
    let mut claims = Vec::new();
    for (kind, claim) in all {
        for a in IDS {
            for b in IDS {
                if rule_book.weighs(kind) {
                    claims.push(claim(a.to_owned(), b.to_owned()));
                }
            }
        }
    }
    claims
}

/// Tries all sequences of claims up to a length, the shortest first. `leads_on` checks a sequence, which
/// it gets as the claims before the last one and the last one, and says whether it leads to a new
/// state. If not, the sequence is not continued.
fn shortest_first(
    rule_book: RuleBook,
    claims_max: usize,
    mut leads_on: impl FnMut(&[OwnedClaim], &OwnedClaim) -> Result<bool, String>,
) -> Result<(), String> {
    let claims = all_claims(rule_book);
    // Sequences of one length that led to new states.
    let mut sequences = vec![Vec::new()];
    for _ in 0..claims_max {
        let mut longer = Vec::new();
        for before in &sequences {
            for last in &claims {
                if leads_on(before, last)? {
                    longer.push(sequence(before, last));
                }
            }
        }
        sequences = longer;
    }
    Ok(())
}

fn sequence(before: &[OwnedClaim], last: &OwnedClaim) -> Vec<OwnedClaim> {
    before.iter().chain([last]).cloned().collect()
}

fn every_sequence(rule_book: RuleBook, make: &Make, claims_max: usize) -> Result<(), String> {
    let settings = small();
    let mut seen = HashSet::new();
    let mut engine_states = HashMap::new();
    shortest_first(rule_book, claims_max, |before, last| {
        let states = states_after(rule_book, make, &settings, before, last)?;
        if !seen.insert(states.clone()) {
            return Ok(false);
        }
        let [engine, oracle] = states;
        let (first, led_to) = engine_states
            .entry(oracle)
            .or_insert_with(|| (sequence(before, last), engine.clone()));
        if *led_to != engine {
            return Err(format!(
                "equal states give different snapshots after {first:?}\nand {}",
                show::as_vector(rule_book, &settings, &sequence(before, last))
            ));
        }
        Ok(true)
    })
}

/// Compares after the last claim, and returns the states of the engine and of the oracle.
fn states_after(
    rule_book: RuleBook,
    make: &Make,
    settings: &EngineSettings,
    before: &[OwnedClaim],
    last: &OwnedClaim,
) -> Result<[Vec<u8>; 2], String> {
    let (mut engine, mut oracle) = (make(settings), built_in_oracle(rule_book, settings)?);
    for claim in before {
        for resolver in [&mut engine, &mut oracle] {
            resolver
                .apply(claim.as_claim())
                .map_err(|error| error.to_string())?;
        }
    }
    let mut differences = Differences::default();
    apply_both(
        last,
        &mut *engine,
        &mut *oracle,
        IDS.into_iter(),
        &mut differences,
    );
    differences.into_result().map_err(|what| {
        let claims = sequence(before, last);
        format!("{what}{}", show::as_vector(rule_book, settings, &claims))
    })?;
    Ok([snapshot_of(&*engine)?, snapshot_of(&*oracle)?])
}
