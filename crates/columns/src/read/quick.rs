//! Events from columns of texts and integers, without JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, BooleanArray, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Schema};
use idmerge_core::{Event, Value};

use crate::table::place_of;

/// Where the properties of ordinary events are.
#[derive(Debug)]
pub(super) struct Quick {
    event: usize,
    distinct_id: Places,
    distinct_id_before_identity: Places,
    user_id: Places,
    device_id: Places,
    is_unweighed: Places,
}

/// Where a property is: in a column, and where that is null in a member of `properties` (IN-2).
#[derive(Debug)]
struct Places(Vec<Place>);

#[derive(Clone, Copy, Debug)]
enum Place {
    Column(usize),
    Member(usize, usize),
}

impl Quick {
    /// `None` if a property has a type that only JSON can say.
    pub(super) fn new(schema: &Schema, is_empty: &dyn Fn(&str) -> bool) -> Option<Self> {
        let event = place_of(schema, "event")?;
        let properties = place_of(schema, "properties");
        let kind_of = |place: usize| schema.fields()[place].data_type();
        let members = match properties.map(|place| (place, kind_of(place))) {
            None | Some((_, DataType::Null)) => None,
            Some((place, DataType::Struct(members))) => Some((place, members)),
            Some(_) => return None,
        };
        let places = |name: &str, is_quick: fn(&DataType) -> bool| {
            if is_empty(name) {
                return Some(Places(Vec::new()));
            }
            let mut places = Vec::new();
            if let Some(column) = place_of(schema, name) {
                places.push((Place::Column(column), kind_of(column)));
            }
            if let Some((place, members)) = members
                && let Some((member, field)) = members.find(name)
            {
                places.push((Place::Member(place, member), field.data_type()));
            }
            let is_quick = places
                .iter()
                .all(|(_, kind)| kind.is_null() || is_quick(kind));
            let places = places.into_iter().filter(|(_, kind)| !kind.is_null());
            is_quick.then(|| Places(places.map(|(place, _)| place).collect()))
        };
        let is_id = |kind: &DataType| *kind == DataType::Utf8 || kind.is_integer();
        let is_flag = |kind: &DataType| *kind == DataType::Boolean;
        (*kind_of(event) == DataType::Utf8).then_some(())?;
        Some(Self {
            event,
            distinct_id: places("distinct_id", is_id)?,
            distinct_id_before_identity: places("$distinct_id_before_identity", is_id)?,
            user_id: places("$user_id", is_id)?,
            device_id: places("$device_id", is_id)?,
            is_unweighed: places("$idmerge_unweighed", is_flag)?,
        })
    }

    pub(super) fn batch(&self, batch: &RecordBatch) -> QuickBatch {
        QuickBatch {
            events: batch.column(self.event).as_string().clone(),
            distinct_id: self.distinct_id.texts(batch),
            distinct_id_before_identity: self.distinct_id_before_identity.texts(batch),
            user_id: self.user_id.texts(batch),
            device_id: self.device_id.texts(batch),
            is_unweighed: self.is_unweighed.flags(batch),
        }
    }
}

impl Places {
    fn arrays<'b>(&self, batch: &'b RecordBatch) -> impl Iterator<Item = (&'b dyn Array, Nulls)> {
        self.0.iter().map(move |place| match *place {
            Place::Column(column) => {
                let array = batch.column(column).as_ref();
                (array, array.nulls().cloned())
            }
            Place::Member(properties, member) => {
                let properties = batch.column(properties).as_struct();
                let array = properties.column(member).as_ref();
                (array, NullBuffer::union(array.nulls(), properties.nulls()))
            }
        })
    }

    fn texts(&self, batch: &RecordBatch) -> Texts {
        let texts = self.arrays(batch).map(|(array, nulls)| texts(array, nulls));
        Texts(texts.collect())
    }

    fn flags(&self, batch: &RecordBatch) -> Vec<BooleanArray> {
        let flags = self.arrays(batch);
        let flags = flags
            .map(|(array, nulls)| BooleanArray::new(array.as_boolean().values().clone(), nulls));
        flags.collect()
    }
}

type Nulls = Option<NullBuffer>;

/// The values of a column of texts or integers as texts.
fn texts(array: &dyn Array, nulls: Nulls) -> StringArray {
    match array.data_type() {
        DataType::Int8 => decimal::<Int8Type>(array, nulls.as_ref()),
        DataType::Int16 => decimal::<Int16Type>(array, nulls.as_ref()),
        DataType::Int32 => decimal::<Int32Type>(array, nulls.as_ref()),
        DataType::Int64 => decimal::<Int64Type>(array, nulls.as_ref()),
        DataType::UInt8 => decimal::<UInt8Type>(array, nulls.as_ref()),
        DataType::UInt16 => decimal::<UInt16Type>(array, nulls.as_ref()),
        DataType::UInt32 => decimal::<UInt32Type>(array, nulls.as_ref()),
        DataType::UInt64 => decimal::<UInt64Type>(array, nulls.as_ref()),
        _ => {
            let texts = array.as_string::<i32>();
            StringArray::new(texts.offsets().clone(), texts.values().clone(), nulls)
        }
    }
}

fn decimal<T: ArrowPrimitiveType<Native: itoa::Integer>>(
    array: &dyn Array,
    nulls: Option<&NullBuffer>,
) -> StringArray {
    let values = array.as_primitive::<T>().values();
    let mut buffer = itoa::Buffer::new();
    let mut texts = arrow_array::builder::StringBuilder::new();
    for (row, value) in values.iter().enumerate() {
        match nulls.is_some_and(|nulls| nulls.is_null(row)) {
            true => texts.append_null(),
            false => texts.append_value(buffer.format(*value)),
        }
    }
    texts.finish()
}

/// The properties of ordinary events in a batch.
pub(super) struct QuickBatch {
    events: StringArray,
    distinct_id: Texts,
    distinct_id_before_identity: Texts,
    user_id: Texts,
    device_id: Texts,
    is_unweighed: Vec<BooleanArray>,
}

struct Texts(Vec<StringArray>);

impl Texts {
    #[inline]
    fn value(&self, row: usize) -> Value<'_> {
        let present = self.0.iter().find(|texts| texts.is_valid(row));
        present.map_or(Value::Absent, |texts| texts.value(row).into())
    }
}

impl QuickBatch {
    /// An event, with the properties that ordinary events are read by. `None` if it has no name.
    #[inline]
    pub(super) fn event(&self, row: usize) -> Option<Event<'_>> {
        let name = self.events.is_valid(row).then(|| self.events.value(row))?;
        let mut flags = self.is_unweighed.iter();
        let flag = flags.find(|flags| flags.is_valid(row));
        Some(Event {
            distinct_id: self.distinct_id.value(row),
            distinct_id_before_identity: self.distinct_id_before_identity.value(row),
            user_id: self.user_id.value(row),
            device_id: self.device_id.value(row),
            is_unweighed: flag.is_some_and(|flags| flags.value(row)),
            ..Event::named(name)
        })
    }
}
