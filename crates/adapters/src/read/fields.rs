//! The fields of a record: those that an adapter reads, and the others.

use std::borrow::Cow;

use idmerge_events::{JsonReader, Key, Pair, RawJson, Values};

use crate::read::names::FieldNames;
use crate::read::value::Value;
use crate::refusal::Refusal;

/// How many other fields most records have at most. These take less than a kilobyte, which allocators have at hand.
const USUAL_REST: usize = 18;

/// For objects whose members are all wanted: none is read by name, so all are in `rest`.
pub(crate) static NO_NAMES: FieldNames<'static, 0> = FieldNames::new([]);

/// A field: its name as JSON, and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'r> {
    /// As it is in the record.
    Whole(Pair<'r>),
    /// A name, which is a JSON string, and a value that are in different places of the record.
    Parts {
        name: RawJson<'r>,
        value: RawJson<'r>,
    },
}

impl<'r> Member<'r> {
    /// The name, with its quotation marks.
    pub(crate) fn name(&self) -> RawJson<'r> {
        match self {
            Self::Whole(pair) => pair.key(),
            Self::Parts { name, .. } => *name,
        }
    }

    /// The bytes of the name, with its quotation marks.
    #[inline]
    pub(crate) fn name_json(&self) -> &'r [u8] {
        match self {
            Self::Whole(pair) => pair.key_bytes(),
            Self::Parts { name, .. } => name.as_str().as_bytes(),
        }
    }

    pub(crate) fn value(&self) -> Value<'r> {
        Value::Json(match self {
            Self::Whole(pair) => pair.value(),
            Self::Parts { value, .. } => *value,
        })
    }

    /// The text of the name, and the member, if the record has its name, a colon and its value so and without escapes
    /// in the name. Most members are so.
    #[inline]
    pub(crate) fn usual(&self) -> Option<(&'r [u8], &Pair<'r>)> {
        match self {
            Self::Whole(pair) if pair.is_compact() => Some((pair.plain_key()?, pair)),
            _ => None,
        }
    }

    /// The text of the name. `None` if its escapes are no text.
    #[inline]
    pub(crate) fn name_text(&self) -> Option<Cow<'r, [u8]>> {
        if let Self::Whole(pair) = self
            && let Some(name) = pair.plain_key()
        {
            return Some(Cow::Borrowed(name));
        }
        Some(match self.name().string()? {
            Cow::Borrowed(name) => Cow::Borrowed(name.as_bytes()),
            Cow::Owned(name) => Cow::Owned(name.into_bytes()),
        })
    }

    /// Whether this is the text of the name.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        self.name_text().as_deref() == Some(text.as_bytes())
    }

    /// The name, a colon and the value, if the record has them so.
    #[inline]
    pub(crate) fn compact(&self) -> Option<&'r str> {
        match self {
            Self::Whole(pair) => pair.compact(),
            Self::Parts { .. } => None,
        }
    }
}

/// The fields of an object. `values` has those that were looked for, in that order, and `rest` the
/// others.
#[derive(Debug)]
pub(crate) struct Fields<'r, const N: usize> {
    pub(crate) values: [Value<'r>; N],
    pub(crate) rest: Vec<Member<'r>>,
}

impl<'r, const N: usize> Fields<'r, N> {
    /// No fields.
    pub(crate) fn none() -> Self {
        Self {
            values: [Value::Missing; N],
            rest: Vec::new(),
        }
    }

    /// Reads an object. `None` if the text is not one.
    pub(crate) fn of_object(text: &'r str, names: &FieldNames<'_, N>) -> Option<Self> {
        let mut fields = Self::none();
        let mut reader = JsonReader::new(text);
        reader.members(|reader, key| fields.read(reader, key, names))?;
        reader.end()?;
        Some(fields)
    }

