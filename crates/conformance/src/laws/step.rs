//! Laws over the state before and after one claim: laws 2 to 7.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{DistinctId, Id, IdentityResolver, RuleBook};

use crate::check::{Applied, Check, Differences, Make, apply, clusters_of, snapshot_of};
use crate::generate::{all_ids, claims, for_all};
use crate::settings::EngineSettings;
use crate::vectors::{OwnedClaim, show};

/// How many claims a random sequence has at most.
const CLAIMS_MAX: usize = 40;

/// A law over the state before and after one claim.
type StepLaw = fn(&Step<'_>, &mut Differences);

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    let common: &[(&'static str, StepLaw)] = &[
        ("2-idempotence", idempotence),
        ("3-monotone", monotone),
        ("4-canonical-is-a-member", canonical_is_a_member),
        ("7-rejected-leaves-no-trace", rejected_leaves_no_trace),
    ];
    let own: &[(&'static str, StepLaw)] = match rule_book {
        RuleBook::Simplified => &[("6-one-user-per-device", one_user_per_device)],
        RuleBook::Original => &[("5-bounded", bounded)],
        _ => &[],
    };
    let mut trials: Vec<Check> = Vec::new();
    for &(name, law) in common.iter().chain(own) {
        trials.push((
            name,
            Box::new(move |make| after_every_claim(rule_book, make, law)),
        ));
    }
    trials
}

/// What a law can look at: one claim, what came of it, and the engine before and after.
struct Step<'s> {
    settings: &'s EngineSettings,
    claim: &'s OwnedClaim,
    applied: Applied,
    before: &'s dyn IdentityResolver,
    after: &'s dyn IdentityResolver,
    /// An engine that was given the claim once more.
    repeated: &'s dyn IdentityResolver,
    applied_again: Applied,
}

/// Both spellings of every id.
fn distinct_ids() -> impl Iterator<Item = DistinctId<'static>> {
    all_ids()
        .flat_map(Id::new)
        .flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
}

fn after_every_claim(rule_book: RuleBook, make: &Make, law: StepLaw) -> Result<(), String> {
    for_all(
        &claims(rule_book, CLAIMS_MAX),
        |(settings, claims)| {
            // Three engines, one claim apart: before, after, and after the claim came twice.
            let (mut before, mut after) = (make(settings), make(settings));
            for (number, claim) in claims.iter().enumerate() {
                let mut repeated = make(settings);
                for earlier in &claims[..number] {
                    apply(&mut *repeated, earlier)?;
                }
                apply(&mut *repeated, claim)?;
                let applied = apply(&mut *after, claim)?;
                let applied_again = apply(&mut *repeated, claim)?;
                let mut differences = Differences::default();
                let step = Step {
                    settings,
                    claim,
                    applied,
                    before: &*before,
                    after: &*after,
                    repeated: &*repeated,
                    applied_again,
                };
                law(&step, &mut differences);
                differences
                    .into_result()
                    .map_err(|what| format!("after claim {number}: {what}"))?;
                apply(&mut *before, claim)?;
            }
            Ok(())
        },
        |(settings, claims)| show::as_vector(rule_book, settings, claims),
    )
}

/// Law 2: an event twice in a row changes nothing the second time, and is rejected only if it was
/// the first time.
fn idempotence(step: &Step<'_>, differences: &mut Differences) {
    if step.applied.accepted {
        let of = format!("{} a second time is accepted", step.claim.to_toml());
        differences.expect(&of, &true, &step.applied_again.accepted);
    }
    differences.expect(
        "the state after the claim came twice",
        &snapshot_of(step.after),
        &snapshot_of(step.repeated),
    );
    differences.expect(
        "the clusters after the claim came twice",
        &clusters_of(step.after),
        &clusters_of(step.repeated),
    );
}

/// Law 3: two IDs that resolve to the same ID once do so for ever.
fn monotone(step: &Step<'_>, differences: &mut Differences) {
    let mut groups: BTreeMap<DistinctId<'_>, Vec<DistinctId<'_>>> = BTreeMap::new();
    for id in distinct_ids() {
        groups.entry(step.before.resolve(id)).or_default().push(id);
    }
    for group in groups.values() {
        let now: BTreeSet<_> = group.iter().map(|&id| step.after.resolve(id)).collect();
        differences.expect(&format!("how many users {group:?} are"), &1, &now.len());
    }
}

/// Law 4: the canonical ID is its own, and a member of its cluster, which all members agree on.
fn canonical_is_a_member(step: &Step<'_>, differences: &mut Differences) {
    let engine = step.after;
    for id in distinct_ids() {
        let canonical = engine.resolve(id);
        let of = format!("what the canonical ID of {id} resolves to");
        differences.expect(&of, &canonical, &engine.resolve(canonical));
        if let Some(cluster) = engine.cluster(id) {
            let of = format!("the canonical ID of the cluster of {id}");
            differences.expect(&of, &canonical, &cluster.canonical);
            let of = format!("the canonical ID of {id} is a member of its cluster");
            differences.expect(&of, &true, &cluster.members.contains(&canonical));
            let of = format!("{id} resolves to another ID, or is a member itself");
            let is_member = cluster.members.contains(&id) || canonical != id;
            differences.expect(&of, &true, &is_member);
        }
    }
    let mut members = BTreeSet::new();
    for cluster in engine.clusters() {
        for member in &cluster.members {
            let of = format!("{member} is in one cluster only");
            differences.expect(&of, &true, &members.insert(*member));
            let of = format!("what {member} resolves to");
            differences.expect(&of, &cluster.canonical, &engine.resolve(*member));
        }
    }
}

/// Law 5: no cluster ever has more than the limit.
fn bounded(step: &Step<'_>, differences: &mut Differences) {
    let limit = step.settings.max_cluster_ids as usize;
    for cluster in step.after.clusters() {
        let of = format!("{:?} has at most {limit} members", cluster.members);
        differences.expect(&of, &true, &(cluster.members.len() <= limit));
    }
}

/// Law 6: the first link wins, and no cluster has two users.
fn one_user_per_device(step: &Step<'_>, differences: &mut Differences) {
    for cluster in step.before.clusters() {
        for device in cluster.members.iter().filter(|id| id.is_device()) {
            let of = format!("whose {device} is");
            differences.expect(&of, &cluster.canonical, &step.after.resolve(*device));
        }
    }
    for cluster in step.after.clusters() {
        let users = cluster.members.iter().filter(|id| !id.is_device());
        let of = format!("how many users {:?} has", cluster.members);
        differences.expect(&of, &1, &users.count());
    }
}

/// Law 7: what is rejected or ignored leaves the state equal, byte for byte of a snapshot.
fn rejected_leaves_no_trace(step: &Step<'_>, differences: &mut Differences) {
    if step.applied.must_not_change {
        differences.expect(
            "the state after a claim that may not change it",
            &snapshot_of(step.before),
            &snapshot_of(step.after),
        );
        differences.expect(
            "the clusters after a claim that may not change them",
            &clusters_of(step.before),
            &clusters_of(step.after),
        );
    }
}
