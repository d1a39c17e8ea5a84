//! The eight operations as documented, and laws about them.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint sees only test functions"
)]

use idmerge_profiles::{Limits, Profile, Target, Update, UpdateError};
use proptest::prelude::*;
use serde_json::{Value, json};

const LIMITS: Limits = Limits::DOCUMENTED;

fn update(mut operation: Value) -> Result<Update, UpdateError> {
    operation["$token"] = "T".into();
    operation["$distinct_id"] = "U1".into();
    Update::parse(&operation.to_string(), &LIMITS)
}

fn profile(value: &Value) -> Profile {
    Profile::from_json(&value.to_string()).unwrap()
}

fn apply(to: &Value, operation: Value) -> Result<Option<Value>, UpdateError> {
    let mut profile = (!to.is_null()).then(|| profile(to));
    update(operation)?.apply(&mut profile, &LIMITS)?;
    Ok(profile.map(|profile| serde_json::from_str(&profile.to_json()).unwrap()))
}

#[track_caller]
fn assert_changes(to: Value, operation: Value, wanted: Value) {
    let wanted = (!wanted.is_null()).then_some(wanted);
    assert_eq!(apply(&to, operation), Ok(wanted));
}

#[test]
fn set_overwrites_and_creates_a_profile() {
    assert_changes(json!(null), json!({"$set": {"a": 1}}), json!({"a": 1}));
    assert_changes(
        json!({"a": 1, "b": 2}),
        json!({"$set": {"a": "x"}}),
        json!({"a": "x", "b": 2}),
    );
    assert_changes(json!(null), json!({"$set": {}}), json!({}));
}

#[test]
fn set_once_sets_only_absent_properties() {
    assert_changes(
        json!({"a": null}),
        json!({"$set_once": {"a": 2, "b": 3}}),
        json!({"a": null, "b": 3}),
    );
}

#[test]
fn add_adds_to_the_current_number_or_to_zero() {
    assert_changes(
        json!({"a": 1}),
        json!({"$add": {"a": 2, "b": -3, "c": 0.5}}),
        json!({"a": 3, "b": -3, "c": 0.5}),
    );
    assert_changes(
        json!({"a": i64::MAX}),
        json!({"$add": {"a": 1}}),
        json!({"a": 9_223_372_036_854_775_808_u64 as f64}),
    );
    let wrong = apply(&json!({"a": "x"}), json!({"$add": {"a": 1}}));
    assert!(
        matches!(wrong, Err(UpdateError::WrongValue { .. })),
        "{wrong:?}"
    );
    let wrong = apply(&json!({"a": f64::MAX}), json!({"$add": {"a": f64::MAX}}));
    assert!(
        matches!(wrong, Err(UpdateError::WrongValue { .. })),
        "{wrong:?}"
    );
    let wrong = update(json!({"$add": {"a": "1"}}));
    assert!(matches!(
        wrong,
        Err(UpdateError::WrongType {
            operation: "$add",
            ..
        })
    ));
}

#[test]
fn append_adds_one_value_and_keeps_duplicates() {
    assert_changes(
        json!({"a": [1]}),
        json!({"$append": {"a": 1, "b": "x"}}),
        json!({"a": [1, 1], "b": ["x"]}),
    );
    // A list is one value.
    assert_changes(
        json!({"a": [1]}),
        json!({"$append": {"a": [2]}}),
        json!({"a": [1, [2]]}),
    );
    assert_changes(
        json!({"a": "x"}),
        json!({"$append": {"a": "y"}}),
        json!({"a": ["x", "y"]}),
    );
}

#[test]
fn union_adds_missing_values() {
    assert_changes(
        json!({"a": [1, "x"]}),
        json!({"$union": {"a": ["x", 2, 2], "b": "y"}}),
        json!({"a": [1, "x", 2], "b": ["y"]}),
    );
    let wrong = apply(&json!({"a": 1}), json!({"$union": {"a": [1]}}));
    assert!(matches!(wrong, Err(UpdateError::WrongValue { .. })));
    let wrong = update(json!({"$union": {"a": [{}]}}));
    assert!(matches!(wrong, Err(UpdateError::WrongType { .. })));
}

