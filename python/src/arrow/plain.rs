//! One type for each kind of value. Libraries have several for texts and lists, and not all of them read all of these.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, GenericListArray, LargeListArray, ListArray,
    MapArray, OffsetSizeTrait, StringArray, StructArray, make_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};

/// Which types are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Views of texts and bytes, which not every library can sort or join, in what is given back.
    Output,
    /// Everything that [`idmerge_tables::RowWriter`] does not read: also offsets of 64 bits and dictionaries.
    Input,
}

type Converted = Result<ArrayRef, ArrowError>;

impl Plain {
    /// The type that replaces a type.
    pub(crate) fn kind(self, kind: &DataType) -> DataType {
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

    pub(crate) fn field(self, field: &FieldRef) -> FieldRef {
        let kind = self.kind(field.data_type());
        Arc::new(Field::clone(field).with_data_type(kind))
    }

    fn fields(self, fields: &Fields) -> Fields {
        fields.iter().map(|field| self.field(field)).collect()
    }

    /// The same values in an array of the type that replaces its type.
    pub(crate) fn array(self, array: &ArrayRef) -> Converted {
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
            DataType::List(_) => Arc::new(self.list(array.as_list::<i32>())?),
            DataType::LargeList(_) if self == Self::Input => {
                Arc::new(self.short_list(array.as_list())?)
            }
            DataType::LargeList(_) => Arc::new(self.list(array.as_list::<i64>())?),
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
                Arc::new(MapArray::try_new(
                    self.field(entries),
                    map.offsets().clone(),
                    self.members(map.entries())?,
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

    fn list<O: OffsetSizeTrait>(
        self,
        list: &GenericListArray<O>,
    ) -> Result<GenericListArray<O>, ArrowError> {
        let (DataType::List(element) | DataType::LargeList(element)) = list.data_type() else {
            return Ok(list.clone());
        };
        GenericListArray::try_new(
            self.field(element),
            list.offsets().clone(),
            self.array(list.values())?,
            list.nulls().cloned(),
        )
    }

    fn short_list(self, list: &LargeListArray) -> Result<ListArray, ArrowError> {
        let list = self.list(list)?;
        let (element, offsets, values, nulls) = list.into_parts();
        // The values of a slice are those of the whole array.
        let (start, end) = (offsets[0], offsets[offsets.len() - 1]);
        let at = |offset: i64| usize::try_from(offset).unwrap_or(0);
        let values = values.slice(at(start), at(end - start));
        let lengths = offsets.lengths();
        ListArray::try_new(element, OffsetBuffer::from_lengths(lengths), values, nulls)
    }
}

/// The values in these rows; null where there is no row. (The crate `arrow-select` does this faster, and takes a sixth of
/// the time of the whole build.)
pub(crate) fn chosen(
    array: &ArrayRef,
    rows: impl ExactSizeIterator<Item = Option<usize>>,
) -> Converted {
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

/// An upper bound of the bytes of one array of texts when it is made plain: its offsets have 32 bits.
pub(crate) fn bytes_max(array: &dyn Array) -> u64 {
    let long = |bytes: i64| u64::try_from(bytes).unwrap_or(u64::MAX);
    match array.data_type() {
        DataType::Utf8View => lengths(array.as_string_view().views()),
        DataType::BinaryView => lengths(array.as_binary_view().views()),
        DataType::LargeUtf8 => {
            let offsets = array.as_string::<i64>().offsets();
            long(offsets[array.len()] - offsets[0])
        }
        DataType::LargeBinary => {
            let offsets = array.as_binary::<i64>().offsets();
            long(offsets[array.len()] - offsets[0])
        }
        DataType::Dictionary(..) => {
            let values = array.as_any_dictionary().values();
            let longest = (0..values.len()).map(|row| bytes_max(values.slice(row, 1).as_ref()));
            longest
                .max()
                .unwrap_or(0)
                .saturating_mul(array.len() as u64)
        }
        DataType::Utf8 => {
            let offsets = array.as_string::<i32>().offsets();
            long(i64::from(offsets[array.len()] - offsets[0]))
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| bytes_max(column)).max().unwrap_or(0)
        }
        DataType::List(_) => bytes_max(array.as_list::<i32>().values()),
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.offsets();
            let (start, end) = (offsets[0], offsets[array.len()]);
            let at = |offset: i64| usize::try_from(offset).unwrap_or(0);
            let values = list.values().slice(at(start), at(end - start));
            bytes_max(values.as_ref()).max(long(end - start))
        }
        _ => 0,
    }
}

/// The length of a view is in its lowest 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the length is the lowest 32 bits"
)]
fn lengths(views: &[u128]) -> u64 {
    views.iter().map(|view| u64::from(*view as u32)).sum()
}
