//! Laws over the state before and after one claim: laws 2 to 7, and the meaning of the outcomes.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{DistinctId, Id, IdentityResolver, RuleBook};

use crate::check::{Applied, Check, Differences, Make, apply, clusters_of, snapshot_of};
use crate::generate::{CLAIMS_MAX, all_ids, claims, for_all};
use crate::settings::EngineSettings;
use crate::vectors::{OwnedClaim, show};

/// A law over the state before and after one claim.
type StepLaw = fn(&Step<'_>, &mut Differences);

/// The laws of every model.
const COMMON: &[(&str, StepLaw)] = &[
    ("2-idempotence", idempotence),
    ("3-monotone", monotone),
    ("4-canonical-is-a-member", canonical_is_a_member),
    ("7-rejected-leaves-no-trace", rejected_leaves_no_trace),
    ("outcome-says-what-happened", outcome_says_what_happened),
];

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    let own: &[(&'static str, StepLaw)] = match rule_book {
        RuleBook::Simplified => &[("6-one-user-per-device", one_user_per_device)],
        RuleBook::Original => &[("5-bounded", bounded)],
        _ => &[],
    };
    let mut trials: Vec<Check> = Vec::new();
    for &(name, law) in COMMON.iter().chain(own) {
        trials.push((
            name,
            Box::new(move |make| after_every_claim(rule_book, make, law)),
        ));
    }
    trials
}

/// One claim, its outcome, and the engine before and after it.
struct Step<'s> {
    settings: &'s EngineSettings,
    claim: &'s OwnedClaim,
    applied: Applied,
    before: &'s dyn IdentityResolver,
    after: &'s dyn IdentityResolver,
    /// An engine that was given the claim twice.
    repeated: &'s dyn IdentityResolver,
    applied_again: Applied,
}

/// Applies a claim to engines that were given the claims before it: to `after` once, to `repeated`
/// twice.
fn step<'s>(
    settings: &'s EngineSettings,
    claim: &'s OwnedClaim,
    before: &'s dyn IdentityResolver,
    after: &'s mut dyn IdentityResolver,
    repeated: &'s mut dyn IdentityResolver,
) -> Result<Step<'s>, String> {
    let applied = apply(after, claim)?;
    apply(repeated, claim)?;
    let applied_again = apply(repeated, claim)?;
    Ok(Step {
        settings,
        claim,
        applied,
        before,
        after,
        repeated,
        applied_again,
    })
}

/// Every ID with and without the prefix.
fn distinct_ids() -> impl Iterator<Item = DistinctId<'static>> {
    all_ids()
        .flat_map(Id::new)
        .flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
}

