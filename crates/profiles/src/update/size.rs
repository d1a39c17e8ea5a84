//! [`Size`]: the memory of a parsed update, and the work that it asks for.

use serde_json::Value;

use crate::update::{Operation, Target, Update};

/// What the allocator adds to a block of memory.
const BLOCK_BYTES: usize = 16;
/// A member of a JSON object in memory: its hash, its name and its value, and its place in the index.
const MEMBER_BYTES: usize = size_of::<(usize, String, Value)>() + 2 * size_of::<usize>();

/// The size of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// How many properties, names and values its operations have, also inside lists and objects.
    pub(crate) members: usize,
    /// The bytes that it takes in memory.
    pub(crate) bytes: usize,
}

impl Size {
    pub(crate) fn of(target: &Target, operations: &Vec<Operation>) -> Self {
        let ids = match target {
            Target::User { distinct_id, .. } => [distinct_id.as_str(), ""],
            Target::Group { key, id } => [key.as_str(), id],
        };
        let mut size = Self {
            members: operations.len(),
            // A list of updates that grows has room for twice as many.
            bytes: 2 * (size_of::<Update>() + size_of::<usize>())
                + block(operations.capacity() * size_of::<Operation>())
                + ids.map(|id| block(id.len())).iter().sum::<usize>(),
        };
        for operation in operations {
            match operation {
                Operation::Set(values)
                | Operation::SetOnce(values)
                | Operation::Add(values)
                | Operation::Append(values)
                | Operation::Union(values)
                | Operation::Remove(values) => {
                    size.bytes += block(size_of_val::<[_]>(values));
                    for (name, value) in values {
                        size.name(name);
                        size.value(value);
                    }
                }
                Operation::Unset(names) => {
                    size.bytes += block(size_of_val::<[_]>(names));
                    names.iter().for_each(|name| size.name(name));
                }
                Operation::Delete => {}
            }
        }
        size
    }

    fn name(&mut self, name: &str) {
        self.members += 1;
        self.bytes += block(name.len());
    }

    /// Adds what a value has outside its own place. The parser allows 128 levels, so the recursion has
    /// enough stack.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => self.bytes += block(text.len()),
            Value::Array(values) => {
                self.members += values.len();
                self.bytes += block(values.capacity() * size_of::<Value>());
                values.iter().for_each(|value| self.value(value));
            }
            Value::Object(values) => {
                // An index grows to a power of two, and is full at seven eighths.
                let places = (values.len() * 8 / 7 + 1).next_power_of_two().max(4);
                self.bytes += block(places * MEMBER_BYTES);
                for (name, value) in values {
                    self.name(name);
                    self.value(value);
                }
            }
        }
    }
}

fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + BLOCK_BYTES }
}