    /// Reads an object, and in the same scan what is in the field with this index: `enter` gets the reader at its
    /// value, and must read it. If the field occurs twice, the last one counts (IN-2).
    #[inline]
    pub(crate) fn of_object_entering(
        text: &'r str,
        names: &FieldNames<'_, N>,
        entered: usize,
        mut enter: impl FnMut(&mut JsonReader<'r>) -> Option<()>,
    ) -> Option<Self> {
        let mut fields = Self::none();
        let mut reader = JsonReader::new(text);
        fields.read_entering(&mut reader, names, entered, &mut enter)?;
        reader.end()?;
        Some(fields)
    }

    /// Reads the object that comes next as [`of_object_entering`](Self::of_object_entering) does, and forgets what was
    /// read before.
    #[inline]
    pub(crate) fn read_entering(
        &mut self,
        reader: &mut JsonReader<'r>,
        names: &FieldNames<'_, N>,
        entered: usize,
        mut enter: impl FnMut(&mut JsonReader<'r>) -> Option<()>,
    ) -> Option<()> {
        self.clear();
        reader.members(|reader, key| {
            let index = index_of(names, key);
            if index != Some(entered) {
                self.add(reader.pair(key)?, index);
                return Some(());
            }
            self.values[entered] = Value::Json(reader.within(&mut enter)?);
            Some(())
        })
    }

    /// Reads the object that comes next, and forgets what was read before. Anything else has no fields.
    #[inline]
    pub(crate) fn read_object(
        &mut self,
        reader: &mut JsonReader<'r>,
        names: &FieldNames<'_, N>,
    ) -> Option<()> {
        self.clear();
        match reader.is_at_object() {
            true => reader.members(|reader, key| self.read(reader, key, names)),
            false => reader.value().map(drop),
        }
    }

    /// Reads an object, and in the same scan the object that the field with this index has.
    pub(crate) fn of_object_and_inner<const M: usize>(
        text: &'r str,
        names: &FieldNames<'_, N>,
        entered: usize,
        inner_names: &FieldNames<'_, M>,
    ) -> Option<(Self, Fields<'r, M>)> {
        let mut inner = Fields::none();
        let fields = Self::of_object_entering(text, names, entered, |reader| {
            inner.read_object(reader, inner_names)
        })?;
        Some((fields, inner))
    }

    /// Reads a record, which must be an object.
    pub(crate) fn of_record(text: &'r str, names: &FieldNames<'_, N>) -> Result<Self, Refusal> {
        Self::of_object(text, names).ok_or_else(|| Refusal::not_a_record(text))
    }

    /// Reads a record, which must be an object, and the object that one of its fields has, as
    /// [`of_object_and_inner`](Self::of_object_and_inner) does.
    pub(crate) fn of_record_and_inner<const M: usize>(
        text: &'r str,
        names: &FieldNames<'_, N>,
        entered: usize,
        inner_names: &FieldNames<'_, M>,
    ) -> Result<(Self, Fields<'r, M>), Refusal> {
        Self::of_object_and_inner(text, names, entered, inner_names)
            .ok_or_else(|| Refusal::not_a_record(text))
    }

    /// Reads the object that a field has. Anything else has no fields.
    pub(crate) fn of_value(value: Value<'r>, names: &FieldNames<'_, N>) -> Self {
        let fields = match value {
            Value::Json(json) => Self::of_object(json.as_str(), names),
            Value::Missing => None,
        };
        fields.unwrap_or_else(Self::none)
    }

    /// Reads one field.
    #[inline(always)]
    fn read(
        &mut self,
        reader: &mut JsonReader<'r>,
        key: Key<'r>,
        names: &FieldNames<'_, N>,
    ) -> Option<()> {
        let pair = reader.pair(key)?;
        self.add(pair, index_of(names, key));
        Some(())
    }

    #[inline(always)]
    fn add(&mut self, pair: Pair<'r>, index: Option<usize>) {
        match index {
            // IN-2: the last one counts.
            Some(index) => self.values[index] = Value::Json(pair.value()),
            None => {
                if self.rest.is_empty() {
                    self.rest.reserve(USUAL_REST);
                }
                self.rest.push(Member::Whole(pair));
            }
        }
    }

    fn clear(&mut self) {
        self.values = [Value::Missing; N];
        self.rest.clear();
    }
}

/// The index of the name that a key is.
#[inline(always)]
fn index_of<const N: usize>(names: &FieldNames<'_, N>, key: Key<'_>) -> Option<usize> {
    match key.plain() {
        Some(name) => names.find(name),
        None => names.find(key.json().string()?.as_bytes()),
    }
}

/// The fields with these names of the object that a field has. Anything else has no fields.
pub(crate) fn values_of<'r, const N: usize>(value: Value<'r>, names: [&str; N]) -> [Value<'r>; N] {
    let mut values = [Value::Missing; N];
    let Value::Json(json) = value else {
        return values;
    };
    let mut reader = JsonReader::new(json.as_str());
    let read = reader.members(|reader, key| {
        let value = reader.value()?;
        let mut names = names.iter();
        if let Some(index) = names.position(|name| is_key(key, name)) {
            values[index] = Value::Json(value);
        }
        Some(())
    });
    match read.and_then(|()| reader.end()) {
        Some(()) => values,
        None => [Value::Missing; N],
    }
}

/// Whether a key is this name.
#[inline]
pub(crate) fn is_key(key: Key<'_>, name: &str) -> bool {
    match key.plain() {
        Some(plain) => plain == name.as_bytes(),
        None => key.json().string().as_deref() == Some(name),
    }
}

/// An object or an array that a field has: as JSON, or as text that has the JSON.
pub(crate) enum ObjectText<'r> {
    Json(Value<'r>),
    Text(Cow<'r, str>),
}

impl<'r> ObjectText<'r> {
    pub(crate) fn of(value: Value<'r>) -> Self {
        match value {
            Value::Json(json) if json.as_str().starts_with('"') => {
                Self::Text(json.string().unwrap_or_default())
            }
            value => Self::Json(value),
        }
    }

    /// A text that is JSON.
    pub(crate) fn of_json(json: &'r str) -> Self {
        Self::Text(Cow::Borrowed(json))
    }

    /// The members of an object: those that were read with the record, or those of a text.
    pub(crate) fn members_or(&self, read: Vec<Member<'r>>) -> Vec<Member<'_>> {
        match self {
            Self::Json(_) => read,
            Self::Text(_) => members(self.as_value()),
        }
    }

    /// The value, if the text is JSON.
    pub(crate) fn as_value(&self) -> Value<'_> {
        let text = match self {
            Self::Json(value) => return *value,
            Self::Text(text) => text,
        };
        match Values::in_row(text).next_value() {
            Ok(Some(json)) => Value::Json(json),
            _ => Value::Missing,
        }
    }
}

/// The value of the member with this name. Of several the last one counts (IN-2).
pub(crate) fn find<'r>(members: &[Member<'r>], name: &str) -> Value<'r> {
    let mut members = members.iter().rev();
    let found = members.find(|member| member.is_named(name));
    found.map_or(Value::Missing, Member::value)
}

/// All members of the object that a field has.
pub(crate) fn members(value: Value<'_>) -> Vec<Member<'_>> {
    Fields::of_value(value, &NO_NAMES).rest
}