fn after_every_claim(rule_book: RuleBook, make: &Make, law: StepLaw) -> Result<(), String> {
    for_all(
        &claims(rule_book, make, CLAIMS_MAX),
        |(settings, claims)| {
            // Three engines: before the claim, after it, and after the claim was applied twice.
            let (mut before, mut after) = (make(settings), make(settings));
            for (number, claim) in claims.iter().enumerate() {
                let mut repeated = make(settings);
                for earlier in &claims[..number] {
                    apply(&mut *repeated, earlier)?;
                }
                let step = step(settings, claim, &*before, &mut *after, &mut *repeated)?;
                let mut differences = Differences::default();
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

/// Applies claims and then one more, checks the laws of every model over that one, and law 1, and
/// returns the state after it.
pub(crate) fn laws_hold_after(
    make: &Make,
    settings: &EngineSettings,
    earlier: &[OwnedClaim],
    claim: &OwnedClaim,
) -> Result<Vec<u8>, String> {
    let [mut before, mut after, mut repeated] = [make(settings), make(settings), make(settings)];
    for earlier in earlier {
        for engine in [&mut before, &mut after, &mut repeated] {
            apply(&mut **engine, earlier)?;
        }
    }
    let step = step(settings, claim, &*before, &mut *after, &mut *repeated)?;
    // Law 1: after a snapshot, the claim gives the same state.
    let mut restored = make(settings);
    restored
        .read_snapshot(&mut &*snapshot_of(step.before)?)
        .map_err(|error| error.to_string())?;
    apply(&mut *restored, claim)?;
    let state = snapshot_of(step.after)?;
    let mut differences = Differences::default();
    differences.expect(
        "from a snapshot, the state",
        &state,
        &snapshot_of(&*restored)?,
    );
    for (_, law) in COMMON {
        law(&step, &mut differences);
    }
    differences.into_result()?;
    Ok(state)
}

/// Law 2: a claim that is applied twice in a row changes nothing the second time, and is rejected the
/// second time only if it was rejected the first time.
fn idempotence(step: &Step<'_>, differences: &mut Differences) {
    if step.applied.is_accepted() {
        let of = format!("{} is accepted the second time", step.claim.to_toml());
        differences.expect(&of, &true, &step.applied_again.is_accepted());
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

/// Law 3: two IDs that resolve to one ID do so for ever.
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

/// Law 4, after a claim.
fn canonical_is_a_member(step: &Step<'_>, differences: &mut Differences) {
    state_is_consistent(step.after, differences);
}

/// Law 4: the canonical ID resolves to itself and is a member of its cluster, and all members agree
/// on it. The two ways to ask for clusters agree too.
pub(crate) fn state_is_consistent(engine: &dyn IdentityResolver, differences: &mut Differences) {
    let clusters: Vec<_> = engine.clusters().collect();
    for id in distinct_ids() {
        let canonical = engine.resolve(id);
        let of = format!("what the canonical ID of {id} resolves to");
        differences.expect(&of, &canonical, &engine.resolve(canonical));
        let cluster = engine.cluster(id);
        let members = cluster.as_ref().map_or(0, |cluster| cluster.members.len());
        let of = format!("the number of members of the cluster of {id}");
        differences.expect(&of, &members, &engine.cluster_len(id));
        let of = format!("whether {id} is in a cluster");
        differences.expect(&of, &(members > 0), &engine.is_clustered(id));
        if let Some(cluster) = cluster {
            let of = format!("the canonical ID of the cluster of {id}");
            differences.expect(&of, &canonical, &cluster.canonical);
            let of = format!("the canonical ID of {id} is a member of its cluster");
            differences.expect(&of, &true, &cluster.members.contains(&canonical));
            let of = format!("{id} resolves to another ID, or is a member itself");
            let is_member = cluster.members.contains(&id) || canonical != id;
            differences.expect(&of, &true, &is_member);
            let of = format!("the cluster of {id} is one of all clusters");
            differences.expect(&of, &true, &clusters.contains(&cluster));
        } else {
            let of = format!("what {id} in no cluster resolves to");
            differences.expect(&of, &id.id(), &canonical.id());
        }
    }
    let ids: usize = clusters.iter().map(|cluster| cluster.members.len()).sum();
    let of = "the number of IDs in all clusters";
    differences.expect(of, &ids, &engine.clustered_ids());
    let mut members = BTreeSet::new();
    for cluster in &clusters {
        for member in &cluster.members {
            let of = format!("{member} is in one cluster only");
            differences.expect(&of, &true, &members.insert(*member));
            let of = format!("what {member} resolves to");
            differences.expect(&of, &cluster.canonical, &engine.resolve(*member));
            let of = format!("the cluster of {member}");
            differences.expect(&of, &Some(cluster), &engine.cluster(*member).as_ref());
        }
    }
}

/// Law 5: no cluster ever has more members than the limit.
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
            let of = format!("the user of {device}");
            differences.expect(&of, &cluster.canonical, &step.after.resolve(*device));
        }
    }
    for cluster in step.after.clusters() {
        let users = cluster.members.iter().filter(|id| !id.is_device());
        let of = format!("the number of users of {:?}", cluster.members);
        differences.expect(&of, &1, &users.count());
    }
}

/// Law 7: a rejected or ignored claim leaves the state equal, byte for byte of a snapshot.
fn rejected_leaves_no_trace(step: &Step<'_>, differences: &mut Differences) {
    if matches!(step.applied, Applied::Rejected | Applied::Ignored) {
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

/// After `Merged` and `AlreadyMerged` the two IDs of the claim are one user; before `Merged` they
/// were not, and before `AlreadyMerged` they were.
fn outcome_says_what_happened(step: &Step<'_>, differences: &mut Differences) {
    if !step.applied.is_accepted() {
        return;
    }
    let claim = step.claim.as_claim();
    let [first, second] = claim.ids();
    // A custom model may store the device of a link with the prefix or without.
    let plain = match step.after.rule_book() {
        RuleBook::Simplified | RuleBook::Original | RuleBook::Legacy => first,
        _ => DistinctId::plain(first.id()),
    };
    if plain == second {
        return;
    }
    let are_one = |engine: &dyn IdentityResolver| {
        let user = engine.resolve(second);
        [first, plain].iter().any(|&id| engine.resolve(id) == user)
    };
    let claim = step.claim.to_toml();
    let of = format!("the IDs of {claim} are one user after it was accepted");
    differences.expect(&of, &true, &are_one(step.after));
    let was_merged = matches!(step.applied, Applied::AlreadyMerged);
    let of = format!("the IDs of {claim} were one user before it");
    differences.expect(&of, &was_merged, &are_one(step.before));
}