#[test]
fn remove_removes_a_value_from_a_list() {
    assert_changes(
        json!({"a": [1, 2, 1], "b": 1}),
        json!({"$remove": {"a": 1, "b": 1, "c": 1}}),
        json!({"a": [2], "b": 1}),
    );
    assert_changes(json!(null), json!({"$remove": {"a": 1}}), json!(null));
}

#[test]
fn unset_deletes_properties() {
    assert_changes(
        json!({"a": 1, "b": 2}),
        json!({"$unset": ["a", "c"]}),
        json!({"b": 2}),
    );
    assert_changes(json!({"a": 1}), json!({"$unset": "a"}), json!({}));
    assert_changes(json!(null), json!({"$unset": ["a"]}), json!(null));
    assert!(update(json!({"$unset": [1]})).is_err());
}

#[test]
fn delete_ignores_its_argument() {
    for given in [json!(""), json!("null"), json!(null), json!("U1")] {
        assert_changes(json!({"a": 1}), json!({"$delete": given}), json!(null));
    }
}

#[test]
fn several_operations_are_carried_out_in_a_fixed_order_or_none_is() {
    assert_changes(
        json!(null),
        json!({"$unset": ["b"], "$add": {"a": 1}, "$set": {"a": 1, "b": 1}}),
        json!({"a": 2}),
    );
    assert!(apply(&json!({}), json!({"$set": {"a": "x"}, "$add": {"a": 1}})).is_err());
}

