//! One thread changes the state while another one reads, in every order that the memory model allows (`loom`).
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p idmerge-state --lib loom_tests`

use std::sync::Arc;

use loom::model::Builder;
use loom::thread;

use crate::index::{Found, Hashes, Index};
use crate::key::Key;
use crate::keys::Keys;
use crate::part::Appender;
use crate::partition::Roots;

/// More than three switches between two threads that both could go on take long, and find nothing more in these tests.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

fn key(text: &str) -> Key {
    Key::packed(idmerge_core::Id::new(text).unwrap()).unwrap()
}

/// All numbers are in one bucket.
struct OneHash;

const HASH: u64 = 5;

impl Hashes for OneHash {
    fn hash(&self, _: u32) -> u64 {
        HASH
    }

    fn prefetch(&self, _: u32) {}
}

#[test]
fn a_value_is_there_or_not() {
    model(|| {
        let mut appender = Appender::with_capacity(3);
        appender.push(10);
        let view = appender.view();
        let reader = thread::spawn(move || {
            for at in [2, 1, 0] {
                assert!([None, Some(&(10 + at))].contains(&view.get(at)), "{at}");
            }
            assert_eq!(view.get(0), Some(&10));
        });
        appender.push(11);
        appender.push(12);
        reader.join().unwrap();
    });
}

#[test]
fn a_number_that_is_found_has_its_owner_and_its_key() {
    model(|| {
        let (mut index, mut keys) = (Index::default(), Keys::default());
        keys.push(key("a"));
        index.insert(
            HASH,
            Found {
                number: 0,
                owner: 7,
            },
            &OneHash,
        );
        let view = (index.view(), keys.view());
        let reader = thread::spawn(move || {
            let (index, keys) = view;
            let found = index.find(HASH, |number| number == 1);
            if let Some(found) = found {
                assert_eq!(
                    found,
                    Found {
                        number: 1,
                        owner: 8
                    }
                );
                assert_eq!(keys.get(1), Some(&key("b")));
            }
        });
        assert!(!keys.push(key("b")));
        assert!(!index.insert(
            HASH,
            Found {
                number: 1,
                owner: 8
            },
            &OneHash
        ));
        reader.join().unwrap();
    });
}

/// The canonical IDs of the clusters 0, 1 and 2 before they merge.
const BEFORE: [u32; 3] = [10, 20, 30];

/// Three clusters, each with the ID of the same number.
fn clusters() -> (Index, Arc<Roots>) {
    let (mut index, roots) = (Index::default(), Arc::new(Roots::default()));
    for (number, canonical) in (0..).zip(BEFORE) {
        let owner = number;
        index.insert(HASH, Found { number, owner }, &OneHash);
        roots.set(number, canonical);
    }
    (index, roots)
}

/// Merges 1 into 0, with a canonical ID that neither has, and then 0 into 2, and reads two IDs meanwhile.
fn merges_are_seen_in_order(ids: [u32; 2]) {
    model(move || {
        let (mut index, roots) = clusters();
        let (view, read) = (index.view(), roots.clone());
        let reader = thread::spawn(move || {
            let mut states = 0;
            for id in ids {
                let found = view.find(HASH, |number| number == id).unwrap();
                let canonical = read.canonical(found.owner);
                let after_one = if id == 2 { BEFORE[2] } else { 7 };
                let after = [BEFORE[id as usize], after_one, 8];
                // The first state from the last one on in which the ID has this canonical ID.
                let seen = (states..3).find(|&state| after[state] == canonical);
                states = seen.unwrap_or_else(|| panic!("{id} is {canonical} after {states}"));
            }
        });
        roots.merge(0, 1, 7);
        index.set_owner(
            HASH,
            Found {
                number: 1,
                owner: 0,
            },
        );
        roots.merge(2, 0, 8);
        for number in [0, 1] {
            index.set_owner(HASH, Found { number, owner: 2 });
        }
        reader.join().unwrap();
    });
}

#[test]
fn merges_are_seen_in_order_by_the_one_that_stays() {
    merges_are_seen_in_order([0, 1]);
}

#[test]
fn merges_are_seen_in_order_by_the_one_that_moves() {
    merges_are_seen_in_order([1, 0]);
}

#[test]
fn merges_are_seen_in_order_by_another_one() {
    merges_are_seen_in_order([1, 2]);
}
