//! Who resolves waits for one claim: counted, and not timed, so that a busy machine changes nothing.

// Where the system tells which thread is asleep.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and asks the system about a thread"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use idmerge_core::{
    Claim, DistinctId, Event, Id, IdentityResolver, InvalidEvent, Outcome, Reading,
};
use idmerge_core::{Cluster, EngineError, RuleBook, SnapshotError};
use idmerge_shared::Shared;

/// A thread that wants to resolve.
#[derive(Debug, Default)]
struct Reader {
    /// Where the system tells what it does.
    stat: OnceLock<PathBuf>,
    /// It asks for the engine.
    asks: AtomicBool,
    /// How many claims had been weighed when it could first have had the engine.
    first: AtomicU64,
}

impl Reader {
    fn is_asleep(&self) -> bool {
        let stat = fs::read_to_string(self.stat.get().unwrap()).unwrap();
        // The name of the program is in brackets before it, and may have any character.
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    }
}

/// An engine that ends a claim when the reader, if it asks, has gone to sleep over the wait.
#[derive(Debug)]
struct Patient<'r> {
    reader: &'r Reader,
    weighed: u64,
}

impl IdentityResolver for Patient<'_> {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Simplified
    }

    fn read<'e>(&self, _: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        Ok(Reading::default())
    }

    fn apply<'a>(&'a mut self, _: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        self.weighed += 1;
        if self.reader.asks.load(SeqCst) {
            while !self.reader.is_asleep() {
                std::hint::spin_loop();
            }
            self.reader.first.store(self.weighed, SeqCst);
            self.reader.asks.store(false, SeqCst);
        }
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
    let reader = &Reader::default();
    let engine = &Shared::new(Patient { reader, weighed: 0 });
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
            // Where it still asks, it came between two claims and had not to wait.
            if !reader.asks.swap(false, SeqCst) {
                waits.push(engine.weighed - reader.first.load(SeqCst));
            }
        }
        stop.store(true, SeqCst);
        waits
    });
    assert!(waits.iter().all(|&more| more == 0), "{waits:?}");
}
