//! Rules L-1 to L-4 and L-11: which ID an event carries, and whether it makes an alias. Pure functions.

use idmerge_core::one_namespace::{alias_ids, identified_id, merge_ids, own_id};
use idmerge_core::{Claim, DistinctId, Event, IdRules, InvalidEvent, Reading};

pub(crate) fn read<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
    let (own, claim) = match event.name {
        // L-11: it is attributed to the identified ID. The anonymous ID is not read.
        Event::IDENTIFY => (Some(identified_id(rules, event)?), None),
        // L-4
        Event::CREATE_ALIAS => {
            let [distinct_id, alias] = alias_ids(rules, event)?;
            // AR-4: a marked event makes no claim.
            let claim = (!event.is_unweighed).then_some(Claim::Alias { distinct_id, alias });
            (Some(distinct_id), claim)
        }
        // L-11: it is attributed to the first ID. Both must be IDs.
        Event::MERGE => (Some(merge_ids(rules, event)?[0]), None),
        // L-2
        _ => (own_id(rules, event)?, None),
    };
    Ok(Reading {
        distinct_id: own.map(DistinctId::plain),
        claim,
    })
}

#[cfg(test)]
mod tests {
    use idmerge_core::{DistinctIds, Id, IdProperty, Value};

    use super::*;

    const NOT_AN_ID: Value<'_> = Value::NotAnId("1.5");
    const NONE: Value<'_> = Value::Absent;

    fn text(id: &str) -> Value<'_> {
        Value::Text(id)
    }

    fn reading<'e>(event: &Event<'e>) -> Reading<'e> {
        read(&IdRules::default(), event).unwrap()
    }

    /// The ID of an event that makes no claim.
    fn own(event: &Event<'_>) -> String {
        let reading = reading(event);
        assert_eq!(reading.claim, None);
        let own = reading.distinct_id.unwrap();
        assert!(!own.is_device());
        own.to_string()
    }

    fn refused(event: &Event<'_>) -> (IdProperty, &'static str) {
        let refused = read(&IdRules::default(), event).unwrap_err();
        (refused.property(), refused.rule())
    }

    fn alias<'e>(distinct_id: Value<'e>, alias: Value<'e>) -> Event<'e> {
        Event {
            distinct_id,
            alias,
            ..Event::named("$create_alias")
        }
    }

    #[test]
    fn l_1_one_prefix_is_removed_from_every_id() {
        let event = |distinct_id| Event {
            distinct_id,
            ..Event::named("A")
        };
        assert_eq!(own(&event(text("$device:D1"))), "D1");
        assert_eq!(own(&event(text("$Device:D1"))), "$Device:D1");
        for (id, rule) in [
            ("$device:$device:D1", "O-1"),
            ("$device:", "ID-5"),
            ("$device:null", "ID-4"),
        ] {
            assert_eq!(refused(&event(text(id))), (IdProperty::DistinctId, rule));
        }
        let claim = reading(&alias(text("$device:D1"), text("$device:U1"))).claim;
        let id = |text| Id::new(text).unwrap();
        let (distinct_id, alias) = (id("D1"), id("U1"));
        assert_eq!(claim, Some(Claim::Alias { distinct_id, alias }));
    }

    #[test]
    fn l_2_an_ordinary_event_carries_the_first_id_that_is_present() {
        let event = |distinct_id, user_id, device_id| Event {
            distinct_id,
            user_id,
            device_id,
            ..Event::named("A")
        };
        assert_eq!(own(&event(text("X"), text("U"), text("D"))), "X");
        assert_eq!(own(&event(text("X"), NOT_AN_ID, NOT_AN_ID)), "X");
        assert_eq!(own(&event(NONE, text("U"), NOT_AN_ID)), "U");
        assert_eq!(own(&event(NONE, NONE, text("D"))), "D");
        assert_eq!(reading(&event(NONE, NONE, NONE)), Reading::default());
        let invalid = event(NOT_AN_ID, text("U"), NONE);
        assert_eq!(refused(&invalid), (IdProperty::DistinctId, "ID-3"));
    }

    #[test]
    fn l_2_and_in_5_the_id_before_an_earlier_answer_comes_first() {
        let exported = Event {
            distinct_id: text("D"),
            distinct_id_before_identity: text("U"),
            ..Event::named("A")
        };
        assert_eq!(own(&exported), "U");
        let not_an_id = Event {
            distinct_id_before_identity: text("null"),
            ..exported
        };
        assert_eq!(own(&not_an_id), "D");
    }

    #[test]
    fn l_4_create_alias_needs_both_ids() {
        let refused_alias = |x, a| refused(&alias(x, a));
        let (x, a) = (text("X"), text("A"));
        assert_eq!(refused_alias(NONE, a), (IdProperty::DistinctId, "O-4"));
        assert_eq!(refused_alias(x, NONE), (IdProperty::Alias, "O-4"));
        assert_eq!(refused_alias(x, NOT_AN_ID), (IdProperty::Alias, "ID-3"));
        assert_eq!(reading(&alias(x, a)).distinct_id.unwrap(), *"X");
    }

    #[test]
    fn l_11_identify_carries_the_identified_id_and_links_nothing() {
        let event = Event {
            identified_id: text("$device:U"),
            distinct_id: NOT_AN_ID,
            anon_id: NOT_AN_ID,
            anon_distinct_id: NOT_AN_ID,
            ..Event::named("$identify")
        };
        assert_eq!(own(&event), "U");
        let (identified_id, distinct_id) = (NONE, text("U"));
        let sdk = Event {
            identified_id,
            distinct_id,
            ..event
        };
        assert_eq!(own(&sdk), "U");
        let distinct_id = NONE;
        let neither = Event { distinct_id, ..sdk };
        assert_eq!(refused(&neither), (IdProperty::IdentifiedId, "O-3"));
        assert_eq!(
            refused(&Event {
                identified_id: text("null"),
                ..sdk
            }),
            (IdProperty::IdentifiedId, "ID-4")
        );
    }

    #[test]
    fn l_11_merge_carries_its_first_id_and_links_nothing() {
        let event = |distinct_ids| Event {
            distinct_ids,
            distinct_id: text("X"),
            ..Event::named("$merge")
        };
        let two = |a, b| event(DistinctIds::Two([a, b]));
        assert_eq!(own(&two(text("$device:A"), text("B"))), "A");
        for (event, rule) in [
            (event(DistinctIds::Absent), "O-5"),
            (event(DistinctIds::NotTwo("[\"A\"]")), "O-5"),
            (two(text("A"), NONE), "O-5"),
            (two(text("A"), NOT_AN_ID), "ID-3"),
        ] {
            assert_eq!(refused(&event), (IdProperty::DistinctIds, rule));
        }
    }

    #[test]
    fn ar_4_a_marked_alias_makes_no_claim() {
        let marked = Event {
            is_unweighed: true,
            ..alias(text("X"), text("A"))
        };
        assert_eq!(own(&marked), "X");
        let is_refused = Event {
            alias: NONE,
            ..marked
        };
        assert_eq!(refused(&is_refused), (IdProperty::Alias, "O-4"));
    }
}
