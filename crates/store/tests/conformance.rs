//! The suite that every engine must pass, for a store around each engine. The store is closed and
//! opened again before every claim, or before one claim in trials with very many claims.
//!
//! With `IDMERGE_STORE_ALL` in the environment every trial runs in every way, including the trial of
//! every short sequence of claims, which opens a store for each sequence.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use idmerge_conformance::{EngineSettings, Suite};
use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, IdentityResolver, InvalidEvent, Outcome,
    Reading, Resolve, RuleBook, SnapshotError,
};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::backends::InMemoryBackend;
use idmerge_store::{Durable, Options, Sharing};
use libtest_mimic::{Arguments, Trial};

use support::disk::Disk;

fn simplified(settings: &EngineSettings) -> Simplified {
    Simplified::new(idmerge_simplified::Settings {
        id_rules: settings.id_rules(),
    })
}

fn original(settings: &EngineSettings) -> Original {
    Original::new(idmerge_original::Settings {
        id_rules: settings.id_rules(),
        max_cluster_ids: settings.max_cluster_ids,
        anon_id_format: settings.anon_id_format.name().parse().unwrap(),
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut add = |name: &str, suite: &Suite, groups: &[&str]| {
        for trial in suite.trials() {
            let (group, _) = trial.name.split_once("::").unwrap();
            if groups.contains(&group) || is_patient() {
                let name = format!("{name}::{}", trial.name);
                trials.push(Trial::test(name, move || Ok(trial.run()?)));
            }
        }
    };
    add(
        "simplified",
        &Suite::new(|settings| {
            let settings = settings.clone();
            Box::new(in_memory(move || simplified(&settings)))
        }),
        &[],
    );
    add(
        "original",
        &Suite::new(|settings| {
            let settings = settings.clone();
            Box::new(in_memory(move || original(&settings)))
        }),
        &[],
    );
    add(
        "simplified-reopened",
        &Suite::new(|settings| Box::new(Reopened::new(settings, simplified, Always))),
        &["vector"],
    );
    add(
        "original-reopened",
        &Suite::new(|settings| Box::new(Reopened::new(settings, original, Always))),
        &["vector"],
    );
    add(
        "simplified-reopened-once",
        &Suite::new(|settings| Box::new(Reopened::new(settings, simplified, Once))),
        &["law", "oracle"],
    );
    add(
        "original-reopened-once",
        &Suite::new(|settings| Box::new(Reopened::new(settings, original, Once))),
        &["law", "oracle"],
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Whether to run every trial in every way, which takes hours.
#[allow(
    clippy::disallowed_methods,
    reason = "a test program has no other way to take an option"
)]
fn is_patient() -> bool {
    std::env::var_os("IDMERGE_STORE_ALL").is_some()
}

fn in_memory<R: IdentityResolver + 'static>(
    fresh: impl Fn() -> R + Send + Sync + 'static,
) -> Durable<R> {
    let options = Options {
        sharing: Sharing::Nobody,
        ..Options::default()
    };
    Durable::open_backend(InMemoryBackend::new(), fresh, options).unwrap()
}

fn open<R: IdentityResolver + 'static>(
    disk: &Disk,
    settings: &EngineSettings,
    make: fn(&EngineSettings) -> R,
) -> Durable<R> {
    let settings = settings.clone();
    let fresh = move || make(&settings);
    Durable::open_backend(disk.clone(), fresh, Options::default()).unwrap()
}

/// A disk with an empty store. Each store is made once and copied, since the trials need very many.
fn empty_store<R: IdentityResolver + 'static>(
    settings: &EngineSettings,
    make: fn(&EngineSettings) -> R,
) -> Disk {
    static EMPTY: [OnceLock<Vec<u8>>; 2] = [OnceLock::new(), OnceLock::new()];
    let [simplified, original] = &EMPTY;
    let empty = match make(settings).rule_book() {
        RuleBook::Simplified => simplified,
        _ => original,
    };
    let bytes = empty.get_or_init(|| {
        let disk = Disk::default();
        open(&disk, settings, make).close().unwrap();
        disk.bytes()
    });
    Disk::with_bytes(bytes.clone())
}

/// When a store is closed and opened again.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Before every claim.
    Always,
    /// Before one of the first 40 claims, a different one for every store.
    Once,
}

use When::{Always, Once};

/// A store that is closed and opened again between claims.
#[derive(Debug)]
struct Reopened<R> {
    disk: Disk,
    settings: EngineSettings,
    make: fn(&EngineSettings) -> R,
    /// `None` only while the store is closed.
    store: Option<Durable<R>>,
    /// The number of the claim before which the store is reopened; `None` for every claim.
    once: Option<u32>,
    claims: u32,
}

/// A snapshot is taken before every third claim, so that some openings begin with a snapshot.
const SNAPSHOT_EVERY: u32 = 3;

impl<R: IdentityResolver + 'static> Reopened<R> {
    fn new(settings: &EngineSettings, make: fn(&EngineSettings) -> R, when: When) -> Self {
        static STORES: AtomicU32 = AtomicU32::new(0);
        let disk = empty_store(settings, make);
        Self {
            store: Some(open(&disk, settings, make)),
            disk,
            settings: settings.clone(),
            make,
            once: match when {
                Always => None,
                Once => Some(STORES.fetch_add(1, Ordering::Relaxed) * 7 % 40),
            },
            claims: 0,
        }
    }

    fn reopen(&mut self) {
        let claim = self.claims;
        self.claims += 1;
        if self.once.is_some_and(|once| once != claim) {
            return;
        }
        let store = self.store.take().unwrap();
        store.commit().unwrap();
        if claim.is_multiple_of(SNAPSHOT_EVERY) {
            store.snapshot().unwrap();
        }
        store.close().unwrap();
        self.store = Some(open(&self.disk, &self.settings, self.make));
    }

    fn store(&self) -> &Durable<R> {
        self.store.as_ref().unwrap()
    }

    fn store_mut(&mut self) -> &mut Durable<R> {
        self.store.as_mut().unwrap()
    }
}

impl<R: IdentityResolver + 'static> Resolve for Reopened<R> {
    fn rule_book(&self) -> RuleBook {
        self.store().rule_book()
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.store().resolve(id)
    }

    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        self.store().resolve_batch(ids);
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.store().cluster(id)
    }

    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        self.store().cluster_len(id)
    }

    fn is_clustered(&self, id: DistinctId<'_>) -> bool {
        self.store().is_clustered(id)
    }

    fn clustered_ids(&self) -> usize {
        self.store().clustered_ids()
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.store().clusters()
    }
}

impl<R: IdentityResolver + 'static> IdentityResolver for Reopened<R> {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.store().read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        self.reopen();
        self.store_mut().apply(claim)
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        self.reopen();
        self.store_mut().apply_batch(claims, outcome)
    }

    fn write_snapshot(&self, sink: &mut dyn Write) -> std::io::Result<()> {
        self.store().write_snapshot(sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn Read) -> Result<(), SnapshotError> {
        self.store_mut().read_snapshot(source)
    }
}
