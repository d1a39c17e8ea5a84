//! The fields of a record: those that an adapter reads, and the others.

use std::borrow::Cow;

use idmerge_events::{JsonReader, Pair, ReadJson as _, Values};

use crate::read::names::{FieldNames, is_key};
use crate::read::plan::{Planned, RecordReader};
use crate::read::record::{Read, Record};
use crate::read::rest::Rest;
use crate::read::value::Value;
use crate::refusal::Refusal;

/// For objects whose members are all wanted: none is read by name, so all are in `rest`.
pub(crate) static NO_NAMES: FieldNames<'static, 0> = FieldNames::new([]);

/// The fields of an object. `values` has those that were looked for, in that order, and `rest` the
/// others.
#[derive(Debug)]
pub(crate) struct Fields<'r, const N: usize> {
    pub(crate) values: [Value<'r>; N],
    pub(crate) rest: Rest<'r>,
}

impl<'r, const N: usize> Fields<'r, N> {
    /// No fields.
    pub(crate) fn none() -> Self {
        Self {
            values: [Value::Missing; N],
            rest: Rest::default(),
        }
    }

    /// Reads an object. `None` if the text is not one.
    pub(crate) fn of_object(text: &'r str, names: &FieldNames<'_, N>) -> Option<Self> {
        Self::of(Record::of_text(text), names)
    }

    fn of(record: Record<'r>, names: &FieldNames<'_, N>) -> Option<Self> {
        let mut fields = Self::none();
        record.read(&mut Members {
            fields: &mut fields,
            names,
        })?;
        Some(fields)
    }

    /// Reads an object, and on the way what is in the field with this index into `inner`. If the field occurs
    /// twice, the last one counts (IN-2).
    #[inline]
    pub(crate) fn of_object_entering(
        record: Record<'r>,
        names: &FieldNames<'_, N>,
        entered: usize,
        inner: &mut impl Read<'r>,
    ) -> Option<Self> {
        let mut fields = Self::none();
        record.read(&mut Entering {
            fields: &mut fields,
            names,
            entered,
            inner,
        })?;
        Some(fields)
    }

