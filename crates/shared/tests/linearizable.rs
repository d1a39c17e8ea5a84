//! Threads that resolve while one applies claims see one history: each answer is that of the oracle after some number of
//! claims, which is among those that can be and never goes back. A claim that is seen in part has no such number.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, LazyLock};
use std::thread;

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::{LegacyOracle, OriginalOracle, SimplifiedOracle};
use idmerge_core::{Claim, DistinctId, Id, IdentityResolver};
use idmerge_legacy::Legacy;
use idmerge_original::Original;
use idmerge_shared::Shared;
use idmerge_simplified::Simplified;

const READERS: usize = 2;
const CLAIMS: usize = 60;
/// Each begins with an empty engine, whose memory grows with nearly every claim.
const HISTORIES: u64 = if cfg!(debug_assertions) { 200 } else { 4_000 };

/// The texts of IDs, of all forms that an engine stores: a UUID, a short text and a long one.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let text = |number: usize| match number % 4 {
        0 | 1 => format!("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4{number:03x}"),
        2 => format!("{number}"),
        _ => format!("a text that is longer than a key, {number}"),
    };
    (0..24).map(text).collect()
});

fn id(number: usize) -> Id<'static> {
    Id::new(&TEXTS[number]).unwrap()
}

/// Numbers that look random (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn id(&mut self) -> usize {
        self.below(TEXTS.len())
    }
}

/// What each ID resolves to after each number of claims.
type Truth = Vec<Vec<String>>;

fn truth(mut oracle: impl IdentityResolver, claims: &[Claim<'_>], is_device: bool) -> Truth {
    let answers = |oracle: &dyn IdentityResolver| {
        let all = 0..TEXTS.len();
        let answer = |number| oracle.resolve(distinct_id(number, is_device)).to_string();
        all.map(answer).collect()
    };
    let mut truth = vec![answers(&oracle)];
    for &claim in claims {
        oracle.apply(claim).unwrap();
        truth.push(answers(&oracle));
    }
    truth
}

fn distinct_id(number: usize, is_device: bool) -> DistinctId<'static> {
    match is_device {
        true => DistinctId::device(id(number)),
        false => DistinctId::plain(id(number)),
    }
}

/// Applies the claims in one thread while others resolve. Returns the number of answers that were given in between.
fn check<R: IdentityResolver>(
    engine: R,
    claims: &[Claim<'_>],
    truth: &Truth,
    is_device: bool,
) -> usize {
    let engine = &Shared::new(engine);
    let (begun, applied) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    let start = &Barrier::new(READERS + 1);
    let read = |reader: u64| {
        let mut numbers = Numbers(reader);
        let (mut seen, mut between) = (0, 0);
        start.wait();
        while seen < claims.len() {
            let number = numbers.id();
            let first = seen.max(applied.load(Ordering::Acquire));
            let answer = engine.resolve(distinct_id(number, is_device), |found| found.to_string());
            let last = begun.load(Ordering::Acquire);
            let fits = |state: &usize| truth[*state][number] == answer;
            seen = (first..=last).find(fits).unwrap_or_else(|| {
                let wanted: Vec<_> = (first..=last).map(|state| &truth[state][number]).collect();
                let text = &TEXTS[number];
                panic!("{text} is {answer:?} after claims {first} to {last}, which give {wanted:?}")
            });
            between += usize::from(0 < last && first < claims.len());
            if first == claims.len() {
                break;
            }
        }
        between
    };
    let read = &read;
    thread::scope(|threads| {
        let readers = (0..READERS as u64).map(|reader| threads.spawn(move || read(reader)));
        let readers: Vec<_> = readers.collect();
        start.wait();
        for (state, &claim) in (1..).zip(claims) {
            begun.store(state, Ordering::Release);
            engine.apply(claim, |_| ()).unwrap();
            applied.store(state, Ordering::Release);
        }
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .sum()
    })
}

/// Checks many histories of random claims.
fn check_all<R: IdentityResolver + Default, O: IdentityResolver>(
    oracle: impl Fn() -> O,
    is_device: bool,
    claim: impl Fn(&mut Numbers) -> Claim<'static>,
) {
    let mut between = 0;
    for history in 0..HISTORIES {
        let mut numbers = Numbers(history << 32);
        let claims: Vec<_> = (0..CLAIMS).map(|_| claim(&mut numbers)).collect();
        let truth = truth(oracle(), &claims, is_device);
        between += check(R::default(), &claims, &truth, is_device);
    }
    // Otherwise the test has seen nothing.
    assert!(between > 0);
}

#[test]
fn simplified_shows_one_history() {
    let oracle = || SimplifiedOracle::new(EngineSettings::default());
    check_all::<Simplified, _>(oracle, true, |numbers| Claim::Link {
        device: id(numbers.id()),
        user: id(numbers.id()),
    });
}

#[test]
fn original_shows_one_history() {
    let oracle = || OriginalOracle::new(EngineSettings::default());
    check_all::<Original, _>(oracle, false, |numbers| {
        let [first, second] = [(); 2].map(|()| id(numbers.id()));
        match numbers.below(3) {
            0 => Claim::Identify {
                identified: first,
                anon: second,
            },
            1 => Claim::Alias {
                distinct_id: first,
                alias: second,
            },
            _ => Claim::Merge { first, second },
        }
    });
}

#[test]
fn legacy_shows_one_history() {
    let oracle = || LegacyOracle::new(EngineSettings::default());
    check_all::<Legacy, _>(oracle, false, |numbers| Claim::Alias {
        distinct_id: id(numbers.id()),
        alias: id(numbers.id()),
    });
}
