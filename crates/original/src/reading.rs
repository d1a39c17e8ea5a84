//! Rules O-1 to O-6: which user an event belongs to, and what it claims. Pure functions.

use idmerge_core::one_namespace::{alias_ids, anon_id, identified_id, merge_ids, own_id};
use idmerge_core::{Claim, DistinctId, Event, Id, IdRules, InvalidEvent, Reading};

pub(crate) fn read<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
    let reading = match event.name {
        Event::IDENTIFY => identify(rules, event),
        Event::CREATE_ALIAS => create_alias(rules, event),
        Event::MERGE => merge(rules, event),
        _ => return ordinary(rules, event),
    };
    // AR-4: a marked event makes no claim.
    match reading {
        Ok(reading) if event.is_unweighed => Ok(Reading {
            claim: None,
            ..reading
        }),
        reading => reading,
    }
}

/// O-2: an ordinary event never merges.
fn ordinary<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
    Ok(Reading {
        distinct_id: own_id(rules, event)?.map(DistinctId::plain),
        claim: None,
    })
}

/// O-3
fn identify<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
    let identified = identified_id(rules, event)?;
    let anon = anon_id(rules, event)?;
    Ok(claiming(identified, Claim::Identify { identified, anon }))
}

/// O-4
fn create_alias<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
    let [distinct_id, alias] = alias_ids(rules, event)?;
    Ok(claiming(distinct_id, Claim::Alias { distinct_id, alias }))
}

/// O-5
fn merge<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
    let [first, second] = merge_ids(rules, event)?;
    Ok(claiming(first, Claim::Merge { first, second }))
}