    /// Reads the object that comes next as [`of_object_entering`](Self::of_object_entering) does, and forgets what was
    /// read before. `enter` gets the reader at the value of the field with this index, and must read it.
    #[inline]
    pub(crate) fn read_entering<R: RecordReader<'r>>(
        &mut self,
        reader: &mut R,
        names: &FieldNames<'_, N>,
        entered: usize,
        mut enter: impl FnMut(&mut R) -> Option<()>,
    ) -> Option<()> {
        self.clear();
        if let Some(planned) = Planned::at(reader, names) {
            self.take(&planned)?;
            if let Some(number) = planned.number_of(entered) {
                reader.go_to(number);
                enter(reader)?;
            }
            planned.pass(reader);
            return Some(());
        }
        reader.members(|reader, key| {
            let index = names.of_key(key);
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
        reader: &mut impl RecordReader<'r>,
        names: &FieldNames<'_, N>,
    ) -> Option<()> {
        self.clear();
        match reader.is_at_object() {
            true => self.read_members(reader, names),
            false => reader.value().map(drop),
        }
    }

    #[inline]
    fn read_members(
        &mut self,
        reader: &mut impl RecordReader<'r>,
        names: &FieldNames<'_, N>,
    ) -> Option<()> {
        if let Some(planned) = Planned::at(reader, names) {
            self.take(&planned)?;
            planned.pass(reader);
            return Some(());
        }
        reader.members(|reader, key| {
            let pair = reader.pair(key)?;
            self.add(pair, names.of_key(key));
            Some(())
        })
    }

    /// Reads an object, and on the way the object that the field with this index has.
    pub(crate) fn of_object_and_inner<const M: usize>(
        record: Record<'r>,
        names: &FieldNames<'_, N>,
        entered: usize,
        inner_names: &FieldNames<'_, M>,
    ) -> Option<(Self, Fields<'r, M>)> {
        let mut fields = Fields::none();
        let mut inner = Inner {
            fields: &mut fields,
            names: inner_names,
        };
        let outer = Self::of_object_entering(record, names, entered, &mut inner)?;
        Some((outer, fields))
    }

    /// Reads a record, which must be an object.
    pub(crate) fn of_record(
        record: Record<'r>,
        names: &FieldNames<'_, N>,
    ) -> Result<Self, Refusal> {
        Self::of(record, names).ok_or_else(|| Refusal::not_a_record(record.text))
    }

    /// Reads a record, which must be an object, and the object that one of its fields has, as
    /// [`of_object_and_inner`](Self::of_object_and_inner) does.
    pub(crate) fn of_record_and_inner<const M: usize>(
        record: Record<'r>,
        names: &FieldNames<'_, N>,
        entered: usize,
        inner_names: &FieldNames<'_, M>,
    ) -> Result<(Self, Fields<'r, M>), Refusal> {
        Self::of_object_and_inner(record, names, entered, inner_names)
            .ok_or_else(|| Refusal::not_a_record(record.text))
    }

    /// Reads the object that a field has. Anything else has no fields.
    pub(crate) fn of_value(value: Value<'r>, names: &FieldNames<'_, N>) -> Self {
        let fields = match value {
            Value::Json(json) => Self::of_object(json.as_str(), names),
            Value::Missing => None,
        };
        fields.unwrap_or_else(Self::none)
    }

    /// Takes what a plan says.
    #[inline]
    fn take(&mut self, planned: &Planned<'r>) -> Option<()> {
        for (index, value) in self.values.iter_mut().enumerate() {
            if let Some(number) = planned.number_of(index) {
                *value = Value::Json(planned.value(number)?);
            }
        }
        self.rest = Rest::of_plan(*planned);
        Some(())
    }

    #[inline(always)]
    fn add(&mut self, pair: Pair<'r>, index: Option<usize>) {
        match index {
            // IN-2: the last one counts.
            Some(index) => self.values[index] = Value::Json(pair.value()),
            None => {
                self.rest.push(pair);
            }
        }
    }

    fn clear(&mut self) {
        self.values = [Value::Missing; N];
        self.rest.clear();
    }
}

/// Reads the members of an object.
struct Members<'f, 'r, 'n, const N: usize> {
    fields: &'f mut Fields<'r, N>,
    names: &'f FieldNames<'n, N>,
}

impl<'r, const N: usize> Read<'r> for Members<'_, 'r, '_, N> {
    #[inline]
    fn read(&mut self, reader: &mut impl RecordReader<'r>) -> Option<()> {
        self.fields.read_members(reader, self.names)
    }
}

/// Reads the members of an object, if it is one.
struct Inner<'f, 'r, 'n, const N: usize> {
    fields: &'f mut Fields<'r, N>,
    names: &'f FieldNames<'n, N>,
}

impl<'r, const N: usize> Read<'r> for Inner<'_, 'r, '_, N> {
    #[inline]
    fn read(&mut self, reader: &mut impl RecordReader<'r>) -> Option<()> {
        self.fields.read_object(reader, self.names)
    }
}

/// Reads the members of an object, and `inner` in one of them.
struct Entering<'f, 'r, 'n, const N: usize, I> {
    fields: &'f mut Fields<'r, N>,
    names: &'f FieldNames<'n, N>,
    entered: usize,
    inner: &'f mut I,
}

impl<'r, const N: usize, I: Read<'r>> Read<'r> for Entering<'_, 'r, '_, N, I> {
    #[inline]
    fn read(&mut self, reader: &mut impl RecordReader<'r>) -> Option<()> {
        let inner = &mut *self.inner;
        let enter = |reader: &mut _| inner.read(reader);
        self.fields
            .read_entering(reader, self.names, self.entered, enter)
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
    pub(crate) fn members_or(&self, read: Rest<'r>) -> Rest<'_> {
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
pub(crate) fn find<'r>(members: &Rest<'r>, name: &str) -> Value<'r> {
    let found = members.iter().filter(|member| member.is_named(name)).last();
    found.map_or(Value::Missing, |member| member.value())
}

/// All members of the object that a field has.
pub(crate) fn members(value: Value<'_>) -> Rest<'_> {
    Fields::of_value(value, &NO_NAMES).rest
}
