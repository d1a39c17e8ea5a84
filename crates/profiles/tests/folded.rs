//! Many updates of one profile: the result is that of a simple model of the operations, which copies the
//! whole profile for each; and the work does not grow with the profile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; the lint sees only test functions"
)]

use idmerge_profiles::{Limits, Profile, Update, UpdateError};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Properties = Map<String, Value>;

/// Carries out one operation as docs/server.md and the vendor describe it. An error is its kind.
fn model(
    profile: Option<Properties>,
    operation: &str,
    argument: &Value,
    limits: &Limits,
) -> Result<Option<Properties>, &'static str> {
    if operation == "$delete" || profile.is_none() && ["$remove", "$unset"].contains(&operation) {
        return Ok(None);
    }
    let mut profile = profile.unwrap_or_default();
    if operation == "$unset" {
        for name in argument.as_array().unwrap() {
            profile.shift_remove(name.as_str().unwrap());
        }
        return Ok(Some(profile));
    }
    for (name, value) in argument.as_object().unwrap() {
        let value = cut(value, limits.max_string_bytes);
        let before = profile.get(name).cloned();
        let after = match (operation, before) {
            ("$set", _) => value,
            ("$set_once", before) => before.unwrap_or(value),
            ("$add", before) => match (before.unwrap_or(json!(0)), value) {
                (Value::Number(a), Value::Number(b)) => {
                    json!(a.as_i64().unwrap() + b.as_i64().unwrap())
                }
                _ => return Err("WrongValue"),
            },
            ("$append", None) => json!([value]),
            ("$append", Some(Value::Array(mut values))) => {
                values.push(value);
                values.into()
            }
            ("$append", Some(first)) => json!([first, value]),
            ("$union", before) => {
                let Value::Array(mut values) = before.unwrap_or(json!([])) else {
                    return Err("WrongValue");
                };
                for value in value.as_array().unwrap_or(&vec![value.clone()]) {
                    if !values.contains(value) {
                        values.push(value.clone());
                    }
                }
                values.into()
            }
            ("$remove", Some(Value::Array(mut values))) => {
                values.retain(|other| *other != value);
                values.into()
            }
            ("$remove", None) => continue,
            ("$remove", Some(other)) => other,
            (other, _) => panic!("{other}"),
        };
        let is_container = after.is_array() || after.is_object();
        if depth(&after) > limits.max_depth {
            return Err("Depth");
        }
        if is_container && after.to_string().len() > limits.max_container_bytes {
            return Err("Container");
        }
        profile.insert(name.clone(), after);
    }
    Ok(Some(profile))
}

/// Several operations in the fixed order, all or none.
fn model_of_update(
    profile: &Option<Properties>,
    update: &Value,
    limits: &Limits,
) -> Result<Option<Properties>, &'static str> {
    let order = [
        "$set",
        "$set_once",
        "$add",
        "$append",
        "$union",
        "$remove",
        "$unset",
        "$delete",
    ];
    let mut changed = profile.clone();
    for operation in order {
        if let Some(argument) = update.get(operation) {
            changed = model(changed, operation, argument, limits)?;
        }
    }
    let Some(after) = &changed else {
        return Ok(None);
    };
    let is_untouched = profile.is_some() && changed == *profile;
    if !is_untouched && after.len() > limits.max_properties {
        return Err("Properties");
    }
    if !is_untouched && json!(after).to_string().len() > limits.max_profile_bytes {
        return Err("Profile");
    }
    Ok(changed)
}