#[test]
fn an_update_names_its_profile() {
    let target = |json: &str| Update::parse(json, &LIMITS).map(|update| update.target().clone());
    let user = |id: &str, ignores_alias| {
        Ok(Target::User {
            distinct_id: id.to_owned(),
            ignores_alias,
        })
    };
    assert_eq!(
        target(r#"{"$distinct_id":"U","$set":{}}"#),
        user("U", false)
    );
    assert_eq!(target(r#"{"$distinct_id":7,"$set":{}}"#), user("7", false));
    for yes in ["true", "\"true\"", "\"True\""] {
        let json = format!(r#"{{"$distinct_id":"U","$ignore_alias":{yes},"$delete":""}}"#);
        assert_eq!(target(&json), user("U", true));
    }
    for no in ["false", "\"false\"", "null", "1"] {
        let json = format!(r#"{{"$distinct_id":"U","$ignore_alias":{no},"$delete":""}}"#);
        assert_eq!(target(&json), user("U", false));
    }
    for invalid in [
        "",
        r#""$distinct_id":"","#,
        r#""$distinct_id":1.5,"#,
        r#""$distinct_id":[],"#,
    ] {
        let json = format!(r#"{{{invalid}"$set":{{}}}}"#);
        let property = "$distinct_id";
        assert_eq!(
            target(&json),
            Err(UpdateError::NoTarget { property }),
            "{json}"
        );
    }
    let group = Target::Group {
        key: "company".into(),
        id: "7".into(),
    };
    assert_eq!(
        target(r#"{"$group_key":"company","$group_id":7,"$set":{}}"#),
        Ok(group)
    );
    let property = "$group_id";
    assert_eq!(
        target(r#"{"$group_key":"company","$set":{}}"#),
        Err(UpdateError::NoTarget { property })
    );
    assert_eq!(
        target(r#"{"$group_key":"a","$group_id":"b","$distinct_id":"U","$set":{}}"#),
        Err(UpdateError::UserOfGroup)
    );
    assert_eq!(
        target(r#"{"$distinct_id":"U"}"#),
        Err(UpdateError::NoOperation)
    );
    assert_eq!(target("[]"), Err(UpdateError::NotAnObject));
    assert_eq!(target("{"), Err(UpdateError::NotAnObject));
}

#[test]
fn the_largest_allowed_value_passes_and_the_next_one_fails() {
    let name = |bytes| json!({"$set": {"n".repeat(bytes): 1}});
    assert!(update(name(255)).is_ok());
    assert_eq!(
        update(name(256)),
        Err(UpdateError::Name {
            bytes: 256,
            max_bytes: 255
        })
    );
    assert!(update(name(0)).is_err());

    let string = |bytes| json!({"$set": {"a": "x".repeat(bytes)}});
    for bytes in [255, 256, 300] {
        let cut = "x".repeat(bytes.min(255));
        assert_changes(json!(null), string(bytes), json!({"a": cut}));
    }
    // 127 letters of two bytes each: no letter is cut in the middle.
    assert_changes(
        json!(null),
        json!({"$set": {"a": ["ü".repeat(200)]}}),
        json!({"a": ["ü".repeat(127)]}),
    );

    let many = |properties: usize| {
        let values: serde_json::Map<_, _> = (0..properties)
            .map(|at| (at.to_string(), at.into()))
            .collect();
        json!({"$set": values})
    };
    assert!(apply(&json!(null), many(2_000)).is_ok());
    assert!(apply(&json!({"a": 1}), many(1_999)).is_ok());
    assert_eq!(
        apply(&json!({"a": 1}), many(2_000)),
        Err(UpdateError::Properties {
            properties: 2_001,
            max_properties: 2_000
        })
    );

    assert_changes(
        json!(null),
        json!({"$set": {"a": {"b": "ü".repeat(200)}}}),
        json!({"a": {"b": "ü".repeat(127)}}),
    );

    let update_of = |bytes: usize| {
        let rest = r#"{"$distinct_id":"U","$set":{"a":""}}"#.len();
        let value = "x".repeat(bytes - rest);
        Update::parse(
            &format!(r#"{{"$distinct_id":"U","$set":{{"a":"{value}"}}}}"#),
            &LIMITS,
        )
    };
    assert!(update_of(1_048_576).is_ok());
    assert_eq!(
        update_of(1_048_577),
        Err(UpdateError::TooLong {
            bytes: 1_048_577,
            max_bytes: 1_048_576
        })
    );

    let limits = Limits {
        max_profile_bytes: 7,
        ..LIMITS
    };
    let set = |value: u32| update(json!({"$set": {"a": value}})).unwrap();
    assert!(set(1).apply(&mut None, &limits).is_ok());
    assert_eq!(
        set(10).apply(&mut None, &limits),
        Err(UpdateError::Profile {
            bytes: 8,
            max_bytes: 7
        })
    );
}

#[test]
fn lists_and_objects_have_a_limit_of_levels_and_of_bytes() {
    for allowed in [
        json!([[[1]]]),
        json!({"b": {"c": {"d": 1}}}),
        json!([{"b": [1]}]),
    ] {
        assert_changes(
            json!(null),
            json!({"$set": {"a": allowed}}),
            json!({"a": allowed}),
        );
    }
    for deep in [
        json!([[[[1]]]]),
        json!({"b": {"c": {"d": {"e": 1}}}}),
        json!([{"b": [{}]}]),
    ] {
        assert_eq!(
            apply(&json!(null), json!({"$set": {"a": deep}})),
            Err(UpdateError::Depth {
                property: "\"a\"".into(),
                max_depth: 3
            })
        );
    }

    // 2,621 strings of 97 bytes have 100 bytes each, with quotes and a comma; the last string fills
    // the list up to the limit.
    let list = |last: usize| {
        let mut values = vec!["x".repeat(97); 2_621];
        values.push("x".repeat(last));
        json!({"$set": {"a": values}})
    };
    // The brackets, the strings and the quotes of the last one: 1 + 262,100 + 2 + 1 bytes.
    let room = 256 * 1024 - 262_104;
    assert!(apply(&json!(null), list(room)).is_ok());
    assert_eq!(
        apply(&json!(null), list(room + 1)),
        Err(UpdateError::Container {
            property: "\"a\"".into(),
            bytes: 262_145,
            max_bytes: 262_144
        })
    );
    let object: serde_json::Map<_, _> = (0..3_000)
        .map(|at| (at.to_string(), "x".repeat(97).into()))
        .collect();
    let long = apply(&json!(null), json!({"$set": {"a": object}}));
    assert!(
        matches!(long, Err(UpdateError::Container { .. })),
        "{long:?}"
    );
}

#[test]
fn a_profile_shows_its_properties() {
    let of = profile(&json!({"a": 1, "b": [2]}));
    assert_eq!(of.property("b"), Some(json!([2])));
    assert_eq!(of.property("c"), None);
    let all: Vec<_> = of.properties().collect();
    assert_eq!(all, [("a", json!(1)), ("b", json!([2]))]);
    assert_eq!((of.len(), of.is_empty()), (2, false));
    assert!(profile(&json!({})).is_empty());
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3..3_i64).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        scalar(),
        prop::collection::vec(scalar(), 0..4).prop_map(Value::from)
    ]
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[xyz]", any_value(), 0..4)
        .prop_map(|values| Value::Object(values.into_iter().collect()))
}

fn name() -> impl Strategy<Value = String> {
    "[xyz]".prop_map(String::from)
}

proptest! {
    #[test]
    fn all_operations_but_add_and_append_are_idempotent(
        to in object(), values in object(), name in name(), list in prop::collection::vec(scalar(), 0..4),
    ) {
        let operations = [
            json!({"$set": values}),
            json!({"$set_once": values}),
            json!({"$union": {&name: list}}),
            json!({"$unset": [&name]}),
            json!({"$remove": values}),
            json!({"$delete": ""}),
        ];
        for operation in operations {
            if let Ok(once) = apply(&to, operation.clone()) {
                let twice = apply(&once.clone().unwrap_or_default(), operation);
                prop_assert_eq!(twice, Ok(once));
            }
        }
    }

    #[test]
    fn an_appended_value_can_be_removed(to in object(), name in name(), value in scalar()) {
        let added = apply(&to, json!({"$append": {&name: value}})).unwrap().unwrap();
        prop_assert!(added[&name].as_array().unwrap().contains(&value));
        let removed = apply(&added, json!({"$remove": {&name: value}})).unwrap().unwrap();
        prop_assert!(!removed[&name].as_array().unwrap().contains(&value));
    }

    #[test]
    fn adding_the_opposite_undoes_an_addition(current in -1_000..1_000_i64, by in -1_000..1_000_i64) {
        let to = json!({"a": current});
        let added = apply(&to, json!({"$add": {"a": by}})).unwrap().unwrap();
        prop_assert_eq!(apply(&added, json!({"$add": {"a": -by}})), Ok(Some(to)));
    }

    #[test]
    fn other_properties_do_not_change(to in object(), name in name(), values in any_value()) {
        for operation in ["$set", "$set_once", "$append", "$union", "$remove"] {
            let Ok(Some(changed)) = apply(&to, json!({operation: {&name: values}})) else {
                continue;
            };
            for (other, value) in to.as_object().unwrap() {
                prop_assert!(*other == name || changed[other] == *value);
            }
        }
    }

    #[test]
    fn no_text_makes_parsing_panic(json in "\\PC{0,60}") {
        let _may_fail = Update::parse(&json, &LIMITS).is_ok();
    }

    #[test]
    fn a_written_profile_is_read_back(values in object()) {
        let profile = profile(&values);
        prop_assert_eq!(Profile::from_json(&profile.to_json()), Some(profile));
    }
}
