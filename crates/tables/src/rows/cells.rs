//! The values of a column as JSON.

use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray, ListArray, MapArray, StringArray};
use arrow_schema::{DataType, Field};
use idmerge_events::{JsonReader, ReadJson as _, write_json_string};

use super::values::{WriteValue, write_bytes, write_null, writer_of};

/// The columns that are JSON, whether they say so or not: text in them is a value, not a string.
const JSON_LISTS: &[&str] = &["$distinct_ids"];

/// The values of a column of a batch.
pub(super) enum Cells<'b> {
    Text(&'b StringArray),
    /// Text that is a JSON value if it is one.
    Json(&'b StringArray),
    /// Bytes that should be text.
    Bytes(&'b BinaryArray),
    Other(&'b dyn Array, WriteValue),
    List(&'b ListArray, Box<Cells<'b>>),
    Struct(&'b dyn Array, Vec<Member<'b>>),
    Map(&'b MapArray, Box<Cells<'b>>, Box<Cells<'b>>),
}

/// A member of an object.
pub(super) struct Member<'b> {
    /// The key as JSON, with its colon.
    key: String,
    pub(super) cells: Cells<'b>,
}

/// Whether text in this column is JSON: its type says so, or it is known by its name.
pub(super) fn is_json(field: &Field) -> bool {
    let extension = field.metadata().get("ARROW:extension:name");
    extension.is_some_and(|name| name == "arrow.json")
        || JSON_LISTS.contains(&field.name().as_str())
}

impl<'b> Member<'b> {
    pub(super) fn new(field: &Field, array: &'b dyn Array) -> Self {
        let mut key = Vec::new();
        write_json_string(field.name(), &mut key);
        key.push(b':');
        Self {
            // Writing JSON makes UTF-8.
            key: String::from_utf8(key).unwrap_or_default(),
            cells: Cells::of(field, array),
        }
    }

    /// Writes the key and the value, after a comma if there is something before it. Null is left out.
    pub(super) fn write(&self, row: usize, object_start: usize, out: &mut Vec<u8>) {
        if self.cells.is_null(row) {
            return;
        }
        let before = out.len();
        if before > object_start {
            out.push(b',');
        }
        out.extend_from_slice(self.key.as_bytes());
        let value = out.len();
        self.cells.write(row, out);
        if &out[value..] == b"null" {
            out.truncate(before);
        }
    }
}

impl<'b> Cells<'b> {
    pub(super) fn of(field: &Field, array: &'b dyn Array) -> Self {
        match array.data_type() {
            DataType::Utf8 if is_json(field) => Self::Json(array.as_string()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::List(element) => {
                let list = array.as_list::<i32>();
                Self::List(list, Box::new(Self::of(element, list.values().as_ref())))
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let members = fields.iter().zip(columns);
                let members = members.map(|(field, array)| Member::new(field, array.as_ref()));
                Self::Struct(array, members.collect())
            }
            DataType::Map(entries, _) => {
                let map = array.as_map();
                let (keys, values) = (map.keys().as_ref(), map.values().as_ref());
                let fields = match entries.data_type() {
                    DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
                    _ => Vec::new(),
                };
                match fields[..] {
                    [key, value] => Self::Map(
                        map,
                        Box::new(Self::of(key, keys)),
                        Box::new(Self::of(value, values)),
                    ),
                    _ => Self::Other(array, write_null),
                }
            }
            other => Self::Other(array, writer_of(other)),
        }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(array) | Self::Json(array) => array.is_null(row),
            Self::Bytes(array) => array.is_null(row),
            Self::Other(array, _) | Self::Struct(array, _) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
            Self::Map(array, ..) => array.is_null(row),
        }
    }

    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match self {
            Self::Text(array) => write_json_string(array.value(row), out),
            Self::Json(array) => write_json(array.value(row), out),
            Self::Bytes(array) => write_bytes(array.value(row), out),
            Self::Other(array, write) => write(*array, row, out),
            Self::List(list, elements) => {
                out.push(b'[');
                let (start, end) = range(list.value_offsets(), row);
                for element in start..end {
                    if element > start {
                        out.push(b',');
                    }
                    elements.write(element, out);
                }
                out.push(b']');
            }
            Self::Struct(..) | Self::Map(..) => {
                out.push(b'{');
                self.write_members(row, out.len(), out);
                out.push(b'}');
            }
        }
    }

    /// Writes the members of a struct, a map or a text of JSON, without braces, after those that are there. `false`
    /// if it is none of these.
    pub(super) fn write_members(&self, row: usize, object_start: usize, out: &mut Vec<u8>) -> bool {
        if self.is_null(row) {
            return true;
        }
        match self {
            Self::Struct(_, members) => {
                members
                    .iter()
                    .for_each(|member| member.write(row, object_start, out));
            }
            Self::Map(map, keys, values) => {
                let (start, end) = range(map.value_offsets(), row);
                for entry in (start..end).filter(|entry| !values.is_null(*entry)) {
                    if out.len() > object_start {
                        out.push(b',');
                    }
                    let key = out.len();
                    keys.write(entry, out);
                    if out.get(key) != Some(&b'"') {
                        // The keys of JSON are texts.
                        let text = String::from_utf8_lossy(&out[key..]).into_owned();
                        out.truncate(key);
                        write_json_string(&text, out);
                    }
                    let is_list = JSON_LISTS.iter().any(|name| {
                        out[key..].strip_prefix(b"\"") == Some(&[name.as_bytes(), b"\""].concat())
                    });
                    out.push(b':');
                    match &**values {
                        Self::Text(texts) if is_list => write_json(texts.value(entry), out),
                        values => values.write(entry, out),
                    }
                }
            }
            Self::Text(texts) | Self::Json(texts) => {
                let text = texts.value(row).trim_ascii();
                let inner = text
                    .strip_prefix('{')
                    .and_then(|text| text.strip_suffix('}'));
                let Some(inner) = inner.filter(|_| is_one_value(text)) else {
                    return false;
                };
                if !inner.trim_ascii().is_empty() {
                    if out.len() > object_start {
                        out.push(b',');
                    }
                    push_without_line_breaks(inner, out);
                }
            }
            _ => return false,
        }
        true
    }
}

fn range(offsets: &[i32], row: usize) -> (usize, usize) {
    let at = |index: usize| usize::try_from(offsets[index]).unwrap_or(0);
    (at(row), at(row + 1))
}

fn is_one_value(text: &str) -> bool {
    let mut reader = JsonReader::new(text);
    reader.value().is_some() && reader.end().is_some()
}

/// Line breaks between the values of a JSON text become blanks: a row is a line.
fn push_without_line_breaks(json: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn write_json(text: &str, out: &mut Vec<u8>) {
    match is_one_value(text) {
        true => push_without_line_breaks(text, out),
        false => write_json_string(text, out),
    }
}

/// Whether values of this type can be written.
pub(super) fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::Binary | DataType::Null => true,
        DataType::List(element) => is_readable(element.data_type()),
        DataType::Map(entries, _) => is_readable(entries.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_readable(field.data_type())),
        other => !std::ptr::fn_addr_eq(writer_of(other), write_null as WriteValue),
    }
}
