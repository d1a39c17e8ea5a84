//! [`Record`]: the text of a record, and its shape if that is known.

use idmerge_events::{JsonReader, ReadJson as _, Shapes};

use crate::read::names::{FieldNames, is_key};
use crate::read::plan::{Planned, Plans, ReaderByPlans, RecordReader};
use crate::read::value::Value;

/// The text of a record. If the record has the shape of an earlier one, it need not be scanned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'r> {
    pub(crate) text: &'r str,
    shaped: Option<ReaderByPlans<'r>>,
}

/// Something that is read in a scan of a record, or by the shape of the record.
pub(crate) trait Read<'r> {
    /// Reads the value that comes next. `None` if the text is not JSON, or if another kind of value comes next.
    fn read(&mut self, reader: &mut impl RecordReader<'r>) -> Option<()>;
}

impl<'r> Record<'r> {
    /// A record that is scanned.
    pub(crate) fn of_text(text: &'r str) -> Self {
        Self { text, shaped: None }
    }

    /// A record of a stream, in which many have the same shape.
    #[inline]
    pub(crate) fn of_stream(text: &'r str, shapes: &'r mut Shapes<Plans>) -> Self {
        Self {
            text,
            shaped: shapes.read_or_learn(text),
        }
    }

    /// The value of this name in the object that a field has, which is found by its index among the names. `None` if the
    /// record is scanned, if it was read by other names, or if the field has no object.
    pub(crate) fn value_in<const N: usize>(
        self,
        names: &FieldNames<'_, N>,
        index: usize,
        name: &str,
    ) -> Option<Value<'r>> {
        let mut reader = self.shaped?;
        let number = Planned::at(&mut reader, names)?.number_of(index)?;
        reader.go_to(number);
        let mut found = Value::Missing;
        reader.members(|reader, key| {
            match is_key(key, name) {
                // IN-2: the last one counts.
                true => found = Value::Json(reader.value()?),
                false => reader.skip(),
            }
            Some(())
        })?;
        Some(found)
    }

    /// Reads the record into `what`. `None` if the record is not JSON, or is another kind of value.
    #[inline]
    pub(crate) fn read(self, what: &mut impl Read<'r>) -> Option<()> {
        match self.shaped {
            Some(mut reader) => what.read(&mut reader),
            None => {
                let mut reader = JsonReader::new(self.text);
                what.read(&mut reader)?;
                reader.end()
            }
        }
    }
}
