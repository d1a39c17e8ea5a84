//! A thread that resolves is let in although another applies claims without a pause. The test counts claims and
//! measures no time, so a busy machine does not change the result.

// Only Linux tells this test whether a thread is asleep.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and reads the state of a thread from the system"
)]

use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use idmerge_core::{
    Claim, DistinctId, Event, Id, IdentityResolver, InvalidEvent, Outcome, Reading, Resolve,
};
use idmerge_core::{Cluster, EngineError, RuleBook, SnapshotError};
use idmerge_shared::Shared;

/// A thread that wants to resolve.
#[derive(Debug, Default)]
struct Reader {
    /// The file in `/proc` with its state.
    stat: OnceLock<PathBuf>,
    /// Whether it is waiting for the engine, or about to wait.
    asks: AtomicBool,
    /// The number of claims that were applied when it could first get the engine.
    first: AtomicU64,
}

impl Reader {
    fn is_asleep(&self) -> bool {
        let stat = fs::read_to_string(self.stat.get().unwrap()).unwrap();
        // The state follows the name of the program, which is in brackets and may contain any character.
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    }
}

/// How often each claim reads the state of the waiting thread, which takes more than a microsecond.
const READS: usize = 10;

/// The most claims that a thread waits for. It is let in after a millisecond at most, which is less than a hundred
/// claims.
const CLAIMS_MAX: u64 = 1_000;

/// An engine whose claim ends only when a waiting reader is asleep.
#[derive(Debug)]
struct Patient<'r> {
    reader: &'r Reader,
    applied: u64,
}

impl Resolve for Patient<'_> {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Simplified
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
}

impl IdentityResolver for Patient<'_> {
    fn read<'e>(&self, _: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        Ok(Reading::default())
    }

    fn apply<'a>(&'a mut self, _: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        self.applied += 1;
        for _ in 0..READS {
            black_box(self.reader.is_asleep());
        }
        if self.reader.asks.load(SeqCst) {
            while !self.reader.is_asleep() {
                std::hint::spin_loop();
            }
            self.reader.first.store(self.applied, SeqCst);
            self.reader.asks.store(false, SeqCst);
        }
        Ok(Outcome::Ignored)
    }

    fn write_snapshot(&self, _: &mut dyn std::io::Write) -> std::io::Result<()> {
        Ok(())
    }

    fn read_snapshot(&mut self, _: &mut dyn std::io::Read) -> Result<(), SnapshotError> {
        Ok(())
    }
}

#[test]
fn a_reader_is_let_in_between_claims_that_follow_each_other() {
    const ROUNDS: usize = 300;
    let reader = &Reader::default();
    let engine = &Shared::new(Patient { reader, applied: 0 });
    let stop = &AtomicBool::new(false);
    let claim = Claim::Link {
        device: Id::new("D").unwrap(),
        user: Id::new("U").unwrap(),
    };
    let own = fs::read_link("/proc/thread-self").unwrap();
    let stat = PathBuf::from("/proc").join(own).join("stat");
    reader.stat.set(stat).unwrap();

    let waits: Vec<u64> = thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(SeqCst) {
                engine.apply(claim, |_| ()).unwrap();
            }
        });
        let mut waits = Vec::new();
        while waits.len() < ROUNDS {
            reader.asks.store(true, SeqCst);
            let engine = engine.read();
            // If `asks` is still set, the reader got the engine between two claims, without waiting.
            if !reader.asks.swap(false, SeqCst) {
                waits.push(engine.applied - reader.first.load(SeqCst));
            }
        }
        stop.store(true, SeqCst);
        waits
    });
    assert!(waits.iter().all(|&more| more < CLAIMS_MAX), "{waits:?}");
}
