//! Inputs that are tables: CSV, or TSV without quotation marks.

use std::ops::Range;

use csv::{ByteRecord, ReaderBuilder};
use idmerge_adapters::{ATOMIC_COLUMNS, Refusal};
use idmerge_events::write_json_string;

use crate::stream::forms::text::BYTE_ORDER_MARK;

/// How the tables among the inputs are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables {
    /// Whether names of columns stay as they are. Otherwise names that are all in upper case, as Snowflake
    /// writes them, are read in lower case.
    pub(crate) keep_case: bool,
}

/// An input that is a table.
#[derive(Debug)]
pub(crate) struct Table {
    separator: u8,
    /// The name of each column, as JSON.
    columns: Vec<String>,
    has_header: bool,
}

/// A row of a table.
pub(crate) struct Row<'r> {
    /// The number of the line in the block on which it begins, counted from 1.
    pub(crate) line: u64,
    pub(crate) bytes: Range<usize>,
    /// The row as a JSON object. A cell that is empty is left out.
    pub(crate) json: Result<&'r str, Refusal>,
}

impl Tables {
    /// The table that an input is, by its first bytes. `None` if it is JSON, or no table.
    pub(crate) fn table(self, head: &[u8]) -> Option<Table> {
        let mut text = head;
        while let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) {
            text = rest;
        }
        if matches!(text.trim_ascii_start().first(), None | Some(b'{' | b'[')) {
            return None;
        }
        let first = text.split(|byte| *byte == b'\n').next()?;
        let first_of =
            |separators: &[u8]| separators.iter().find(|byte| first.contains(byte)).copied();
        let separator = first_of(b"\t,;")?;
        let mut row = ByteRecord::new();
        let mut reader = reader_of(separator, first);
        reader.read_byte_record(&mut row).ok()?;
        if separator == b'\t' && row.len() == ATOMIC_COLUMNS.len() && &row[0] != b"app_id" {
            return Some(Table {
                separator,
                columns: ATOMIC_COLUMNS.iter().copied().map(json).collect(),
                has_header: false,
            });
        }
        let is_upper = !first.iter().any(u8::is_ascii_lowercase);
        let name = |cell: &[u8]| {
            let name = String::from_utf8_lossy(cell).trim().to_owned();
            json(&match is_upper && !self.keep_case {
                true => name.to_ascii_lowercase(),
                false => name,
            })
        };
        Some(Table {
            separator,
            columns: row.iter().map(name).collect(),
            has_header: true,
        })
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn reader_of(separator: u8, text: &[u8]) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .quoting(separator != b'\t')
        .from_reader(text)
}

