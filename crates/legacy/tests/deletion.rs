//! Rule LE-1: what a deletion that names an ID covers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Outcome, Resolve};
use idmerge_legacy::{Legacy, Settings};
use proptest::prelude::*;

fn id(text: &str) -> DistinctId<'_> {
    DistinctId::plain(Id::new(text).unwrap())
}

fn covered(engine: &Legacy, text: &str) -> Vec<String> {
    engine
        .erased_with(id(text))
        .map(|id| id.to_string())
        .collect()
}

/// Makes an alias, and returns whether the engine has made it.
fn alias(engine: &mut Legacy, alias: &str, distinct_id: &str) -> bool {
    let [distinct_id, alias] = [distinct_id, alias].map(|text| Id::new(text).unwrap());
    let outcome = engine.apply(Claim::Alias { distinct_id, alias });
    outcome.unwrap() == Outcome::Merged
}

#[test]
fn le_1_an_alias_and_every_id_that_it_stands_for() {
    let mut engine = Legacy::new(Settings::default());
    for (new, old) in [("V", "U"), ("U", "d1"), ("W", "d1"), ("d1", "root")] {
        assert!(alias(&mut engine, new, old));
    }
    assert_eq!(covered(&engine, "V"), ["V", "U", "d1", "root"]);
    // The other aliases of d1 are not named.
    assert_eq!(covered(&engine, "d1"), ["d1", "root"]);
    assert_eq!(covered(&engine, "root"), ["root"]);
    assert_eq!(covered(&engine, "stranger"), ["stranger"]);
    let device = DistinctId::device(Id::new("W").unwrap());
    let of_device: Vec<_> = engine
        .erased_with(device)
        .map(|id| id.to_string())
        .collect();
    assert_eq!(of_device, ["W", "d1", "root"]);
}

proptest! {
    /// The truth is a map from each alias to the ID that it was made for.
    #[test]
    fn le_1_the_ids_are_those_of_a_plain_map(pairs in prop::collection::vec((0..7_u8, 0..7_u8), 0..24)) {
        let name = |number: u8| format!("id-{number}");
        let mut engine = Legacy::new(Settings::default());
        let mut stands_for = HashMap::new();
        for (new, old) in pairs {
            if alias(&mut engine, &name(new), &name(old)) {
                stands_for.insert(name(new), name(old));
            }
        }
        for number in 0..7 {
            let mut wanted = vec![name(number)];
            while let Some(next) = stands_for.get(wanted.last().unwrap()) {
                wanted.push(next.clone());
            }
            let root = wanted.last().unwrap().clone();
            prop_assert_eq!(covered(&engine, &name(number)), wanted);
            prop_assert_eq!(engine.resolve(id(&name(number))).to_string(), root);
        }
    }
}