/// O-6: an identity event is attributed to the first ID that it names.
fn claiming<'e>(distinct_id: Id<'e>, claim: Claim<'e>) -> Reading<'e> {
    Reading {
        distinct_id: Some(DistinctId::plain(distinct_id)),
        claim: Some(claim),
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::{DistinctIds, IdProperty, Value};

    use super::*;

    fn reading<'e>(event: &Event<'e>) -> Reading<'e> {
        read(&IdRules::default(), event).unwrap()
    }

    fn own(event: &Event<'_>) -> String {
        reading(event).distinct_id.unwrap().to_string()
    }

    fn refused(event: &Event<'_>) -> (IdProperty, &'static str) {
        let refused = read(&IdRules::default(), event).unwrap_err();
        (refused.property(), refused.rule())
    }

    fn text(id: &str) -> Value<'_> {
        Value::Text(id)
    }

    const NOT_AN_ID: Value<'_> = Value::NotAnId("1.5");

    #[test]
    fn o_1_one_prefix_is_removed_from_every_id() {
        let ordinary = |id| Event {
            distinct_id: text(id),
            ..Event::named("A")
        };
        assert_eq!(own(&ordinary("$device:D1")), "D1");
        assert!(
            !reading(&ordinary("$device:D1"))
                .distinct_id
                .unwrap()
                .is_device()
        );
        assert_eq!(own(&ordinary("D1")), "D1");
        assert_eq!(own(&ordinary("$Device:D1")), "$Device:D1");
        assert_eq!(
            refused(&ordinary("$device:$device:D1")),
            (IdProperty::DistinctId, "O-1")
        );
        assert_eq!(
            refused(&ordinary("$device:")),
            (IdProperty::DistinctId, "ID-5")
        );
        assert_eq!(
            refused(&ordinary("$device:null")),
            (IdProperty::DistinctId, "ID-4")
        );

        let id = |text| Id::new(text).unwrap();
        let marked = Event {
            distinct_id: text("$device:A"),
            anon_id: text("$device:B"),
            alias: text("$device:C"),
            distinct_ids: DistinctIds::Two([text("$device:D"), text("$device:E")]),
            ..Event::default()
        };
        let claim = |name| reading(&Event { name, ..marked }).claim.unwrap();
        assert_eq!(
            claim("$identify"),
            Claim::Identify {
                identified: id("A"),
                anon: id("B")
            }
        );
        assert_eq!(
            claim("$create_alias"),
            Claim::Alias {
                distinct_id: id("A"),
                alias: id("C")
            }
        );
        assert_eq!(
            claim("$merge"),
            Claim::Merge {
                first: id("D"),
                second: id("E")
            }
        );
    }

    #[test]
    fn o_2_an_ordinary_event_is_attributed_to_the_first_id_and_never_merges() {
        let ids = |distinct_id, user_id, device_id| Event {
            distinct_id,
            user_id,
            device_id,
            identified_id: text("I"),
            anon_id: text("N"),
            ..Event::named("A")
        };
        let none = Value::Absent;
        for (event, expected) in [
            (ids(text("X"), text("U"), text("D")), "X"),
            (ids(none, text("U"), text("D")), "U"),
            (ids(text(""), text(""), text("D")), "D"),
            // The other properties are not read.
            (ids(text("X"), NOT_AN_ID, NOT_AN_ID), "X"),
            (ids(none, text("U"), NOT_AN_ID), "U"),
        ] {
            assert_eq!(own(&event), expected);
            assert_eq!(reading(&event).claim, None);
        }
        assert_eq!(reading(&ids(none, none, none)), Reading::default());
        // The first one counts, even if it is invalid.
        assert_eq!(
            refused(&ids(NOT_AN_ID, text("U"), none)),
            (IdProperty::DistinctId, "ID-3")
        );
        assert_eq!(
            refused(&ids(none, NOT_AN_ID, text("D"))),
            (IdProperty::UserId, "ID-3")
        );
        assert_eq!(
            refused(&ids(none, none, text("0"))),
            (IdProperty::DeviceId, "ID-4")
        );
    }

    #[test]
    fn o_3_identify_takes_both_spellings() {
        let sdk = Event {
            distinct_id: text("U1"),
            anon_distinct_id: text("$device:D1"),
            user_id: NOT_AN_ID,
            device_id: NOT_AN_ID,
            ..Event::named("$identify")
        };
        let http = Event {
            identified_id: text("U2"),
            anon_id: text("D2"),
            ..sdk
        };
        let id = |text| Id::new(text).unwrap();
        let claim = |identified, anon| {
            Some(Claim::Identify {
                identified: id(identified),
                anon: id(anon),
            })
        };
        assert_eq!(reading(&sdk).claim, claim("U1", "D1"));
        assert_eq!(reading(&http).claim, claim("U2", "D2"));
        assert_eq!(
            reading(&Event {
                anon_id: text(""),
                ..http
            })
            .claim,
            claim("U2", "D1")
        );
        assert_eq!(
            reading(&Event {
                identified_id: text(""),
                ..http
            })
            .claim,
            claim("U1", "D2")
        );
        // The second spelling is not read if the first one is present.
        let unread = Event {
            distinct_id: NOT_AN_ID,
            anon_distinct_id: NOT_AN_ID,
            ..http
        };
        assert_eq!(reading(&unread).claim, claim("U2", "D2"));

        let none = Value::Absent;
        for (event, property) in [
            (
                Event {
                    distinct_id: none,
                    ..sdk
                },
                IdProperty::IdentifiedId,
            ),
            (
                Event {
                    anon_distinct_id: none,
                    ..sdk
                },
                IdProperty::AnonId,
            ),
        ] {
            assert_eq!(refused(&event), (property, "O-3"));
        }
        let invalid = Event {
            anon_id: text("null"),
            ..http
        };
        assert_eq!(refused(&invalid), (IdProperty::AnonId, "ID-4"));
    }

    #[test]
    fn o_4_create_alias_needs_both_ids() {
        let event = Event {
            distinct_id: text("A"),
            alias: text("B"),
            user_id: text("U"),
            ..Event::named("$create_alias")
        };
        let id = |text| Id::new(text).unwrap();
        let claim = Claim::Alias {
            distinct_id: id("A"),
            alias: id("B"),
        };
        assert_eq!(reading(&event).claim, Some(claim));
        let none = Value::Absent;
        let no_distinct_id = Event {
            distinct_id: none,
            ..event
        };
        assert_eq!(refused(&no_distinct_id), (IdProperty::DistinctId, "O-4"));
        assert_eq!(
            refused(&Event {
                alias: none,
                ..event
            }),
            (IdProperty::Alias, "O-4")
        );
        assert_eq!(
            refused(&Event {
                alias: NOT_AN_ID,
                ..event
            }),
            (IdProperty::Alias, "ID-3")
        );
    }

    #[test]
    fn o_5_merge_needs_exactly_two_ids() {
        let event = |distinct_ids| Event {
            distinct_ids,
            ..Event::named("$merge")
        };
        let two = |a, b| event(DistinctIds::Two([a, b]));
        let id = |text| Id::new(text).unwrap();
        let claim = Claim::Merge {
            first: id("A"),
            second: id("B"),
        };
        assert_eq!(reading(&two(text("A"), text("B"))).claim, Some(claim));
        for not_two in [
            event(DistinctIds::Absent),
            event(DistinctIds::NotTwo("[\"A\"]")),
            event(DistinctIds::NotTwo("\"A\"")),
            two(text("A"), text("")),
            two(Value::Absent, text("B")),
        ] {
            assert_eq!(refused(&not_two), (IdProperty::DistinctIds, "O-5"));
        }
        let invalid = two(text("A"), NOT_AN_ID);
        assert_eq!(refused(&invalid), (IdProperty::DistinctIds, "ID-3"));
    }

    #[test]
    fn o_6_an_identity_event_belongs_to_the_first_id() {
        let event = Event {
            distinct_id: text("A"),
            identified_id: text("I"),
            anon_id: text("N"),
            alias: text("L"),
            distinct_ids: DistinctIds::Two([text("M1"), text("M2")]),
            ..Event::default()
        };
        for (name, expected) in [("$identify", "I"), ("$create_alias", "A"), ("$merge", "M1")] {
            assert_eq!(own(&Event { name, ..event }), expected);
        }
        let sdk = Event {
            name: "$identify",
            identified_id: Value::Absent,
            ..event
        };
        assert_eq!(own(&sdk), "A");
    }
}