impl Table {
    /// The columns as a record that has nothing in them.
    pub(crate) fn columns(&self) -> String {
        let members: Vec<_> = self
            .columns
            .iter()
            .map(|name| format!("{name}:null"))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// Where the last row of a text ends that has its line feed: one outside of quotation marks.
    pub(crate) fn end_of_rows(&self, text: &[u8]) -> Option<usize> {
        if self.separator == b'\t' {
            return memchr::memrchr(b'\n', text).map(|end| end + 1);
        }
        let (mut is_quoted, mut end) = (false, None);
        for at in memchr::memchr2_iter(b'\n', b'"', text) {
            match text[at] {
                b'"' => is_quoted = !is_quoted,
                _ if !is_quoted => end = Some(at + 1),
                _ => {}
            }
        }
        end
    }

    /// Visits the rows of a block, which has the header if it is the first one.
    pub(crate) fn visit_rows(&self, text: &[u8], is_first: bool, mut visit: impl FnMut(Row<'_>)) {
        let mut reader = reader_of(self.separator, text);
        let (mut row, mut object) = (ByteRecord::new(), Vec::new());
        let mut is_header = is_first && self.has_header;
        loop {
            let start = reader.position().clone();
            // Reading a slice does not fail, and rows of any length are taken.
            if !reader.read_byte_record(&mut row).unwrap_or(false) {
                return;
            }
            let position = row.position().unwrap_or(&start).clone();
            if std::mem::take(&mut is_header) {
                continue;
            }
            let at = |byte: u64| usize::try_from(byte).unwrap_or(text.len()).min(text.len());
            let (mut start, end) = (at(position.byte()), at(reader.position().byte()));
            // The reader passes over blank lines, but begins the row with them.
            let is_break = |byte: &&u8| matches!(byte, b'\n' | b'\r');
            let blank = text[start..end].iter().take_while(is_break).count();
            let breaks = memchr::memchr_iter(b'\n', &text[start..start + blank]).count();
            start += blank;
            visit(Row {
                line: position.line() + breaks as u64,
                bytes: start..end,
                json: self.object(&row, &mut object),
            });
        }
    }

    /// A row as a JSON object.
    fn object<'o>(&self, row: &ByteRecord, object: &'o mut Vec<u8>) -> Result<&'o str, Refusal> {
        if row.len() != self.columns.len() {
            let error = format!(
                "the row has {} cells, but there are {} columns; quote a cell that has the separator or a \
                 line break in it (A-2)",
                row.len(),
                self.columns.len()
            );
            return Err(Refusal::with_text("A-2", error));
        }
        object.clear();
        object.push(b'{');
        for (name, cell) in self.columns.iter().zip(row) {
            if cell.is_empty() {
                continue;
            }
            let Ok(cell) = str::from_utf8(cell) else {
                let error = format!("the cell of {name} is not UTF-8 (IN-1)");
                return Err(Refusal::with_text("IN-1", error));
            };
            if object.len() > 1 {
                object.push(b',');
            }
            object.extend_from_slice(name.as_bytes());
            object.push(b':');
            write_json_string(cell, object);
        }
        object.push(b'}');
        Ok(str::from_utf8(object).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(head: &str) -> Option<Table> {
        Tables { keep_case: false }.table(head.as_bytes())
    }

    fn rows(table: &Table, text: &str, is_first: bool) -> Vec<(u64, String)> {
        let mut rows = Vec::new();
        table.visit_rows(text.as_bytes(), is_first, |row| {
            let json = row
                .json
                .map_or_else(|error| error.to_string(), str::to_owned);
            rows.push((row.line, json));
        });
        rows
    }

    #[test]
    fn a_2_rows_become_objects_whatever_is_quoted() {
        let text = "\u{feff}A,\"B \"\"x\"\"\"\n1,\"two\nlines, \"\"q\"\"\"\n\n,3\n4\n";
        let table = table(text).unwrap();
        assert_eq!(
            rows(&table, text, true)[..2],
            [
                (2, r#"{"A":"1","B \"x\"":"two\nlines, \"q\""}"#.to_owned()),
                (5, r#"{"B \"x\"":"3"}"#.to_owned()),
            ]
        );
        assert!(
            rows(&table, text, true)[2]
                .1
                .contains("has 1 cells, but there are 2 columns")
        );
    }

    #[test]
    fn a_2_a_block_ends_with_a_row() {
        let table = table("a,b\n").unwrap();
        for (text, end) in [
            ("1,2\n3,4\n5", Some(8)),
            ("1,\"2\n3\",4", None),
            ("1,2\n\"3\n,4", Some(4)),
            ("1,\"\"\n", Some(5)),
            ("", None),
        ] {
            assert_eq!(table.end_of_rows(text.as_bytes()), end, "{text:?}");
        }
    }

    #[test]
    fn a_2_json_is_no_table_and_snowplow_needs_no_header() {
        assert!(table("{\"a\":1,\"b\":2}\n").is_none());
        assert!(table(" [{},\n").is_none());
        assert!(table("text\n").is_none());
        let snowplow = "web\t".repeat(ATOMIC_COLUMNS.len() - 1) + "x\"\n";
        let atomic = table(&snowplow).unwrap();
        let row = &rows(&atomic, &snowplow, true)[0].1;
        assert!(
            row.starts_with("{\"app_id\":\"web\"") && row.ends_with("\"true_tstamp\":\"x\\\"\"}")
        );
        let upper = table("USER_ID,EVENT_TYPE\n").unwrap();
        assert_eq!(upper.columns(), r#"{"user_id":null,"event_type":null}"#);
    }
}
