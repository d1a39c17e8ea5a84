//! One thread applies claims while others resolve. A reader never sees a claim half applied.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Outcome, Resolve};
use idmerge_original::Original;
use idmerge_shared::Shared;
use idmerge_simplified::Simplified;

const CLAIMS: u64 = GROUPS * GROUP_MERGES;
const GROUPS: u64 = 320;
/// The number of merges that make one cluster of 64 IDs.
const GROUP_MERGES: u64 = 63;
const READERS: usize = 3;

fn id(text: &str) -> Id<'_> {
    Id::new(text).expect("it is short")
}

/// Applies claims one by one while others resolve. The argument of `read` is a lower bound of the
/// number of applied claims.
fn while_applying<R: IdentityResolver>(
    engine: &Shared<R>,
    apply: impl Fn(u64) + Sync,
    read: impl Fn(u64) + Sync,
) {
    let (applied, reads) = (&AtomicU64::new(0), &AtomicU64::new(0));
    let (apply, read) = (&apply, &read);
    thread::scope(|threads| {
        for _ in 0..READERS {
            threads.spawn(move || {
                while applied.load(Ordering::Acquire) < CLAIMS {
                    read(applied.load(Ordering::Acquire));
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        threads.spawn(move || {
            for claim in 0..CLAIMS {
                apply(claim);
                applied.store(claim + 1, Ordering::Release);
            }
        });
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
    assert!(format!("{engine:?}").starts_with("Shared("));
}

#[test]
fn a_link_is_visible_once_it_is_applied_and_never_half() {
    let engine = &Shared::new(Simplified::default());
    while_applying(
        engine,
        |n| {
            let (device, user) = (format!("D{n}"), format!("U{}", n / 3));
            let claim = Claim::Link {
                device: id(&device),
                user: id(&user),
            };
            engine
                .apply(claim, |outcome| assert_eq!(outcome, Outcome::Merged))
                .unwrap();
        },
        |applied| {
            // A link that is applied, and two that may be.
            for n in [applied / 2, applied, applied + 1] {
                let (device, user) = (format!("D{n}"), format!("U{}", n / 3));
                engine.resolve(DistinctId::device(id(&device)), |canonical| {
                    let is_linked = canonical == *user.as_str();
                    assert!(is_linked || canonical == *format!("$device:{device}").as_str());
                    assert!(is_linked || n >= applied);
                });
                let engine = engine.read();
                if let Some(cluster) = engine.cluster(DistinctId::plain(id(&user))) {
                    assert!(cluster.members.len() <= 4);
                    let mut members = cluster.members.clone();
                    engine.resolve_batch(&mut members);
                    assert!(members.iter().all(|&member| member == cluster.canonical));
                }
            }
        },
    );
}

#[test]
fn a_cluster_is_never_seen_half_merged() {
    let engine = &Shared::new(Original::default());
    while_applying(
        engine,
        |n| {
            // First pairs, then pairs of pairs, up to clusters of 64 IDs.
            let (group, step) = (n / GROUP_MERGES, n % GROUP_MERGES);
            let round = GROUP_MERGES.ilog2() - (GROUP_MERGES - step).ilog2();
            let in_round = step - (64 - (64 >> round));
            let first = in_round << (round + 1);
            let [a, b] = [first, first + (1 << round)].map(|n| format!("{group}-{n}"));
            let claim = Claim::Merge {
                first: id(&a),
                second: id(&b),
            };
            engine
                .apply(claim, |outcome| assert_eq!(outcome, Outcome::Merged))
                .unwrap();
        },
        |applied| {
            let any = format!("{}-{}", applied / GROUP_MERGES, applied % 64);
            let engine = engine.read();
            if let Some(cluster) = engine.cluster(DistinctId::plain(id(&any))) {
                assert!(cluster.members.len().is_power_of_two());
                for &member in &cluster.members {
                    assert_eq!(engine.resolve(member), cluster.canonical);
                }
            }
        },
    );
    assert_eq!(engine.read().clusters().count() as u64, GROUPS);
}
