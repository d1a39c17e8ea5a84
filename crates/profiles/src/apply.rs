//! The eight operations.

use std::collections::HashSet;

use idmerge_core::quote;
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::update::Operation;
use crate::{Limits, Profile, Update, UpdateError};

impl Update {
    /// Carries the update out on a profile, `None` where there is none yet. Answers with the profile
    /// as it is then, `None` where it was deleted or there was none to change.
    ///
    /// `$remove`, `$unset` and `$delete` make no profile; the other operations do.
    ///
    /// # Errors
    ///
    /// Where the profile has a value that an operation cannot work on, or would pass a limit. The
    /// caller then keeps the profile as it was: an update is carried out as a whole or not at all.
    pub fn apply(
        &self,
        profile: Option<Profile>,
        limits: &Limits,
    ) -> Result<Option<Profile>, UpdateError> {
        let mut changed = profile;
        for operation in &self.operations {
            changed = apply_one(operation, changed, limits)?;
        }
        let Some(profile) = &changed else {
            return Ok(None);
        };
        if profile.len() > limits.properties_max {
            return Err(UpdateError::Properties {
                properties: profile.len(),
                properties_max: limits.properties_max,
            });
        }
        let bytes = profile.to_json().len();
        if bytes > limits.profile_bytes_max {
            return Err(UpdateError::Profile {
                bytes,
                bytes_max: limits.profile_bytes_max,
            });
        }
        Ok(changed)
    }
}

fn apply_one(
    operation: &Operation,
    profile: Option<Profile>,
    limits: &Limits,
) -> Result<Option<Profile>, UpdateError> {
    let (values, change): (_, Change) = match operation {
        Operation::Set(values) => (values, set),
        Operation::SetOnce(values) => (values, set_once),
        Operation::Add(values) => (values, add),
        Operation::Append(values) => (values, append),
        Operation::Union(values) => (values, union),
        Operation::Remove(values) => {
            let Some(mut profile) = profile else {
                return Ok(None);
            };
            change_all(&mut profile, values, limits, remove)?;
            return Ok(Some(profile));
        }
        Operation::Unset(names) => {
            let Some(mut profile) = profile else {
                return Ok(None);
            };
            for name in names {
                profile.properties.remove(name);
            }
            return Ok(Some(profile));
        }
        Operation::Delete => return Ok(None),
    };
    let mut profile = profile.unwrap_or_default();
    change_all(&mut profile, values, limits, change)?;
    Ok(Some(profile))
}

/// Changes one property by the value that the operation has for it.
type Change = fn(Entry<'_>, Value) -> Result<(), WrongValue>;

/// The property is not what the operation works on.
struct WrongValue {
    operation: &'static str,
    wanted: &'static str,
}

fn change_all(
    profile: &mut Profile,
    values: &Map<String, Value>,
    limits: &Limits,
    change: Change,
) -> Result<(), UpdateError> {
    for (name, value) in values {
        let mut value = value.clone();
        cut_strings(&mut value, limits.string_bytes_max);
        let place = profile.properties.entry(name.as_str());
        change(place, value).map_err(|wrong| UpdateError::WrongValue {
            operation: wrong.operation,
            property: quote(name),
            wanted: wrong.wanted,
        })?;
        if let Some(value) = profile.properties.get(name) {
            check(name, value, limits)?;
        }
    }
    Ok(())
}

fn set(place: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    match place {
        Entry::Occupied(mut place) => {
            place.insert(value);
        }
        Entry::Vacant(place) => {
            place.insert(value);
        }
    }
    Ok(())
}

fn set_once(place: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    place.or_insert(value);
    Ok(())
}

/// What is not there counts as 0.
fn add(place: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    let current = place.or_insert_with(|| 0.into());
    let sum = match (&*current, &value) {
        (Value::Number(a), Value::Number(b)) => sum(a, b),
        _ => None,
    };
    *current = sum.ok_or(WrongValue {
        operation: "$add",
        wanted: "number that it can be added to",
    })?;
    Ok(())
}

/// Integers stay integers as long as they fit. `None` where the sum is no finite number.
fn sum(a: &Number, b: &Number) -> Option<Value> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64())
        && let Some(sum) = a.checked_add(b)
    {
        return Some(sum.into());
    }
    Number::from_f64(a.as_f64()? + b.as_f64()?).map(Value::Number)
}

/// A property that is no list becomes one of two values, as the vendor's does.
fn append(place: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    match place.or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(values) => values.push(value),
        other => {
            let first = other.take();
            *other = Value::Array(vec![first, value]);
        }
    }
    Ok(())
}

fn union(place: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    let Value::Array(values) = place.or_insert_with(|| Value::Array(Vec::new())) else {
        return Err(WrongValue {
            operation: "$union",
            wanted: "list",
        });
    };
    let added = match value {
        Value::Array(added) => added,
        value => vec![value],
    };
    // By their texts, since looking each one up in a long list would take its length squared.
    let mut known: HashSet<String> = values.iter().map(Value::to_string).collect();
    values.extend(
        added
            .into_iter()
            .filter(|value| known.insert(value.to_string())),
    );
    Ok(())
}

/// Nothing happens where the property is no list or the value is not in it.
fn remove(place: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    if let Entry::Occupied(mut place) = place
        && let Value::Array(values) = place.get_mut()
    {
        values.retain(|other| *other != value);
    }
    Ok(())
}

/// Strings are cut at a character, wherever they stand.
fn cut_strings(value: &mut Value, bytes_max: usize) {
    match value {
        Value::String(text) if text.len() > bytes_max => {
            text.truncate(text.floor_char_boundary(bytes_max));
        }
        Value::Array(values) => {
            for value in values {
                cut_strings(value, bytes_max);
            }
        }
        Value::Object(values) => {
            for value in values.values_mut() {
                cut_strings(value, bytes_max);
            }
        }
        _ => {}
    }
}

fn check(name: &str, value: &Value, limits: &Limits) -> Result<(), UpdateError> {
    if !value.is_array() && !value.is_object() {
        return Ok(());
    }
    if depth(value) > limits.depth_max {
        return Err(UpdateError::Depth {
            property: quote(name),
            depth_max: limits.depth_max,
        });
    }
    let bytes = value.to_string().len();
    if bytes > limits.container_bytes_max {
        return Err(UpdateError::Container {
            property: quote(name),
            bytes,
            bytes_max: limits.container_bytes_max,
        });
    }
    Ok(())
}

/// The parser allows a nesting of 128, so this does not run out of stack.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(values) => values.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
