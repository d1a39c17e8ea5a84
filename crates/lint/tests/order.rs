//! Which answers depend on the order, against all permutations of whole streams by plain engines.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic too")]

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{Claim, ClaimKind, DistinctId, Id, IdentityResolver as _, Resolve as _};
use idmerge_engines::{Model, Overrides, Settings};
use idmerge_lint::{ALL_ORDERS_CLAIMS, Evidence, Fold as _, Order, OrderReport, Reader};

/// Two forms of anonymous IDs are UUIDv4, so that `$identify` can be accepted, and two are not.
const IDS: [&str; 6] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
    "U1",
    "U2",
    "U3",
];

fn random(state: &mut u64, end: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from((*state >> 33) % end as u64).unwrap()
}

fn claim(model: Model, state: &mut u64) -> Claim<'static> {
    let mut id = || Id::new(IDS[random(state, IDS.len())]).unwrap();
    let ids = [id(), id()];
    let kind = match model {
        Model::Simplified => ClaimKind::Link,
        Model::Original => {
            [ClaimKind::Identify, ClaimKind::Alias, ClaimKind::Merge][random(state, 3)]
        }
        _ => ClaimKind::Alias,
    };
    Claim::new(kind, ids)
}

/// All orders of a stream, by a recursion of its own.
fn each_permutation<'c>(
    left: &mut Vec<Claim<'c>>,
    chosen: &mut Vec<Claim<'c>>,
    visit: &mut dyn FnMut(&[Claim<'c>]),
) {
    if left.is_empty() {
        visit(chosen);
    }
    for at in 0..left.len() {
        let claim = left.remove(at);
        chosen.push(claim);
        each_permutation(left, chosen, visit);
        chosen.pop();
        left.insert(at, claim);
    }
}

/// The canonical IDs that each ID has in the orders of a stream.
fn by_brute_force(settings: &Settings, stream: &[Claim<'_>]) -> BTreeMap<String, BTreeSet<String>> {
    let ids: BTreeSet<DistinctId<'_>> = stream.iter().flat_map(Claim::ids).collect();
    let mut answers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    each_permutation(&mut stream.to_vec(), &mut Vec::new(), &mut |order| {
        let mut engine = settings.engine();
        for claim in order {
            let _outcome = engine.apply(*claim).unwrap();
        }
        for id in &ids {
            let canonical = engine.resolve(*id).to_string();
            answers.entry(id.to_string()).or_default().insert(canonical);
        }
    });
    answers.retain(|_, canonical| canonical.len() > 1);
    answers
}

fn report(settings: &Settings, stream: &[Claim<'_>]) -> OrderReport {
    let (reader, mut order) = (Reader::new(settings), Order::new(settings));
    for (line, claim) in (1..).zip(stream) {
        let found = Evidence::of_line(line);
        order
            .add(&reader.read_claim(*claim), "", true, found)
            .unwrap();
    }
    order.finish(usize::MAX, &mut |_| ()).unwrap()
}

fn found(report: &OrderReport) -> BTreeMap<String, BTreeSet<String>> {
    let ids = report.examples.iter().flat_map(|group| &group.ids);
    ids.map(|it| {
        let others = it.others.iter().chain([&it.now]).cloned();
        (it.id.clone(), others.collect())
    })
    .collect()
}

/// The canonical IDs that are called those of now are those of the whole stream as it came.
#[track_caller]
fn assert_now(settings: &Settings, stream: &[Claim<'_>], report: &OrderReport) {
    let mut engine = settings.engine();
    for claim in stream {
        let _outcome = engine.apply(*claim).unwrap();
    }
    for it in report.examples.iter().flat_map(|group| &group.ids) {
        let id = DistinctId::try_from(&*it.id).unwrap();
        assert_eq!(engine.resolve(id).to_string(), it.now, "{stream:#?}");
    }
}

fn settings() -> Vec<Settings> {
    let capped = Overrides {
        max_cluster_ids: Some(3),
        ..Overrides::default()
    };
    let mut all: Vec<_> = Model::ALL.map(Settings::of).into();
    all.push(Settings::new(Model::Original, &capped).unwrap());
    all
}

#[test]
fn the_answers_are_those_of_all_permutations_of_the_whole_stream() {
    for settings in settings() {
        let mut dependent = 0;
        for seed in 0..100 {
            let mut state = seed;
            let mut stream: Vec<_> = (0..2 + seed % 4)
                .map(|_| claim(settings.model(), &mut state))
                .collect();
            // Some claims come again.
            for _ in 0..seed % 2 {
                let again = stream[random(&mut state, stream.len())];
                stream.push(again);
            }
            let expected = by_brute_force(&settings, &stream);
            let report = report(&settings, &stream);
            assert_eq!(found(&report), expected, "{settings} {stream:#?}");
            assert_now(&settings, &stream, &report);
            assert_eq!(report.sampled, 0);
            assert_eq!(report.dependent_ids, expected.len() as u64);
            dependent += u32::from(!expected.is_empty());
        }
        assert!(dependent > 15, "{settings}: {dependent}");
    }
}

/// The second `$identify` of U2 is rejected at first, and accepted when it comes again after the `$merge`. Then U2 is
/// the older one of two identified IDs.
#[test]
fn a_claim_counts_from_where_it_is_first_accepted() {
    let settings = Settings::of(Model::Original);
    let [anon, _, _, first, second, alias] = IDS.map(|text| Id::new(text).unwrap());
    let identify = |identified| Claim::Identify { identified, anon };
    let stream = [
        Claim::Alias {
            distinct_id: second,
            alias,
        },
        identify(first),
        identify(second),
        Claim::Merge {
            first: second,
            second: first,
        },
        identify(second),
    ];
    let report = report(&settings, &stream);
    assert_now(&settings, &stream, &report);
    let ids = report.examples.iter().flat_map(|group| &group.ids);
    let now: BTreeSet<&str> = ids.map(|it| it.now.as_str()).collect();
    assert_eq!(now, BTreeSet::from(["U2"]));
    assert_eq!(found(&report), by_brute_force(&settings, &stream));
}

/// A pair that decides does: with the later claim before the earlier one, the whole stream gives the other answer.
#[test]
fn a_pair_decides() {
    for settings in settings() {
        let mut pairs = 0;
        for seed in 0..300 {
            let mut state = seed + 1_000;
            let mut stream: Vec<Claim<'_>> = Vec::new();
            while stream.len() < 6 {
                let claim = claim(settings.model(), &mut state);
                if !stream.contains(&claim) {
                    stream.push(claim);
                }
            }
            let report = report(&settings, &stream);
            for pair in report.examples.iter().flat_map(|group| &group.pairs) {
                let [later, earlier] =
                    [pair.later, pair.earlier].map(|it| usize::try_from(it.at.line).unwrap() - 1);
                let mut order = stream.clone();
                let moved = order.remove(later);
                order.insert(earlier, moved);
                for (stream, canonical) in [(&stream, &pair.now), (&order, &pair.then)] {
                    let mut engine = settings.engine();
                    for claim in stream {
                        let _outcome = engine.apply(*claim).unwrap();
                    }
                    let id = DistinctId::try_from(&*pair.id).unwrap();
                    assert_eq!(
                        engine.resolve(id).to_string(),
                        *canonical,
                        "{settings} {pair:?}"
                    );
                }
                pairs += 1;
            }
        }
        assert!(pairs > 50, "{settings}: {pairs}");
    }
}

#[test]
fn a_device_of_many_users_has_all_answers_in_simplified() {
    let settings = Settings::of(Model::Simplified);
    let users: Vec<String> = (0..40).map(|number| format!("U{number}")).collect();
    let device = Id::new("D").unwrap();
    let stream: Vec<_> = users
        .iter()
        .map(|user| Claim::Link {
            device,
            user: Id::new(user).unwrap(),
        })
        .collect();
    let report = report(&settings, &stream);
    assert_eq!(
        (report.dependent, report.sampled, report.dependent_ids),
        (1, 0, 1)
    );
    assert!(stream.len() > ALL_ORDERS_CLAIMS);
    let group = &report.examples[0];
    assert!(group.are_all && !group.only_names);
    assert_eq!((&*group.ids[0].id, &*group.ids[0].now), ("$device:D", "U0"));
    // Each other user would have the device if its link came before the first one.
    assert_eq!(group.pairs.len(), 39);
    assert!(group.pairs.iter().all(|pair| pair.earlier.at.line == 1));
}

/// A component of many claims is sampled, and says so; what it finds is true.
#[test]
fn a_large_component_is_sampled() {
    let settings = Settings::of(Model::Original);
    let names: Vec<String> = (0..60).map(|number| format!("U{number}")).collect();
    let ids: Vec<_> = names.iter().map(|name| Id::new(name).unwrap()).collect();
    let stream: Vec<_> = ids
        .windows(2)
        .map(|pair| Claim::Merge {
            first: pair[0],
            second: pair[1],
        })
        .collect();
    let report = report(&settings, &stream);
    assert_eq!(
        (report.dependent, report.sampled, report.only_names),
        (1, 1, 1)
    );
    let group = &report.examples[0];
    assert!(!group.are_all && group.only_names && group.orders > 100);
    assert_eq!(group.ids.len(), 60);
}