fn cut(value: &Value, max_bytes: usize) -> Value {
    match value {
        Value::String(text) => text[..text.floor_char_boundary(max_bytes)].into(),
        Value::Array(values) => values.iter().map(|value| cut(value, max_bytes)).collect(),
        Value::Object(values) => values
            .iter()
            .map(|(name, value)| (name.clone(), cut(value, max_bytes)))
            .collect(),
        value => value.clone(),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(values) => 1 + values.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn kind(error: &UpdateError) -> &'static str {
    match error {
        UpdateError::WrongValue { .. } => "WrongValue",
        UpdateError::Depth { .. } => "Depth",
        UpdateError::Container { .. } => "Container",
        UpdateError::Properties { .. } => "Properties",
        UpdateError::Profile { .. } => "Profile",
        other => panic!("{other}"),
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (-3..3_i64).prop_map(Value::from),
        2 => "[ab\"\\\\ü]{0,4}".prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let list = || prop::collection::vec(scalar(), 0..4).prop_map(Value::from);
    prop_oneof![
        4 => scalar(),
        2 => list(),
        1 => list().prop_map(|list| json!({"b": list, "a": 1})),
        1 => list().prop_map(|list| json!({"a": 1, "b": list})),
        1 => list().prop_map(|list| json!([[list]])),
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["x", "y", "z", "\u{1}\"", "ü"][..])
}

fn arguments(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((name(), values), 0..3).prop_map(|values| {
        Value::Object(
            values
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    })
}

fn operation() -> impl Strategy<Value = (&'static str, Value)> {
    let any = |name| arguments(any_value()).prop_map(move |values| (name, values));
    let scalars = prop_oneof![
        scalar(),
        prop::collection::vec(scalar(), 0..4).prop_map(Value::from)
    ];
    prop_oneof![
        3 => any("$set"),
        1 => any("$set_once"),
        3 => any("$append"),
        3 => any("$remove"),
        2 => arguments((-3..3_i64).prop_map(Value::from)).prop_map(|values| ("$add", values)),
        3 => arguments(scalars).prop_map(|values| ("$union", values)),
        2 => prop::collection::vec(name(), 0..3).prop_map(|names| ("$unset", json!(names))),
        1 => Just(("$delete", json!(""))),
    ]
}

fn any_update() -> impl Strategy<Value = Value> {
    prop::collection::vec(operation(), 1..4).prop_map(|operations| {
        let mut update = json!({"$token": "T", "$distinct_id": "U"});
        for (operation, argument) in operations {
            update[operation] = argument;
        }
        update
    })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let max_profile_bytes = prop_oneof![Just(usize::MAX), 2..120_usize];
    (3..6_usize, 8..60_usize, 1..4_usize, max_profile_bytes).prop_map(
        |(max_properties, max_container_bytes, max_depth, max_profile_bytes)| Limits {
            max_properties,
            max_string_bytes: 3,
            max_container_bytes,
            max_depth,
            max_profile_bytes,
            ..Limits::DOCUMENTED
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn updates_folded_in_memory_give_the_profile_of_the_model(
        updates in prop::collection::vec(any_update(), 1..20), limits in any_limits(),
    ) {
        let mut wanted: Option<Properties> = None;
        let mut folded: Option<Profile> = None;
        for json in &updates {
            let update = Update::parse(&json.to_string(), &Limits::DOCUMENTED).unwrap();
            let before = wanted.clone();
            let result = update.apply(&mut folded, &limits);
            match model_of_update(&before, json, &limits) {
                Ok(after) => {
                    prop_assert!(result.is_ok(), "{json}: {result:?}, from {before:?}");
                    prop_assert!(result == Ok(true) || after == before, "{json}: no change");
                    wanted = after;
                }
                Err(error) => {
                    prop_assert_eq!(result.as_ref().err().map(kind), Some(error), "{}", json);
                }
            }
            let text = folded.as_ref().map(Profile::to_json);
            let wanted = wanted.as_ref().map(|wanted| json!(wanted).to_string());
            prop_assert_eq!(&text, &wanted, "after {}", json);
            prop_assert_eq!(folded.as_ref().map(Profile::json_bytes), wanted.map(|json| json.len()));
            // What is stored and read again is the same profile.
            let stored = text.map(|text| Profile::from_json(&text).unwrap());
            prop_assert_eq!(&stored, &folded);
        }
    }
}

/// A profile of nearly 4 MiB: some lists of numbers, and strings.
fn large() -> Profile {
    let mut profile = None;
    for list in 0..14 {
        let values: Vec<u32> = (0..37_000).map(|value| 100_000 + value).collect();
        let json = json!({"$distinct_id": "U", "$set": {format!("list{list}"): values}});
        apply(&mut profile, &json);
    }
    let texts: Map<String, Value> = (0..500)
        .map(|at| (format!("text{at}"), "x".repeat(200).into()))
        .collect();
    apply(&mut profile, &json!({"$distinct_id": "U", "$set": texts}));
    let profile = profile.unwrap();
    assert!(profile.json_bytes() > 3_700_000, "{}", profile.json_bytes());
    Profile::from_json(&profile.to_json()).unwrap()
}

fn apply(profile: &mut Option<Profile>, json: &Value) {
    let limits = Limits::DOCUMENTED;
    let update = Update::parse(&json.to_string(), &limits).unwrap();
    let _may_fail = update.apply(profile, &limits);
}

#[test]
fn the_work_of_an_update_does_not_grow_with_the_profile() {
    let profile = large();
    let updates = [
        json!({"$add": {"n": 1}}),
        json!({"$union": {"list1": [100_007, 136_000]}}),
        json!({"$union": {"list2": ["new"]}, "$remove": {"list2": "new"}}),
        json!({"$append": {"list3": 100_007}}),
        json!({"$remove": {"list4": 136_999}}),
        json!({"$set": {"text7": "y"}, "$set_once": {"text8": 1, "list5": 1}}),
        json!({"$unset": ["text3", "none"], "$set": {"text3": 1}}),
        // These fail, and are undone.
        json!({"$append": {"list6": 1}, "$set": {"n": "x"}, "$add": {"n": 1}}),
        json!({"$append": {"list7": 1}, "$add": {"list8": 1}}),
        json!({"$union": {"text9": [1]}}),
        json!({"$append": {"list9": [[[1]]]}}),
    ];
    for mut update in updates {
        update["$distinct_id"] = "U".into();
        let mut profile = Some(profile.clone());
        // The first update reads the list that it changes.
        let first = allocated_bytes(|| apply(&mut profile, &update));
        assert!(first < 6_000_000, "{first} bytes for {update}");
        let others = allocated_bytes(|| (0..2_000).for_each(|_| apply(&mut profile, &update)));
        assert!(others < 2_000 * 4_000, "{others} bytes for {update}");
    }
}

fn allocated_bytes(run: impl FnMut()) -> u64 {
    allocation_counter::measure(run).bytes_total
}

#[test]
fn a_list_with_one_value_many_times_is_as_cheap() {
    let list = vec![7; 100_000];
    let mut profile = None;
    apply(
        &mut profile,
        &json!({"$distinct_id": "U", "$set": {"a": list}}),
    );
    let limits = Limits::DOCUMENTED;
    let update = |json: Value| Update::parse(&json.to_string(), &limits).unwrap();
    let remove = update(json!({"$distinct_id": "U", "$remove": {"a": 7}}));
    let fails = json!({"$distinct_id": "U", "$remove": {"a": 7}, "$add": {"a": 1}});
    assert!(update(fails.clone()).apply(&mut profile, &limits).is_err());
    let mut failing = fails;
    failing["$remove"]["a"] = json!(8);
    failing["$union"] = json!({"a": [7, 8, 9]});
    for _ in 0..2_000 {
        assert!(
            update(failing.clone())
                .apply(&mut profile, &limits)
                .is_err()
        );
    }
    assert_eq!(
        profile.as_ref().unwrap().json_bytes(),
        r#"{"a":[]}"#.len() + 199_999
    );
    assert_eq!(remove.apply(&mut profile, &limits), Ok(true));
    assert_eq!(profile.as_ref().unwrap().to_json(), r#"{"a":[]}"#);
    assert_eq!(remove.apply(&mut profile, &limits), Ok(false));
}

#[test]
fn what_equals_is_found_in_a_list_whatever_its_text() {
    let mut profile = Profile::from_json(r#"{"a":[-0.0,{"x":1,"y":[2]},1,1.0,"1","\u0041"]}"#);
    for (argument, left) in [
        (
            json!({"y": [2], "x": 1}),
            r#"{"a":[-0.0,1,1.0,"1","\u0041"]}"#,
        ),
        (json!(0.0), r#"{"a":[1,1.0,"1","\u0041"]}"#),
        (json!(1), r#"{"a":[1.0,"1","\u0041"]}"#),
        (json!("1"), r#"{"a":[1.0,"\u0041"]}"#),
    ] {
        apply(
            &mut profile,
            &json!({"$distinct_id": "U", "$remove": {"a": argument}}),
        );
        assert_eq!(profile.as_ref().unwrap().to_json(), left, "{argument}");
    }
}

#[test]
fn unset_keeps_the_order_of_the_others_and_a_property_set_again_is_the_last() {
    let mut profile = Profile::from_json(r#"{"a":1,"b":2,"c":3,"d":4}"#);
    apply(&mut profile, &json!({"$distinct_id": "U", "$unset": ["a"]}));
    assert_eq!(
        profile.as_ref().unwrap().to_json(),
        r#"{"b":2,"c":3,"d":4}"#
    );
    let json = json!({"$distinct_id": "U", "$unset": ["b"], "$set": {"c": 5}});
    apply(&mut profile, &json);
    apply(
        &mut profile,
        &json!({"$distinct_id": "U", "$set": {"b": 6}}),
    );
    assert_eq!(profile.unwrap().to_json(), r#"{"c":5,"d":4,"b":6}"#);
}
