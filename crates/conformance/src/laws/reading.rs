//! Contract 6 of the trait: reading is pure.

use idmerge_core::{IdentityResolver, RuleBook};
use proptest::prelude::*;

use crate::check::{Check, Differences, Make, apply, snapshot_of};
use crate::compare::comparable;
use crate::generate::{CLAIMS_MAX, claims, event, event_with_two_ids, for_all};
use crate::vectors::show;

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![(
        "reading-is-pure",
        Box::new(move |make| reading_is_pure(rule_book, make)),
    )]
}

/// An engine with any state reads an event like an engine with no state, and stays as it is.
fn reading_is_pure(rule_book: RuleBook, make: &Make) -> Result<(), String> {
    let events = prop::collection::vec(prop_oneof![event(), event_with_two_ids()], 1..20);
    for_all(
        &(claims(rule_book, make, CLAIMS_MAX), events),
        |((settings, claims), events)| {
            let (fresh, mut engine) = (make(settings), make(settings));
            for claim in claims {
                apply(&mut *engine, claim)?;
            }
            let before = snapshot_of(&*engine)?;
            let mut differences = Differences::default();
            for event in events {
                let read = |engine: &dyn IdentityResolver| comparable(engine.read(event));
                let want = read(&*fresh);
                let of = format!("after claims, the reading of {event:?}");
                differences.expect(&of, &want, &read(&*engine));
                let of = format!("the second reading of {event:?}");
                differences.expect(&of, &want, &comparable(fresh.read(event)));
            }
            differences.expect("the state after reading", &before, &snapshot_of(&*engine)?);
            differences.into_result()
        },
        |((settings, claims), _)| show::as_vector(rule_book, settings, claims),
    )
}
