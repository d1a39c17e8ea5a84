//! One type for each kind of value. Libraries have several for texts and lists, and not all of them read all of these.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, GenericListArray, ListArray, MapArray,
    OffsetSizeTrait, StringArray, StructArray, make_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};

/// Which types are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Views of texts and bytes, which not every library can sort or join, in what is given back.
    Output,
    /// Everything that [`idmerge_tables::RowWriter`] does not read: also offsets of 64 bits and dictionaries.
    Input,
}

type Converted = Result<ArrayRef, ArrowError>;

impl Plain {
    /// The type that replaces a type.
    pub fn kind(self, kind: &DataType) -> DataType {
        let is_input = self == Self::Input;
        match kind {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            DataType::LargeUtf8 if is_input => DataType::Utf8,
            DataType::LargeBinary if is_input => DataType::Binary,
            DataType::Dictionary(_, values) if is_input => self.kind(values),
            DataType::Dictionary(keys, values) => {
                DataType::Dictionary(keys.clone(), Box::new(self.kind(values)))
            }
            DataType::LargeList(element) | DataType::FixedSizeList(element, _) if is_input => {
                DataType::List(self.field(element))
            }
            DataType::List(element) => DataType::List(self.field(element)),
            DataType::LargeList(element) => DataType::LargeList(self.field(element)),
            DataType::FixedSizeList(element, length) => {
                DataType::FixedSizeList(self.field(element), *length)
            }
            DataType::Struct(fields) => DataType::Struct(self.fields(fields)),
            DataType::Map(entries, is_sorted) => DataType::Map(self.field(entries), *is_sorted),
            kind => kind.clone(),
        }
    }

    /// A field with the type that replaces its type.
    pub fn field(self, field: &FieldRef) -> FieldRef {
        let kind = self.kind(field.data_type());
        Arc::new(Field::clone(field).with_data_type(kind))
    }

    fn fields(self, fields: &Fields) -> Fields {
        fields.iter().map(|field| self.field(field)).collect()
    }

    /// The same values in an array of the type that replaces its type.
    ///
    /// # Errors
    ///
    /// The array breaks the format of Arrow.
    pub fn array(self, array: &ArrayRef) -> Converted {
        let kind = array.data_type();
        if self.kind(kind) == *kind {
            return Ok(array.clone());
        }
        Ok(match kind {
            DataType::Utf8View => Arc::new(StringArray::from_iter(array.as_string_view())),
            DataType::LargeUtf8 => Arc::new(StringArray::from_iter(array.as_string::<i64>())),
            DataType::BinaryView => Arc::new(BinaryArray::from_iter(array.as_binary_view())),
            DataType::LargeBinary => Arc::new(BinaryArray::from_iter(array.as_binary::<i64>())),
            DataType::Dictionary(..) => return self.dictionary(array),
            DataType::List(_) => Arc::new(self.list::<i32, i32>(array.as_list())?),
            DataType::LargeList(_) => match self {
                Self::Input => Arc::new(self.list::<i64, i32>(array.as_list())?),
                Self::Output => Arc::new(self.list::<i64, i64>(array.as_list())?),
            },
            DataType::FixedSizeList(element, length) => {
                let list = array.as_fixed_size_list();
                let (element, values) = (self.field(element), self.array(list.values())?);
                let nulls = list.nulls().cloned();
                match self {
                    Self::Output => Arc::new(FixedSizeListArray::try_new(
                        element, *length, values, nulls,
                    )?),
                    Self::Input => {
                        let length = usize::try_from(*length).unwrap_or(0);
                        let offsets =
                            OffsetBuffer::from_lengths(std::iter::repeat_n(length, list.len()));
                        Arc::new(ListArray::try_new(element, offsets, values, nulls)?)
                    }
                }
            }
            DataType::Struct(_) => Arc::new(self.members(array.as_struct())?),
            DataType::Map(entries, is_sorted) => {
                let map = array.as_map();
                let all: ArrayRef = Arc::new(map.entries().clone());
                Arc::new(MapArray::try_new(
                    self.field(entries),
                    OffsetBuffer::from_lengths(map.offsets().lengths()),
                    self.members(of_rows(&all, map.offsets()).as_struct())?,
                    map.nulls().cloned(),
                    *is_sorted,
                )?)
            }
            _ => array.clone(),
        })
    }

