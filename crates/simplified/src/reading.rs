//! Rules S-0 to S-4 and S-8: which user an event belongs to, and whether it links. Pure functions.

use idmerge_core::{
    Claim, DEVICE_PREFIX, DistinctId, Event, IdProperty, IdRules, InvalidEvent, Reading, Value,
};

pub(crate) fn read<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
    // S-0: a `$user_id` that starts with the prefix of a device is not a user ID. If `$device_id`
    // is absent, it names the device; otherwise it is not read further.
    let (user, prefixed) = match rules.text(IdProperty::UserId, event.user_id)? {
        Some(text) if text.starts_with(DEVICE_PREFIX) => (None, Some(text)),
        Some(text) => (Some(rules.id(IdProperty::UserId, text)?), None),
        None => (None, None),
    };
    let device = match (rules.text(IdProperty::DeviceId, event.device_id)?, prefixed) {
        (Some(text), _) => Some((IdProperty::DeviceId, text)),
        (None, Some(text)) => Some((IdProperty::UserId, text)),
        (None, None) => None,
    };
    // ID-5: one prefix before a device ID is removed.
    let device = device
        .map(|(property, text)| rules.distinct_id(property, text))
        .transpose()?
        .map(|device| device.id());

    Ok(match (user, device) {
        // S-1: the event belongs to the user. S-5: it links, unless S-8 excludes its name.
        (Some(user), Some(device)) => Reading {
            distinct_id: Some(DistinctId::plain(user)),
            // AR-4: nor does a marked event make a claim.
            claim: (!event.is_identity_event() && !event.is_unweighed)
                .then_some(Claim::Link { device, user }),
        },
        // S-1
        (Some(user), None) => attributed(DistinctId::plain(user)),
        // S-2
        (None, Some(device)) => attributed(DistinctId::device(device)),
        (None, None) => match rules.text(IdProperty::DistinctId, own_distinct_id(rules, event))? {
            // S-3
            Some(text) => attributed(rules.distinct_id(IdProperty::DistinctId, text)?),
            // S-4
            None => Reading::default(),
        },
    })
}

/// IN-5
fn own_distinct_id<'e>(rules: &IdRules, event: &Event<'e>) -> Value<'e> {
    event.own_distinct_id(|text| rules.distinct_id(IdProperty::DistinctId, text).is_ok())
}

