//! The nine laws of the rule book, section 7, on random claims.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{
    DistinctId, Event, Id, IdentityResolver, IdentityResolverExt, Outcome, RuleBook,
};
use proptest::prelude::*;

use crate::compare::Check;
use crate::exhaustive::snapshot_of;
use crate::generate::{all_ids, claims, for_all};
use crate::replay::{Differences, clusters_of};
use crate::suite::Make;
use crate::vectors::OwnedClaim;
use crate::{EngineSettings, show};

/// How many claims a random sequence has at most.
const CLAIMS_MAX: usize = 40;

/// A law over the state before and after one claim.
type StepLaw = fn(&Step<'_>, &mut Differences);

pub(crate) fn trials(rule_book: RuleBook) -> Vec<Check> {
    let mut trials: Vec<Check> = vec![
        ("1-replay", Box::new(move |make| replay(rule_book, make))),
        (
            "7-damaged-snapshot-leaves-no-trace",
            Box::new(move |make| damaged(rule_book, make)),
        ),
        ("8-agreement", Box::new(agreement)),
        (
            "9-independence",
            Box::new(move |make| independence(rule_book, make)),
        ),
    ];
    let step_laws: &[(&'static str, StepLaw)] = match rule_book {
        RuleBook::Simplified => &[("6-one-user-per-device", one_user_per_device)],
        RuleBook::Original => &[("5-bounded", bounded)],
    };
    let common: &[(&'static str, StepLaw)] = &[
        ("2-idempotence", idempotence),
        ("3-monotone", monotone),
        ("4-canonical-is-a-member", canonical_is_a_member),
        ("7-rejected-leaves-no-trace", rejected_leaves_no_trace),
    ];
    for &(name, law) in common.iter().chain(step_laws) {
        trials.push((
            name,
            Box::new(move |make| after_every_claim(rule_book, make, law)),
        ));
    }
    trials.sort_by_key(|(name, _)| *name);
    trials
}

/// What a law can look at: one claim, what came of it, and the engine before and after.
struct Step<'s> {
    settings: &'s EngineSettings,
    claim: &'s OwnedClaim,
    accepted: bool,
    changes_nothing: bool,
    before: &'s dyn IdentityResolver,
    after: &'s dyn IdentityResolver,
    /// An engine that was given the claim once more.
    repeated: &'s dyn IdentityResolver,
    repeated_accepted: bool,
}

/// Both spellings of every id.
fn distinct_ids() -> impl Iterator<Item = DistinctId<'static>> {
    all_ids()
        .filter_map(Id::new)
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
                let [accepted, changes_nothing] = apply(&mut *after, claim)?;
                let [repeated_accepted, _] = apply(&mut *repeated, claim)?;
                let mut differences = Differences::default();
                let step = Step {
                    settings,
                    claim,
                    accepted,
                    changes_nothing,
                    before: &*before,
                    after: &*after,
                    repeated: &*repeated,
                    repeated_accepted,
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

/// Whether the claim was accepted, and whether it may not change anything.
fn apply(engine: &mut dyn IdentityResolver, claim: &OwnedClaim) -> Result<[bool; 2], String> {
    match engine.apply(claim.as_claim()) {
        Ok(outcome) => Ok([
            matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged),
            matches!(outcome, Outcome::Rejected(_) | Outcome::Ignored),
        ]),
        Err(error) => Err(format!("{}: {error}", claim.to_toml())),
    }
}

/// Law 1: the same claims give the same state, also over a snapshot in the midst of them.
fn replay(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    for_all(
        &(claims(rule_book, CLAIMS_MAX), any::<prop::sample::Index>()),
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

            // A state of its own, so that what is not replaced is noticed.
            let mut restored = make(settings);
            apply(
                &mut *restored,
                &OwnedClaim::Merge("other".to_owned(), "ids".to_owned()),
            )?;
            apply(
                &mut *restored,
                &OwnedClaim::Link("other".to_owned(), "ids".to_owned()),
            )?;
            let mut source = &*[&bytes[..], b"more"].concat();
            if let Err(error) = restored.read_snapshot(&mut source) {
                differences.expect("reading a snapshot", &String::new(), &error.to_string());
            }
            differences.expect("what follows the snapshot", &&b"more"[..], &source);
            for claim in &claims[stop..] {
                let outcomes = [&mut one, &mut restored].map(|engine| {
                    let outcome = engine.apply(claim.as_claim());
                    outcome.map(|outcome| format!("{outcome:?}")).ok()
                });
                differences.expect(
                    &format!("from a snapshot, the outcome of {}", claim.to_toml()),
                    &outcomes[0],
                    &outcomes[1],
                );
            }
            differences.expect(
                "from a snapshot, the clusters",
                &clusters_of(&*one),
                &clusters_of(&*restored),
            );
            differences.expect(
                "from a snapshot, the snapshot",
                &snapshot_of(&*one)?,
                &snapshot_of(&*restored)?,
            );
            differences.into_result()
        },
        |((settings, claims), at)| {
            let stop = at.index(claims.len() + 1);
            let vector = show::as_vector(rule_book, settings, claims);
            format!("with a snapshot before claim {stop}, {vector}")
        },
    )
}

/// Law 7, for snapshots: one that is cut off, changed or over the limit is an error, and leaves the
/// state as it was.
fn damaged(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    let place = || any::<prop::sample::Index>();
    for_all(
        &(claims(rule_book, CLAIMS_MAX), place(), 1..=255_u8),
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

/// Law 2: an event twice in a row changes nothing the second time, and is rejected only if it was
/// the first time.
fn idempotence(step: &Step<'_>, differences: &mut Differences) {
    if step.accepted {
        let of = format!("{} a second time is accepted", step.claim.to_toml());
        differences.expect(&of, &true, &step.repeated_accepted);
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
    if step.changes_nothing {
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

/// Law 8: on clean streams the users are those who there really are.
fn agreement(make: &Make) -> Result<(), String> {
    // Who logs in on which of their devices, and how: the device's user is fixed by its number.
    let logins = prop::collection::vec((0..9_usize, any::<bool>()), 0..30);
    for_all(
        &logins,
        |logins| {
            let mut engine = make(&EngineSettings::default());
            let mut truth: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for &(device, sdk_spelling) in logins {
                log_in(&mut *engine, device, sdk_spelling)?;
                let (user, device) = (user_of(device), device_id(device));
                let ids = truth
                    .entry(user.clone())
                    .or_insert_with(|| BTreeSet::from([user]));
                ids.insert(device);
            }
            let mut differences = Differences::default();
            let bare = |id: &String| id.trim_start_matches("$device:").to_owned();
            let got: BTreeMap<String, BTreeSet<String>> = clusters_of(&*engine)
                .iter()
                .map(|cluster| {
                    let members = cluster.members.iter().map(bare).collect();
                    (cluster.canonical.clone(), members)
                })
                .collect();
            differences.expect("who is who", &truth, &got);
            differences.into_result()
        },
        |logins| format!("with logins (device, spelled like an SDK) {logins:?}"),
    )
}

fn user_of(device: usize) -> String {
    format!("user-{}", device % 3)
}

fn device_id(device: usize) -> String {
    format!("0000000{device}-0000-4000-8000-000000000000")
}

/// What is sent when a user logs in: an anonymous event, `$identify`, and an event with both ids.
fn log_in(
    engine: &mut dyn IdentityResolver,
    device: usize,
    sdk_spelling: bool,
) -> Result<(), String> {
    let (user, device) = (user_of(device), device_id(device));
    let marked = format!("$device:{device}");
    let anonymous = Event {
        distinct_id: (&*marked).into(),
        device_id: (&*device).into(),
        ..Event::named("A")
    };
    let identify = if sdk_spelling {
        Event {
            distinct_id: (&*user).into(),
            anon_distinct_id: (&*marked).into(),
            user_id: (&*user).into(),
            device_id: (&*device).into(),
            ..Event::named(Event::IDENTIFY)
        }
    } else {
        Event {
            identified_id: (&*user).into(),
            anon_id: (&*device).into(),
            ..Event::named(Event::IDENTIFY)
        }
    };
    let both = Event {
        distinct_id: (&*user).into(),
        user_id: (&*user).into(),
        ..anonymous
    };
    for event in [anonymous, identify, both] {
        engine
            .apply_event(&event)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
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
