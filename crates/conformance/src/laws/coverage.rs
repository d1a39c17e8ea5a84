//! A custom engine must do something with the random events, or the laws check nothing.

use std::cell::Cell;

use idmerge_core::{IdentityResolverExt, Outcome, RuleBook};
use proptest::prelude::*;

use crate::check::{Check, Make};
use crate::generate::{CLAIMS_MAX, event_with_two_ids, for_all, settings};

pub(super) fn trials(rule_book: RuleBook) -> Vec<Check> {
    match rule_book {
        // The oracle covers the built-in rule books.
        RuleBook::Simplified | RuleBook::Original | RuleBook::Legacy => Vec::new(),
        _ => vec![("0-an-event-merges", Box::new(an_event_merges))],
    }
}

/// Of many random events with two IDs, at least one makes a claim that is answered with `Merged`.
fn an_event_merges(make: &Make) -> Result<(), String> {
    let (claims, merges) = (Cell::new(0_u64), Cell::new(0_u64));
    let events = prop::collection::vec(event_with_two_ids(), 0..=CLAIMS_MAX);
    for_all(
        &(settings(), events),
        |(settings, events)| {
            let mut engine = make(settings);
            for event in events {
                // An event may be invalid by the engine's rules.
                let outcome = engine.apply_event(event).ok().and_then(|(_, it)| it);
                claims.set(claims.get() + u64::from(outcome.is_some()));
                merges.set(merges.get() + u64::from(outcome == Some(Outcome::Merged)));
            }
            Ok(())
        },
        |(_, events)| format!("with {events:#?}"),
    )?;
    match (claims.get(), merges.get()) {
        (0, _) => Err(
            "no event makes a claim: `read` finds none in `$identify`, `$create_alias`, \
                       `$merge` and events with a user and a device"
                .to_owned(),
        ),
        (claims, 0) => Err(format!(
            "events make {claims} claims, and `apply` answers none with `Merged`"
        )),
        _ => Ok(()),
    }
}