fn attributed(distinct_id: DistinctId<'_>) -> Reading<'_> {
    Reading {
        distinct_id: Some(distinct_id),
        claim: None,
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::Id;

    use super::*;

    fn event<'e>(user_id: &'e str, device_id: &'e str, distinct_id: &'e str) -> Event<'e> {
        Event {
            user_id: user_id.into(),
            device_id: device_id.into(),
            distinct_id: distinct_id.into(),
            ..Event::named("A")
        }
    }

    fn reading<'e>(event: &Event<'e>) -> Reading<'e> {
        read(&IdRules::default(), event).unwrap()
    }

    /// The own distinct_id of an event; the event must make no claim.
    fn own(user_id: &str, device_id: &str, distinct_id: &str) -> String {
        let event = event(user_id, device_id, distinct_id);
        let reading = reading(&event);
        assert_eq!(reading.claim, None);
        reading.distinct_id.unwrap().to_string()
    }

    fn refused(event: &Event<'_>) -> (IdProperty, &'static str) {
        let refused = read(&IdRules::default(), event).unwrap_err();
        (refused.property(), refused.rule())
    }

    #[test]
    fn s_0_a_user_id_with_the_prefix_of_a_device_is_a_device() {
        assert_eq!(own("$device:D1", "", "X"), "$device:D1");
        // `$device_id` takes precedence; the text after the prefix of `$user_id` is then not read.
        assert_eq!(own("$device:D1", "D2", "X"), "$device:D2");
        assert_eq!(own("$device:", "D2", "X"), "$device:D2");
        assert_eq!(
            refused(&event("$device:", "", "X")),
            (IdProperty::UserId, "ID-5")
        );
        assert_eq!(
            refused(&event("$device:null", "", "")),
            (IdProperty::UserId, "ID-4")
        );
        // The prefix is at the start, in lower case.
        assert_eq!(own("$Device:D1", "", ""), "$Device:D1");
    }

    #[test]
    fn s_1_an_event_with_a_user_id_belongs_to_the_user() {
        assert_eq!(own("U1", "", "X"), "U1");
        let both = event("U1", "D1", "X");
        assert_eq!(reading(&both).distinct_id.unwrap(), *"U1");
    }

    #[test]
    fn s_2_an_event_with_only_a_device_id_belongs_to_the_device() {
        assert_eq!(own("", "D1", "X"), "$device:D1");
        // ID-5: one prefix is removed, not two.
        assert_eq!(own("", "$device:D1", ""), "$device:D1");
        assert_eq!(own("", "$device:$device:D1", ""), "$device:$device:D1");
    }

    #[test]
    fn s_3_a_distinct_id_alone_is_a_device_or_a_user() {
        assert_eq!(own("", "", "$device:D1"), "$device:D1");
        assert!(
            reading(&event("", "", "$device:D1"))
                .distinct_id
                .unwrap()
                .is_device()
        );
        assert_eq!(own("", "", "U1"), "U1");
        assert!(
            !reading(&event("", "", "U1"))
                .distinct_id
                .unwrap()
                .is_device()
        );
        assert_eq!(
            refused(&event("", "", "$device:")),
            (IdProperty::DistinctId, "ID-5")
        );
    }

    #[test]
    fn s_4_an_event_without_an_id_is_unattributed() {
        assert_eq!(reading(&event("", "", "")), Reading::default());
    }

    #[test]
    fn s_5_an_event_with_both_ids_links_whatever_its_name() {
        for name in ["A", "", "$mp_web_page_view", "identify", "$Merge"] {
            let event = Event {
                name,
                ..event("U1", "$device:D1", "X")
            };
            let id = |text| Id::new(text).unwrap();
            assert_eq!(
                reading(&event).claim,
                Some(Claim::Link {
                    device: id("D1"),
                    user: id("U1")
                }),
            );
        }
    }

    #[test]
    fn s_8_identity_events_never_link_but_are_attributed() {
        for name in ["$identify", "$create_alias", "$merge"] {
            for (ids, distinct_id) in [
                (["U1", "D1", "X"], Some("U1")),
                (["", "D1", "X"], Some("$device:D1")),
                (["", "", "X"], Some("X")),
                (["", "", ""], None),
            ] {
                let [user_id, device_id, x] = ids;
                let event = Event {
                    name,
                    anon_distinct_id: Value::NotAnId("[]"),
                    ..event(user_id, device_id, x)
                };
                let reading = reading(&event);
                assert_eq!(
                    reading.distinct_id.map(|id| id.to_string()).as_deref(),
                    distinct_id
                );
                assert_eq!(reading.claim, None);
            }
            // Here too, the properties that S-1 to S-4 read are checked.
            let event = Event {
                name,
                ..event("U1", "null", "")
            };
            assert_eq!(refused(&event), (IdProperty::DeviceId, "ID-4"));
        }
    }

    #[test]
    fn id_7_properties_that_the_rules_do_not_read_are_not_checked() {
        let not_an_id = Value::NotAnId("{}");
        let noise = Event {
            identified_id: not_an_id,
            anon_id: not_an_id,
            anon_distinct_id: not_an_id,
            alias: not_an_id,
            ..event("", "", "")
        };
        for (ids, distinct_id) in [
            (
                Event {
                    user_id: "U1".into(),
                    distinct_id: not_an_id,
                    ..noise
                },
                "U1",
            ),
            (
                Event {
                    device_id: "D1".into(),
                    distinct_id: not_an_id,
                    ..noise
                },
                "$device:D1",
            ),
            (
                Event {
                    distinct_id: "U1".into(),
                    ..noise
                },
                "U1",
            ),
        ] {
            assert_eq!(reading(&ids).distinct_id.unwrap(), *distinct_id);
        }
        // `$user_id` is checked before `$device_id`.
        let both = Event {
            device_id: not_an_id,
            ..event("null", "", "")
        };
        assert_eq!(refused(&both), (IdProperty::UserId, "ID-4"));
        for (event, property) in [
            (
                Event {
                    user_id: not_an_id,
                    ..event("", "D1", "X")
                },
                IdProperty::UserId,
            ),
            (
                Event {
                    device_id: not_an_id,
                    ..event("U1", "", "X")
                },
                IdProperty::DeviceId,
            ),
            (
                Event {
                    distinct_id: not_an_id,
                    ..event("", "", "")
                },
                IdProperty::DistinctId,
            ),
        ] {
            assert_eq!(refused(&event), (property, "ID-3"));
        }
    }
}
