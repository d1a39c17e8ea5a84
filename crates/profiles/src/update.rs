//! [`Update`]: one record of `/engage` or `/groups`.

mod size;

use serde_json::{Map, Value};

use crate::update::size::Size;
use crate::{Limits, UpdateError};

/// The profile that an update changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The profile of the user with this ID.
    User {
        /// `$distinct_id`, as sent.
        distinct_id: String,
        /// `$ignore_alias`: whether this is the profile of exactly this ID, not of its canonical ID. It
        /// serves to delete a profile that a merge has hidden.
        ignores_alias: bool,
    },
    /// The profile of a group.
    Group {
        /// `$group_key`: the kind of group, such as `company`.
        key: String,
        /// `$group_id`: the ID of the group.
        id: String,
    },
}

/// The names and values of an operation, in order. Unlike a [`Map`] they take no memory for an index.
type Members = Box<[(String, Value)]>;

/// An operation with its argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    Set(Members),
    SetOnce(Members),
    Add(Members),
    Append(Members),
    Union(Members),
    Remove(Members),
    Unset(Box<[String]>),
    Delete,
}

impl Operation {
    /// Whether it creates a profile that does not exist.
    pub(crate) fn creates(&self) -> bool {
        !matches!(self, Self::Remove(_) | Self::Unset(_) | Self::Delete)
    }
}

/// An update of one profile: operations that are carried out together.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    target: Target,
    pub(crate) operations: Vec<Operation>,
    size: Size,
}

impl Update {
    /// Reads one record. If it has several operations, the order is `$set`, `$set_once`, `$add`,
    /// `$append`, `$union`, `$remove`, `$unset`, `$delete` *(decided here: the vendor does not
    /// document an order, and SDKs send one operation per record)*.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if the record is invalid for every profile.
    pub fn parse(json: &str, limits: &Limits) -> Result<Self, UpdateError> {
        if json.len() > limits.max_update_bytes {
            return Err(UpdateError::TooLong {
                bytes: json.len(),
                max_bytes: limits.max_update_bytes,
            });
        }
        let Ok(mut record) = serde_json::from_str::<Map<String, Value>>(json) else {
            return Err(UpdateError::NotAnObject);
        };
        let target = target(&record)?;
        let mut operations = Vec::new();
        type Make = fn(Members) -> Operation;
        let of_objects: [(&'static str, Make); 6] = [
            ("$set", Operation::Set),
            ("$set_once", Operation::SetOnce),
            ("$add", Operation::Add),
            ("$append", Operation::Append),
            ("$union", Operation::Union),
            ("$remove", Operation::Remove),
        ];
        for (operation, make) in of_objects {
            match record.remove(operation) {
                None => {}
                Some(Value::Object(values)) => {
                    check_names(values.keys(), limits)?;
                    check_values(operation, &values)?;
                    // `collect` would allocate twice.
                    let mut members = Vec::with_capacity(values.len());
                    members.extend(values);
                    operations.push(make(members.into_boxed_slice()));
                }
                Some(_) => {
                    let wanted = "an object";
                    return Err(UpdateError::WrongType { operation, wanted });
                }
            }
        }
        if let Some(value) = record.remove("$unset") {
            operations.push(Operation::Unset(names(value)?));
        }
        // The argument does not matter: SDKs send "", "null", null or the ID.
        if record.contains_key("$delete") {
            operations.push(Operation::Delete);
        }
        if operations.is_empty() {
            return Err(UpdateError::NoOperation);
        }
        Ok(Self {
            size: Size::of(&target, &operations),
            target,
            operations,
        })
    }

    /// The profile that it changes.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How many properties, names and values its operations have, also inside lists and objects. The
    /// time to carry it out grows with them.
    pub fn members(&self) -> usize {
        self.size.members
    }

    /// About how many bytes it takes in memory. It does not take more.
    pub fn memory_bytes(&self) -> usize {
        self.size.bytes
    }
}

fn target(record: &Map<String, Value>) -> Result<Target, UpdateError> {
    let text = |property: &'static str| {
        let text = record.get(property).and_then(id_text);
        text.ok_or(UpdateError::NoTarget { property })
    };
    let is_group = record.contains_key("$group_key") || record.contains_key("$group_id");
    if !is_group {
        return Ok(Target::User {
            distinct_id: text("$distinct_id")?,
            ignores_alias: record.get("$ignore_alias").is_some_and(is_true),
        });
    }
    if text("$distinct_id").is_ok() {
        return Err(UpdateError::UserOfGroup);
    }
    Ok(Target::Group {
        key: text("$group_key")?,
        id: text("$group_id")?,
    })
}

/// Rule ID-3 for a parsed value: an ID is a string that is not empty, or an integer.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// SDKs send a boolean or its text, such as "True".
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(is_true) => *is_true,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn check_names<'n>(
    mut names: impl Iterator<Item = &'n String>,
    limits: &Limits,
) -> Result<(), UpdateError> {
    let max_bytes = limits.max_name_bytes;
    let wrong = names.find(|name| !(1..=max_bytes).contains(&name.len()));
    match wrong {
        Some(name) => Err(UpdateError::Name {
            bytes: name.len(),
            max_bytes,
        }),
        None => Ok(()),
    }
}

fn check_values(operation: &'static str, values: &Map<String, Value>) -> Result<(), UpdateError> {
    let (is_right, wanted): (fn(&Value) -> bool, _) = match operation {
        "$add" => (Value::is_number, "numbers"),
        // SDKs wrap a single value in a list. A bare value means the same.
        "$union" => (
            |value| match value {
                Value::Array(values) => values.iter().all(is_scalar),
                value => is_scalar(value),
            },
            "lists of strings, numbers and booleans",
        ),
        _ => return Ok(()),
    };
    if values.values().all(is_right) {
        Ok(())
    } else {
        Err(UpdateError::WrongType { operation, wanted })
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(
        value,
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null
    )
}

/// The argument of `$unset`: a list of names, or one name.
fn names(value: Value) -> Result<Box<[String]>, UpdateError> {
    let wrong = UpdateError::WrongType {
        operation: "$unset",
        wanted: "a list of names",
    };
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    let names = values.into_iter().map(|value| match value {
        Value::String(name) => Some(name),
        _ => None,
    });
    names.collect::<Option<_>>().ok_or(wrong)
}