    fn dictionary(self, array: &ArrayRef) -> Converted {
        let dictionary = array.as_any_dictionary();
        let values = self.array(dictionary.values())?;
        match self {
            Self::Output => Ok(dictionary.with_values(values)),
            Self::Input => {
                let keys = match values.is_empty() {
                    // All rows are null.
                    true => vec![0; array.len()],
                    false => dictionary.normalized_keys(),
                };
                let rows = keys.into_iter().enumerate();
                let is_valid = |row: usize| dictionary.is_valid(row) && !values.is_empty();
                chosen(&values, rows.map(|(row, key)| is_valid(row).then_some(key)))
            }
        }
    }

    fn members(self, array: &StructArray) -> Result<StructArray, ArrowError> {
        let columns = array.columns().iter().map(|column| self.array(column));
        StructArray::try_new_with_length(
            self.fields(array.fields()),
            columns.collect::<Result<_, _>>()?,
            array.nulls().cloned(),
            array.len(),
        )
    }

    /// A list with offsets of the size of `P`. Its values are those of its rows alone: the list of a batch may be a slice
    /// of one with the values of a whole table.
    fn list<O: OffsetSizeTrait, P: OffsetSizeTrait>(
        self,
        list: &GenericListArray<O>,
    ) -> Result<GenericListArray<P>, ArrowError> {
        let (DataType::List(element) | DataType::LargeList(element)) = list.data_type() else {
            return Err(ArrowError::SchemaError("a list has no element".to_owned()));
        };
        GenericListArray::try_new(
            self.field(element),
            OffsetBuffer::from_lengths(list.offsets().lengths()),
            self.array(&of_rows(list.values(), list.offsets()))?,
            list.nulls().cloned(),
        )
    }
}

/// The values that the rows of a list have.
fn of_rows<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &OffsetBuffer<O>) -> ArrayRef {
    let (start, end) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    values.slice(start, end - start)
}

/// The values in these rows; null where there is no row. (The crate `arrow-select` does this faster, and takes a sixth of
/// the time of the whole build.)
///
/// # Errors
///
/// The values do not fit in one array.
pub fn chosen(array: &ArrayRef, rows: impl ExactSizeIterator<Item = Option<usize>>) -> Converted {
    let data = array.to_data();
    let mut chosen = MutableArrayData::new(vec![&data], true, rows.len());
    for row in rows {
        match row {
            Some(row) => chosen.try_extend(0, row, row + 1)?,
            None => chosen.try_extend_nulls(1)?,
        }
    }
    Ok(make_array(chosen.freeze()))
}

/// How many bytes one array of texts has at most when it is made plain: its offsets have 32 bits. 0 if it stays as it is.
pub fn bytes_max(array: &dyn Array) -> u64 {
    match array.data_type() {
        DataType::Utf8View => lengths(array.as_string_view().views()).sum(),
        DataType::BinaryView => lengths(array.as_binary_view().views()).sum(),
        DataType::LargeUtf8 => span(array.as_string::<i64>().offsets()),
        DataType::LargeBinary => span(array.as_binary::<i64>().offsets()),
        DataType::Dictionary(..) => {
            let values = array.as_any_dictionary().values();
            longest(values.as_ref()).saturating_mul(array.len() as u64)
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| bytes_max(column)).max().unwrap_or(0)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            bytes_max(of_rows(list.values(), list.offsets()).as_ref())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let values = of_rows(list.values(), list.offsets());
            bytes_max(values.as_ref()).max(values.len() as u64)
        }
        DataType::FixedSizeList(..) => bytes_max(array.as_fixed_size_list().values()),
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            bytes_max(of_rows(&entries, map.offsets()).as_ref())
        }
        _ => 0,
    }
}

/// The length of the longest text.
fn longest(texts: &dyn Array) -> u64 {
    let of_offsets = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0) as u64;
    match texts.data_type() {
        DataType::Utf8View => lengths(texts.as_string_view().views()).max().unwrap_or(0),
        DataType::Utf8 => of_offsets(&mut texts.as_string::<i32>().offsets().lengths()),
        DataType::LargeUtf8 => of_offsets(&mut texts.as_string::<i64>().offsets().lengths()),
        _ => 0,
    }
}

fn span(offsets: &OffsetBuffer<i64>) -> u64 {
    let bytes = offsets[offsets.len() - 1] - offsets[0];
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The length of a view is in its lowest 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the length is the lowest 32 bits"
)]
fn lengths(views: &[u128]) -> impl Iterator<Item = u64> {
    views.iter().map(|view| u64::from(*view as u32))
}
