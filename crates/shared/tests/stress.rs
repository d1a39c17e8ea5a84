//! One thread applies, others resolve: what they may see, and how long they may wait.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use idmerge_core::{Claim, DistinctId, Event, Id, IdentityResolver, Outcome, Reading, Refused};
use idmerge_core::{Cluster, ResolveError, RuleBook, SnapshotError};
use idmerge_original::Original;
use idmerge_shared::Shared;
use idmerge_simplified::Simplified;

const CLAIMS: u64 = GROUPS * GROUP_MERGES;
const GROUPS: u64 = 320;
/// As many as make one cluster of 64 ids.
const GROUP_MERGES: u64 = 63;
const READERS: usize = 3;

fn id(text: &str) -> Id<'_> {
    Id::new(text).expect("it is short")
}

/// Applies claims one by one while others resolve. A reader is given how many claims were applied
/// at least.
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
fn a_link_is_seen_from_when_it_is_applied_and_never_half() {
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
            // One that is there, and one that may be.
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
fn clusters_that_merge_are_seen_whole() {
    let engine = &Shared::new(Original::default());
    while_applying(
        engine,
        |n| {
            // Pairs first, then pairs of pairs, and so on, 64 ids a cluster.
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

/// An engine that takes its time over each claim, and says when it begins and ends one.
#[derive(Debug)]
struct Slow<'s> {
    begun: &'s AtomicU64,
    ended: &'s AtomicU64,
}

impl IdentityResolver for Slow<'_> {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Simplified
    }

    fn read<'e>(&self, _: &Event<'e>) -> Result<Reading<'e>, Refused> {
        Ok(Reading::default())
    }

    fn apply<'a>(&'a mut self, _: Claim<'a>) -> Result<Outcome<'a>, ResolveError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        // Short enough that a lock which is fair now and then would not be so here.
        for _ in 0..2_000 {
            std::hint::spin_loop();
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::Ignored)
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        id
    }

    fn cluster<'a>(&'a self, _: DistinctId<'a>) -> Option<Cluster<'a>> {
        None
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new(std::iter::empty())
    }

    fn write_snapshot(&self, _: &mut dyn std::io::Write) -> std::io::Result<()> {
        Ok(())
    }

    fn read_snapshot(&mut self, _: &mut dyn std::io::Read) -> Result<(), SnapshotError> {
        Ok(())
    }
}

#[test]
fn who_resolves_waits_for_one_claim() {
    const ROUNDS: usize = 300;
    let (begun, ended) = (&AtomicU64::new(0), &AtomicU64::new(0));
    let (engine, stop) = (&Shared::new(Slow { begun, ended }), &AtomicBool::new(false));
    let claim = Claim::Link {
        device: id("D"),
        user: id("U"),
    };
    let mut waits: Vec<u64> = thread::scope(|threads| {
        threads.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                engine.apply(claim, |_| ()).unwrap();
            }
        });
        let waits = (0..ROUNDS).map(|_| {
            // A claim is being applied: wait for its end.
            let now = loop {
                let (ended, begun) = (ended.load(Ordering::SeqCst), begun.load(Ordering::SeqCst));
                if ended < begun {
                    break begun;
                }
                std::hint::spin_loop();
            };
            let _engine = engine.read();
            ended.load(Ordering::SeqCst) - now
        });
        let waits = waits.collect();
        stop.store(true, Ordering::Relaxed);
        waits
    });
    // How many more claims were applied: counted, not timed. Not all of them, since a thread may
    // have to wait for a processor too before it can ask for the lock.
    waits.sort_unstable();
    assert!(waits[ROUNDS / 2] <= 1, "{waits:?}");
}
