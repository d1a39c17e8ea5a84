//! Contract 6 of the trait: reading is pure. And AR-4: a marked event makes no claim.

use idmerge_core::{Event, IdentityResolver, Reading, RuleBook};
use proptest::prelude::*;

use crate::check::{Check, Differences, Make, apply, snapshot_of};
use crate::compare::comparable;
use crate::generate::{CLAIMS_MAX, claims, event, event_with_two_ids, for_all, settings};
use crate::vectors::show;

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    vec![
        (
            "reading-is-pure",
            Box::new(move |make| reading_is_pure(rule_book, make)),
        ),
        (
            "marked-event-makes-no-claim",
            Box::new(marked_event_makes_no_claim),
        ),
    ]
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

/// AR-4: an event with `$idmerge_unweighed` makes no claim, and belongs to the same user as without
/// it. Whether it is refused like the event without the mark is up to the model.
fn marked_event_makes_no_claim(make: &Make) -> Result<(), String> {
    for_all(
        &(settings(), prop_oneof![event(), event_with_two_ids()]),
        |(settings, event)| {
            let engine = make(settings);
            let read = |is_unweighed| {
                comparable(engine.read(&Event {
                    is_unweighed,
                    ..*event
                }))
            };
            let marked = read(true);
            let mut differences = Differences::default();
            if let Ok(unmarked) = read(false) {
                let claim = None;
                let want = Ok(Reading { claim, ..unmarked });
                differences.expect("the reading of a marked event", &want, &marked);
            } else if let Ok(marked) = marked {
                differences.expect("the claim of a marked event", &None, &marked.claim);
            }
            differences.into_result()
        },
        |(settings, event)| format!("{event:#?}\nwith {settings:?}"),
    )
}
