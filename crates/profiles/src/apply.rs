//! Carries out the eight operations.
//!
//! Each takes time for its own size, and for the properties that it names when they are changed for the
//! first time: many updates of one profile are as cheap as one long update.

use idmerge_core::quote;
use serde_json::{Number, Value};

use crate::list::List;
use crate::properties::{Properties, Stored};
use crate::undo::Undo;
use crate::update::Operation;
use crate::{Limits, Profile, Update, UpdateError};

impl Update {
    /// Carries out the update on a profile. `None` is a profile that does not exist. Returns whether
    /// the profile may have changed.
    ///
    /// `$remove`, `$unset` and `$delete` do not create a profile; the other operations do.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if an operation cannot change a value of the profile, or the profile would
    /// exceed a limit. Then the profile is as before: an update is carried out as a whole or not at
    /// all.
    pub fn apply(
        &self,
        profile: &mut Option<Profile>,
        limits: &Limits,
    ) -> Result<bool, UpdateError> {
        let existed = profile.is_some();
        let deletes = self.operations.contains(&Operation::Delete);
        if !existed && !self.operations.iter().any(Operation::creates) {
            return Ok(false);
        }
        let mut change = Change {
            profile: profile.get_or_insert_default(),
            limits,
            undo: Undo::default(),
        };
        match change.all(&self.operations) {
            Err(error) => {
                change.undo.carry_out(change.profile);
                if !existed {
                    *profile = None;
                }
                Err(error)
            }
            Ok(()) if deletes => {
                *profile = None;
                Ok(existed)
            }
            Ok(()) => Ok(!existed || !change.undo.is_empty()),
        }
    }
}

/// An update that is being carried out.
struct Change<'p> {
    profile: &'p mut Profile,
    limits: &'p Limits,
    undo: Undo,
}

/// Changes one property. The value is the argument of the operation for this property.
type ChangeOne<'p> = fn(&mut Change<'p>, &str, Value) -> Result<(), UpdateError>;

impl<'p> Change<'p> {
    fn all(&mut self, operations: &[Operation]) -> Result<(), UpdateError> {
        for operation in operations {
            let (values, change): (_, ChangeOne<'p>) = match operation {
                Operation::Set(values) => (values, Self::set),
                Operation::SetOnce(values) => (values, Self::set_once),
                Operation::Add(values) => (values, Self::add),
                Operation::Append(values) => (values, Self::append),
                Operation::Union(values) => (values, Self::union),
                Operation::Remove(values) => (values, Self::remove),
                Operation::Unset(names) => {
                    names.iter().for_each(|name| self.unset(name));
                    continue;
                }
                // The limits do not matter to a profile that is deleted.
                Operation::Delete => return Ok(()),
            };
            self.each(values, change)?;
        }
        self.check_profile()
    }

