//! A question about the log ends soon after it was cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::redb::{TableDefinition, WriteTransaction};
use idmerge_store::{Difference, Digest, Durable, History, MayGoOn, Options, StoreError, Target};

const CLAIMS: u64 = 6_000;

/// The table of the entries, as in `docs/store.md`.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

/// A store with [`CLAIMS`] claims in clusters of ten IDs, and a snapshot after half of them.
fn filled(folder: &std::path::Path) -> Durable<Original> {
    let options = Options {
        unindexed_max: 50,
        ..Options::default()
    };
    let mut store = Durable::open(folder, Original::default, options).unwrap();
    for claim in 0..CLAIMS {
        let (first, second) = (format!("u{}", claim / 9), format!("d{claim}"));
        let claim_of = Claim::Merge {
            first: id(&first),
            second: id(&second),
        };
        store.apply(claim_of).unwrap();
        if claim == CLAIMS / 2 {
            store.commit().unwrap();
            store.snapshot().unwrap();
        }
    }
    store.commit().unwrap();
    store
}

type Question = fn(&History<Original>, &MayGoOn) -> Result<(), StoreError>;

fn simulate(history: &History<Original>, may_go_on: &MayGoOn) -> Result<(), StoreError> {
    let now = history.as_of(CLAIMS)?;
    let other = history.simulate(CLAIMS, Simplified::default())?;
    match Difference::between_while(&now, &other, 5, &**may_go_on) {
        Some(_) => Ok(()),
        None => Err(StoreError::Cancelled),
    }
}

/// Each question, and the least number of times that it must ask whether to go on: once for 1,024
/// entries.
const QUESTIONS: [(&str, u64, Question); 6] = [
    // The second half of the log, since the first is in a snapshot.
    ("as_of", CLAIMS / 2 / 1_024, |history, _| {
        history.as_of(CLAIMS).map(drop)
    }),
    ("digest", CLAIMS / 2 / 1_024, |history, _| {
        history.digest(CLAIMS).map(drop)
    }),
    ("simulate", CLAIMS / 1_024, simulate),
    ("changes", CLAIMS / 1_024, |history, _| {
        history.changes_since(0, &mut |_| Ok(true))
    }),
    ("entries", CLAIMS / 1_024, |history, _| {
        history.entries(1, &mut |_| Ok(true))
    }),
    ("preview", 1, |history, _| {
        let target = Target::Named(DistinctId::plain(id("u7")));
        history.preview(target, 100).map(drop)
    }),
];

#[test]
fn a_question_ends_at_the_first_no() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    for (name, least, question) in QUESTIONS {
        // `no_at` is the number of the answer that is no.
        let ask = |no_at: u64| {
            let asked = Arc::new(AtomicU64::new(0));
            let may_go_on: MayGoOn = {
                let asked = asked.clone();
                Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) + 1 < no_at)
            };
            let history = store.history().unwrap().only_while(may_go_on.clone());
            let answer = question(&history, &may_go_on);
            (answer, asked.load(Ordering::Relaxed))
        };
        let (answer, asked) = ask(u64::MAX);
        answer.unwrap();
        assert!(asked >= least, "{name} asked {asked} times");
        for no_at in [1, 2, 3, asked / 2, asked - 1, asked] {
            let no_at = no_at.max(1);
            let (answer, asked) = ask(no_at);
            assert!(
                matches!(answer, Err(StoreError::Cancelled)),
                "{name} at {no_at}: {answer:?}"
            );
            // Code that passes the error on may ask again, for the reason.
            assert!(asked <= no_at + 2, "{name} at {no_at}: {asked}");
        }
    }
}

#[test]
fn a_question_that_can_be_cancelled_begins_with_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    store.index().unwrap();
    // Nothing needs the entries before the snapshot any more.
    let forget = |write: &WriteTransaction| -> Result<(), StoreError> {
        let mut log = write.open_table(LOG)?;
        log.retain_in(..CLAIMS / 4, |_, _| false)?;
        Ok(())
    };
    store.commit_with(forget).unwrap();
    let history = store.history().unwrap().only_while(Arc::new(|| true));
    let state = history.as_of(CLAIMS).unwrap();
    assert_eq!(Digest::of(&state).unwrap(), Digest::of(&store).unwrap());
}
