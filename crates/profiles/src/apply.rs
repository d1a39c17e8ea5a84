//! Carries out the eight operations.

use std::collections::HashSet;

use idmerge_core::quote;
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::update::Operation;
use crate::{Limits, Profile, Update, UpdateError};

impl Update {
    /// Carries out the update on a profile. `None` is a profile that does not exist, both as the
    /// argument and as the result.
    ///
    /// `$remove`, `$unset` and `$delete` do not create a profile; the other operations do.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if an operation cannot change a value of the profile, or the profile would
    /// exceed a limit. Then keep the old profile: an update is carried out as a whole or not at all.
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
        if profile.len() > limits.max_properties {
            return Err(UpdateError::Properties {
                properties: profile.len(),
                max_properties: limits.max_properties,
            });
        }
        let bytes = profile.to_json().len();
        if bytes > limits.max_profile_bytes {
            return Err(UpdateError::Profile {
                bytes,
                max_bytes: limits.max_profile_bytes,
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
                profile.sources.remove(name);
            }
            return Ok(Some(profile));
        }
        Operation::Delete => return Ok(None),
    };
    let mut profile = profile.unwrap_or_default();
    change_all(&mut profile, values, limits, change)?;
    Ok(Some(profile))
}

/// Changes one property. The value is the argument of the operation for this property.
type Change = fn(Entry<'_>, Value) -> Result<(), WrongValue>;

/// The operation cannot change the property, whose value must be something else.
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
        cut_strings(&mut value, limits.max_string_bytes);
        let taken = match profile.sources.contains_key(name) {
            true => profile.properties.get(name).cloned(),
            false => None,
        };
        let entry = profile.properties.entry(name.as_str());
        change(entry, value).map_err(|wrong| UpdateError::WrongValue {
            operation: wrong.operation,
            property: quote(name),
            wanted: wrong.wanted,
        })?;
        if taken.is_some() && taken.as_ref() != profile.properties.get(name) {
            profile.sources.remove(name);
        }
        if let Some(value) = profile.properties.get(name) {
            check(name, value, limits)?;
        }
    }
    Ok(())
}

fn set(entry: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    match entry {
        Entry::Occupied(mut entry) => {
            entry.insert(value);
        }
        Entry::Vacant(entry) => {
            entry.insert(value);
        }
    }
    Ok(())
}

fn set_once(entry: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    entry.or_insert(value);
    Ok(())
}

/// A property that does not exist counts as 0.
fn add(entry: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    let current = entry.or_insert_with(|| 0.into());
    let sum = match (&*current, &value) {
        (Value::Number(a), Value::Number(b)) => sum(a, b),
        _ => None,
    };
    *current = sum.ok_or(WrongValue {
        operation: "$add",
        wanted: "a number, and the sum finite",
    })?;
    Ok(())
}

/// The sum of two integers is an integer if it fits. `None` if the sum is not finite.
fn sum(a: &Number, b: &Number) -> Option<Value> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64())
        && let Some(sum) = a.checked_add(b)
    {
        return Some(sum.into());
    }
    Number::from_f64(a.as_f64()? + b.as_f64()?).map(Value::Number)
}

/// A property that is not a list becomes a list of its value and the new one, as at the vendor.
fn append(entry: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    match entry.or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(values) => values.push(value),
        other => {
            let first = other.take();
            *other = Value::Array(vec![first, value]);
        }
    }
    Ok(())
}

fn union(entry: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    let Value::Array(values) = entry.or_insert_with(|| Value::Array(Vec::new())) else {
        return Err(WrongValue {
            operation: "$union",
            wanted: "a list",
        });
    };
    let added = match value {
        Value::Array(added) => added,
        value => vec![value],
    };
    // Compare the JSON texts in a set: comparing with each value of a long list takes quadratic time.
    let mut known: HashSet<String> = values.iter().map(Value::to_string).collect();
    values.extend(
        added
            .into_iter()
            .filter(|value| known.insert(value.to_string())),
    );
    Ok(())
}

/// Does nothing if the property is not a list or does not contain the value.
fn remove(entry: Entry<'_>, value: Value) -> Result<(), WrongValue> {
    if let Entry::Occupied(mut entry) = entry
        && let Value::Array(values) = entry.get_mut()
    {
        values.retain(|other| *other != value);
    }
    Ok(())
}

/// Cuts strings at a character boundary, also inside lists and objects.
fn cut_strings(value: &mut Value, max_bytes: usize) {
    match value {
        Value::String(text) => text.truncate(text.floor_char_boundary(max_bytes)),
        Value::Array(values) => {
            for value in values {
                cut_strings(value, max_bytes);
            }
        }
        Value::Object(values) => {
            for value in values.values_mut() {
                cut_strings(value, max_bytes);
            }
        }
        _ => {}
    }
}

fn check(name: &str, value: &Value, limits: &Limits) -> Result<(), UpdateError> {
    if !value.is_array() && !value.is_object() {
        return Ok(());
    }
    if depth(value) > limits.max_depth {
        return Err(UpdateError::Depth {
            property: quote(name),
            max_depth: limits.max_depth,
        });
    }
    let bytes = value.to_string().len();
    if bytes > limits.max_container_bytes {
        return Err(UpdateError::Container {
            property: quote(name),
            bytes,
            max_bytes: limits.max_container_bytes,
        });
    }
    Ok(())
}

/// The levels of lists and objects. The parser allows 128, so the recursion has enough stack.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(values) => values.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