    fn each(
        &mut self,
        values: &[(String, Value)],
        change: ChangeOne<'p>,
    ) -> Result<(), UpdateError> {
        for (name, value) in values {
            let mut value = value.clone();
            cut_strings(&mut value, self.limits.max_string_bytes);
            change(self, name, value)?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), UpdateError> {
        let json = value.to_string();
        self.check_depth(name, depth(&value))?;
        if value.is_array() || value.is_object() {
            self.check_bytes(name, json.len())?;
        }
        self.put(name, json);
        Ok(())
    }

    fn set_once(&mut self, name: &str, value: Value) -> Result<(), UpdateError> {
        match self.properties().get(name) {
            Some(_) => Ok(()),
            None => self.set(name, value),
        }
    }

    /// A property that does not exist counts as 0.
    fn add(&mut self, name: &str, value: Value) -> Result<(), UpdateError> {
        let current = match self.properties().get(name) {
            None => Some(Number::from(0)),
            Some(Stored::Text(text)) => number(text),
            Some(Stored::List(_)) => None,
        };
        let sum = match (current, &value) {
            (Some(current), Value::Number(by)) => sum(&current, by),
            _ => None,
        };
        let wanted = "a number, and the sum finite";
        let sum = sum.ok_or_else(|| wrong_value("$add", name, wanted))?;
        self.put(name, sum.to_string());
        Ok(())
    }

    /// A property that is not a list becomes a list of its value and the new one, as at the vendor.
    fn append(&mut self, name: &str, value: Value) -> Result<(), UpdateError> {
        let json = value.to_string();
        self.check_depth(name, depth(&value) + 1)?;
        let push = |list: &mut List| list.push(&json);
        if self.profile.properties.change_list(name, push).is_some() {
            self.undo.pushed(name, 1);
            self.changed(name);
            return self.check_list(name);
        }
        // The current value becomes the first of the list.
        let depth = self.profile.properties.depth(name);
        self.check_depth(name, depth + 1)?;
        let first = self.properties().get(name).map(Stored::json);
        let first_bytes = first.as_ref().map_or(0, |first| first.len() + 1);
        self.check_bytes(name, first_bytes + json.len() + 2)?;
        let list = match first {
            Some(first) => format!("[{first},{json}]"),
            None => format!("[{json}]"),
        };
        self.put(name, list);
        Ok(())
    }

    fn union(&mut self, name: &str, value: Value) -> Result<(), UpdateError> {
        let added = match value {
            Value::Array(added) => added,
            value => vec![value],
        };
        if self.properties().get(name).is_none() {
            self.put(name, "[]".to_owned());
        }
        self.check_depth(name, 1)?;
        let push_all = |list: &mut List| {
            let new = |value: &Value| list.push_new(&value.to_string());
            added.iter().map(new).filter(|is_new| *is_new).count()
        };
        let pushed = self.profile.properties.change_list(name, push_all);
        let pushed = pushed.ok_or_else(|| wrong_value("$union", name, "a list"))?;
        if pushed > 0 {
            self.undo.pushed(name, pushed);
            self.changed(name);
        }
        self.check_list(name)
    }

    /// Does nothing if the property is not a list or does not contain the value.
    fn remove(&mut self, name: &str, value: Value) -> Result<(), UpdateError> {
        let json = value.to_string();
        let removed = self
            .profile
            .properties
            .change_list(name, |list| list.remove(&json));
        if let Some(removed) = removed
            && !removed.is_empty()
        {
            self.undo.removed(name, removed);
            self.changed(name);
        }
        Ok(())
    }

    fn unset(&mut self, name: &str) {
        if let Some(before) = self.profile.properties.remove(name) {
            self.undo.property(name, Some(before));
            self.changed(name);
        }
    }

    fn put(&mut self, name: &str, json: String) {
        let before = self.properties().get(name);
        let is_taken = self.profile.sources.contains_key(name);
        if is_taken && !before.is_some_and(|before| before.equals(&json)) {
            self.changed(name);
        }
        let value = Stored::Text(json.into());
        let before = self.profile.properties.insert(name.to_owned(), value);
        self.undo.property(name, before);
    }

    /// A property that was changed is the user's own.
    fn changed(&mut self, name: &str) {
        if let Some(source) = self.profile.sources.remove(name) {
            self.undo.source(name, source);
        }
    }

    fn properties(&self) -> &Properties {
        &self.profile.properties
    }

    fn check_depth(&self, name: &str, depth: usize) -> Result<(), UpdateError> {
        let max_depth = self.limits.max_depth;
        if depth > max_depth {
            let property = quote(name);
            return Err(UpdateError::Depth {
                property,
                max_depth,
            });
        }
        Ok(())
    }

    /// Checks the length of a list or an object.
    fn check_bytes(&self, name: &str, bytes: usize) -> Result<(), UpdateError> {
        let max_bytes = self.limits.max_container_bytes;
        if bytes > max_bytes {
            let property = quote(name);
            return Err(UpdateError::Container {
                property,
                bytes,
                max_bytes,
            });
        }
        Ok(())
    }

    fn check_list(&self, name: &str) -> Result<(), UpdateError> {
        let bytes = self.properties().get(name).map_or(0, Stored::json_bytes);
        self.check_bytes(name, bytes)
    }

    fn check_profile(&self) -> Result<(), UpdateError> {
        let Limits {
            max_properties,
            max_profile_bytes,
            ..
        } = *self.limits;
        let properties = self.properties().len();
        if properties > max_properties {
            return Err(UpdateError::Properties {
                properties,
                max_properties,
            });
        }
        let bytes = self.properties().json_bytes();
        if bytes > max_profile_bytes {
            return Err(UpdateError::Profile {
                bytes,
                max_bytes: max_profile_bytes,
            });
        }
        Ok(())
    }
}

fn wrong_value(operation: &'static str, name: &str, wanted: &'static str) -> UpdateError {
    UpdateError::WrongValue {
        operation,
        property: quote(name),
        wanted,
    }
}

/// The number with this JSON text; `None` if it is another value.
fn number(json: &str) -> Option<Number> {
    serde_json::from_str(json).ok()
}

/// The sum of two integers is an integer if it fits. `None` if the sum is not finite.
fn sum(a: &Number, b: &Number) -> Option<Number> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64())
        && let Some(sum) = a.checked_add(b)
    {
        return Some(sum.into());
    }
    Number::from_f64(a.as_f64()? + b.as_f64()?)
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

/// The levels of lists and objects. The parser allows 128, so the recursion has enough stack.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(values) => values.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}
