//! [`Properties`]: the properties of a profile, as JSON texts.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::list::{List, is_equal};

/// Properties by name, in the order in which they were added.
///
/// A value stays text until an operation changes a part of it, and the length of the whole is known at
/// any time. So an operation takes time for the properties that it names, not for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    /// Removing moves the last property to the place of the removed one, so the order is that of
    /// [`Property::order`].
    by_name: IndexMap<String, Property>,
    next_order: u64,
    /// The bytes of all names and values with their colons.
    bytes: usize,
    /// Whether a property was removed since the properties were read.
    is_unordered: bool,
}

/// The value of a property, and its place in the order.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    order: u64,
    pub(crate) value: Stored,
    /// The levels of lists and objects, if an operation has asked for them.
    depth: Option<usize>,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    Text(Box<str>),
    /// A list that an operation changes.
    List(List),
}

impl Properties {
    /// Reads a JSON object. `None` if the text is not one.
    pub(crate) fn read(json: &str) -> Option<Self> {
        let texts: IndexMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
        let mut properties = Self::default();
        properties.by_name.reserve(texts.len());
        for (name, text) in texts {
            properties.insert(name, Stored::Text(text.into()));
        }
        Some(properties)
    }

    /// The properties as a JSON object.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::with_capacity(self.json_bytes());
        json.push('{');
        for (at, (name, value)) in self.iter().enumerate() {
            if at > 0 {
                json.push(',');
            }
            push_name(name, &mut json);
            json.push(':');
            match value {
                Stored::Text(text) => json.push_str(text),
                Stored::List(list) => list.write(&mut json),
            }
        }
        json.push('}');
        json
    }

    /// The length of [`to_json`](Self::to_json).
    pub(crate) fn json_bytes(&self) -> usize {
        // The braces, and a comma between two properties.
        2 + self.bytes + self.len().saturating_sub(1)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Stored> {
        self.by_name.get(name).map(|property| &property.value)
    }

    /// All properties in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Stored)> {
        let mut all: Vec<_> = self.by_name.iter().collect();
        if self.is_unordered {
            all.sort_unstable_by_key(|(_, property)| property.order);
        }
        all.into_iter()
            .map(|(name, property)| (name.as_str(), &property.value))
    }

    /// Sets a property. One that exists keeps its place; a new one is the last. Returns what it
    /// replaces, for [`restore`](Self::restore).
    pub(crate) fn insert(&mut self, name: String, value: Stored) -> Option<Property> {
        let before = self.by_name.get(&name).map(|property| property.order);
        let order = before.unwrap_or(self.next_order);
        if before.is_none() {
            self.next_order += 1;
        }
        let depth = None;
        self.put(
            name,
            Property {
                order,
                value,
                depth,
            },
        )
    }

    /// Removes a property. Returns it for [`restore`](Self::restore).
    pub(crate) fn remove(&mut self, name: &str) -> Option<Property> {
        let removed = self.by_name.swap_remove(name)?;
        self.bytes -= member_bytes(name, &removed.value);
        self.is_unordered = true;
        Some(removed)
    }

    /// Puts a property in the state that it had, at its place.
    pub(crate) fn restore(&mut self, name: String, before: Option<Property>) {
        match before {
            None => drop(self.remove(&name)),
            Some(property) => drop(self.put(name, property)),
        }
    }

    fn put(&mut self, name: String, property: Property) -> Option<Property> {
        let name_bytes = name_bytes(&name) + 1;
        self.bytes += name_bytes + property.value.json_bytes();
        let replaced = self.by_name.insert(name, property);
        if let Some(replaced) = &replaced {
            self.bytes -= name_bytes + replaced.value.json_bytes();
        }
        replaced
    }

    /// The levels of lists and objects in a property. Kept, so that updates which fail for it do not
    /// read the property each time.
    pub(crate) fn depth(&mut self, name: &str) -> usize {
        let Some(property) = self.by_name.get_mut(name) else {
            return 0;
        };
        let value = &property.value;
        *property.depth.get_or_insert_with(|| match value {
            Stored::Text(text) => json_depth(text),
            // A list changes, so its depth is not kept, and no operation asks for it.
            Stored::List(_) => 1,
        })
    }

    /// Changes a list. `None` if the property is not a list.
    pub(crate) fn change_list<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut List) -> T,
    ) -> Option<T> {
        let value = &mut self.by_name.get_mut(name)?.value;
        if let Stored::Text(text) = value
            && text.starts_with('[')
        {
            // The same list in another form.
            let before = text.len();
            let list = List::read(text)?;
            self.bytes = self.bytes - before + list.json_bytes();
            *value = Stored::List(list);
        }
        let Stored::List(list) = value else {
            return None;
        };
        let before = list.json_bytes();
        let changed = change(list);
        self.bytes = self.bytes - before + list.json_bytes();
        Some(changed)
    }
}

impl Stored {
    /// The length of the JSON text.
    pub(crate) fn json_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(list) => list.json_bytes(),
        }
    }

    /// The JSON text.
    pub(crate) fn json(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::List(list) => {
                let mut json = String::with_capacity(list.json_bytes());
                list.write(&mut json);
                Cow::Owned(json)
            }
        }
    }

    /// Whether this is the same JSON value. Takes time for the shorter of the two.
    pub(crate) fn equals(&self, json: &str) -> bool {
        self.json_bytes() == json.len() && is_equal(&self.json(), json)
    }
}

/// The same properties, in any order.
impl PartialEq for Properties {
    fn eq(&self, other: &Self) -> bool {
        let is_in_other = |(name, value): (&str, &Stored)| {
            other.get(name).is_some_and(|it| it.equals(&value.json()))
        };
        self.len() == other.len() && self.iter().all(is_in_other)
    }
}

fn member_bytes(name: &str, value: &Stored) -> usize {
    name_bytes(name) + 1 + value.json_bytes()
}

/// The length of a name as a JSON string.
pub(crate) fn name_bytes(name: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + name.bytes().map(escaped).sum::<usize>()
}

/// Adds a name as a JSON string.
fn push_name(name: &str, json: &mut String) {
    if name_bytes(name) == name.len() + 2 {
        json.push('"');
        json.push_str(name);
        json.push('"');
    } else {
        // Writing a string in memory does not fail.
        json.push_str(&serde_json::to_string(name).unwrap_or_default());
    }
}

/// The levels of lists and objects in a JSON text.
fn json_depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_in_string, mut is_escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_in_string,
            b'"' => is_in_string = !is_in_string,
            _ if is_in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_length_of_a_name_is_that_of_its_json() {
        for code in 0..0x300 {
            let name: String = char::from_u32(code)
                .into_iter()
                .chain("x".chars())
                .collect();
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(name_bytes(&name), json.len(), "{json}");
            let mut pushed = String::new();
            push_name(&name, &mut pushed);
            assert_eq!(pushed, json);
        }
    }

    #[test]
    fn depth_counts_levels_outside_strings() {
        for (value, depth) in [
            (json!(1), 0),
            (json!("[[\\\"[{"), 0),
            (json!([]), 1),
            (json!([1, [], "]"]), 2),
            (json!({"a{": {"b\\": [1]}, "c": 1}), 3),
        ] {
            assert_eq!(json_depth(&value.to_string()), depth, "{value}");
        }
    }
}
