//! Inputs that are tables: CSV, or TSV without quotation marks.

use std::ops::Range;

use csv::{ByteRecord, ReaderBuilder};
use idmerge_adapters::{ATOMIC_COLUMNS, Cell, Refusal};

use crate::stream::adapt::rows::{Place, UsualRows};
use crate::stream::forms::text::BYTE_ORDER_MARK;

/// How the tables among the inputs are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables {
    /// Whether names of columns stay as they are. Otherwise names that are all in upper case, as Snowflake
    /// writes them, are read in lower case.
    pub(crate) keep_case: bool,
    /// Whether the arguments say which product wrote the rows.
    pub(crate) is_named: bool,
}

/// An input that is a table.
#[derive(Debug)]
pub(crate) struct Table {
    separator: u8,
    columns: Vec<Column>,
    has_header: bool,
    is_named: bool,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// The name as JSON.
    json: String,
}

/// A row of a table.
pub(crate) struct Row<'r> {
    /// The number of the line in the block on which it begins, counted from 1.
    pub(crate) line: u64,
    pub(crate) bytes: Range<usize>,
    /// One cell for each column.
    pub(crate) cells: Result<&'r [Cell<'r>], Refusal>,
}

/// A record of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'r> {
    Json(&'r str),
    /// A row of a table, which has a cell for each column.
    Row(&'r Table, &'r [Cell<'r>]),
}

impl Record<'_> {
    /// The record as a JSON object. `object` is memory for it.
    pub(crate) fn json<'j>(&'j self, object: &'j mut Vec<u8>) -> &'j str {
        match self {
            Self::Json(json) => json,
            Self::Row(table, cells) => table.object(cells, object),
        }
    }
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
                columns: ATOMIC_COLUMNS.iter().copied().map(Column::of).collect(),
                has_header: false,
                is_named: self.is_named,
            });
        }
        let is_upper = !first.iter().any(u8::is_ascii_lowercase);
        let name = |cell: &[u8]| {
            let name = String::from_utf8_lossy(cell).trim().to_owned();
            Column::of(&match is_upper && !self.keep_case {
                true => name.to_ascii_lowercase(),
                false => name,
            })
        };
        Some(Table {
            separator,
            columns: row.iter().map(name).collect(),
            has_header: true,
            is_named: self.is_named,
        })
    }
}

impl Column {
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            json: serde_json::Value::from(name).to_string(),
        }
    }
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
            .map(|column| format!("{}:null", column.json))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// Whether the arguments say which product wrote the rows.
    pub(crate) fn is_named(&self) -> bool {
        self.is_named
    }

    /// The name of each column.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| &*column.name)
    }

    /// Where the last row of a text ends that has its line feed: one outside of quotation marks.
    pub(crate) fn end_of_rows(&self, text: &[u8]) -> Option<usize> {
        if self.separator == b'\t' {
            return memchr::memrchr(b'\n', text).map(|end| end + 1);
        }
        // Counting is a fraction of the work of looking at each of them.
        let mut is_quoted = memchr::memchr_iter(b'"', text).count() % 2 == 1;
        for at in memchr::memrchr2_iter(b'\n', b'"', text) {
            match text[at] {
                b'"' => is_quoted = !is_quoted,
                _ if !is_quoted => return Some(at + 1),
                _ => {}
            }
        }
        None
    }

    /// Visits the rows of a block, which has the header if it is the first one.
    pub(crate) fn visit_rows(&self, text: &[u8], is_first: bool, mut visit: impl FnMut(Row<'_>)) {
        let is_header = is_first && self.has_header;
        let place = Place { at: 0, line: 1 };
        let rest = match (str::from_utf8(text), self.separator) {
            // The reader of CSV leaves it out.
            _ if text.starts_with(BYTE_ORDER_MARK) => (place, is_header),
            (Err(_), _) => (place, is_header),
            (Ok(text), b',') => self.visit_usual::<b','>(text, is_header, &mut visit),
            (Ok(text), b';') => self.visit_usual::<b';'>(text, is_header, &mut visit),
            (Ok(text), _) => self.visit_usual::<b'\t'>(text, is_header, &mut visit),
        };
        let (mut place, is_header) = rest;
        if text[place.at..].starts_with(BYTE_ORDER_MARK) && place.at > 0 {
            // Within a text it belongs to a cell. The reader leaves it out where it begins, so it begins with the
            // line feed before.
            place.at -= 1;
            place.line -= 1;
        }
        if place.at < text.len() {
            self.visit_any(text, (place, is_header), &mut visit);
        }
    }

    /// Visits the rows up to one of an unusual form. Returns where that begins, and whether it is the header.
    fn visit_usual<const SEPARATOR: u8>(
        &self,
        text: &str,
        mut is_header: bool,
        visit: &mut impl FnMut(Row<'_>),
    ) -> (Place, bool) {
        let mut rows = UsualRows::<SEPARATOR>::new(text);
        let mut cells = Vec::with_capacity(self.columns.len());
        loop {
            let before = rows.place();
            cells.clear();
            let cut = rows.cut(|cell| {
                if cells.len() < self.columns.len() {
                    cells.push(cell);
                }
            });
            let Some(row) = cut else {
                return (before, is_header);
            };
            if std::mem::take(&mut is_header) {
                continue;
            }
            let (line, bytes) = (row.line, row.bytes);
            let cells = self.checked(&cells, row.cells);
            visit(Row { line, bytes, cells });
        }
    }

    /// Visits the rows of any form, from one place on.
    fn visit_any(
        &self,
        text: &[u8],
        (from, mut is_header): (Place, bool),
        visit: &mut impl FnMut(Row<'_>),
    ) {
        let mut reader = reader_of(self.separator, &text[from.at..]);
        let mut row = ByteRecord::new();
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
            let at = |byte: u64| {
                let at = usize::try_from(byte).unwrap_or(text.len());
                at.saturating_add(from.at).min(text.len())
            };
            let (mut start, end) = (at(position.byte()), at(reader.position().byte()));
            // The reader passes over blank lines, but begins the row with them.
            let is_break = |byte: &&u8| matches!(byte, b'\n' | b'\r');
            let blank = text[start..end].iter().take_while(is_break).count();
            let breaks = memchr::memchr_iter(b'\n', &text[start..start + blank]).count();
            start += blank;
            let cells = self.cells(&row);
            visit(Row {
                line: from.line - 1 + position.line() + breaks as u64,
                bytes: start..end,
                cells: cells.as_deref().map_err(Refusal::clone),
            });
        }
    }

    /// The cells of a row, if there is one for each column.
    fn checked<'r>(&self, cells: &'r [Cell<'r>], count: usize) -> Result<&'r [Cell<'r>], Refusal> {
        match count == self.columns.len() {
            true => Ok(cells),
            false => Err(self.wrong_cells(count)),
        }
    }

    /// The cells of a row that a reader of any CSV has read.
    fn cells<'r>(&self, row: &'r ByteRecord) -> Result<Vec<Cell<'r>>, Refusal> {
        if row.len() != self.columns.len() {
            return Err(self.wrong_cells(row.len()));
        }
        let columns = self.columns.iter().zip(row);
        let cells = columns.map(|(column, cell)| match str::from_utf8(cell) {
            Ok(cell) => Ok(Cell::Other(cell)),
            Err(_) => {
                let error = format!("the cell of {} is not UTF-8 (IN-1)", column.json);
                Err(Refusal::with_text("IN-1", error))
            }
        });
        cells.collect()
    }

    /// A row as a JSON object. A cell that is empty is left out.
    fn object<'o>(&self, cells: &[Cell<'_>], object: &'o mut Vec<u8>) -> &'o str {
        object.clear();
        object.push(b'{');
        for (column, cell) in self.columns.iter().zip(cells) {
            if cell.is_empty() {
                continue;
            }
            if object.len() > 1 {
                object.push(b',');
            }
            object.extend_from_slice(column.json.as_bytes());
            object.push(b':');
            cell.write_json(object);
        }
        object.push(b'}');
        str::from_utf8(object).unwrap_or_default()
    }

    fn wrong_cells(&self, cells: usize) -> Refusal {
        let error = format!(
            "the row has {cells} cells, but there are {} columns; quote a cell that has the separator or a \
             line break in it (A-2)",
            self.columns.len()
        );
        Refusal::with_text("A-2", error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(head: &str) -> Option<Table> {
        Tables {
            keep_case: false,
            is_named: false,
        }
        .table(head.as_bytes())
    }

    fn rows(table: &Table, text: &str, is_first: bool) -> Vec<(u64, String)> {
        let (mut rows, mut object) = (Vec::new(), Vec::new());
        table.visit_rows(text.as_bytes(), is_first, |row| {
            let json = row.cells.map_or_else(
                |error| error.to_string(),
                |cells| table.object(cells, &mut object).to_owned(),
            );
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

    /// The text of a cell, which is the same in JSON.
    fn said(cell: &Cell<'_>) -> String {
        let mut json = Vec::new();
        cell.write_json(&mut json);
        let said: String = serde_json::from_slice(&json).unwrap();
        match cell.text() {
            Some(text) => assert_eq!(text, said),
            None => assert!(said.contains('"')),
        }
        assert_eq!(cell.is_empty(), said.is_empty());
        said
    }

    /// What a visit says of each row.
    fn visited(visit: impl FnOnce(&mut dyn FnMut(Row<'_>)), text: &[u8]) -> Vec<String> {
        let mut rows = Vec::new();
        visit(&mut |row| {
            let bytes = text[row.bytes].trim_ascii_end();
            let cells = row.cells.map_err(|error| error.to_string());
            let cells = cells.map(|cells| cells.iter().map(said).collect::<Vec<_>>());
            rows.push(format!("{} {bytes:?} {cells:?}", row.line));
        });
        rows
    }

    const PIECES: &[&[u8]] = &[
        b"a",
        b"bc",
        b"\xc3\xbc",
        b"\"",
        b"\"\"",
        b"\"x\"",
        b"\"y,z\"",
        b"\"u\nv\"",
        b"\"w\"\"\"",
        b"\\",
        b"\x01",
        b",",
        b",",
        b",",
        b";",
        b"\t",
        b"\t",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\xef\xbb\xbf",
        b"\xff",
        b"a long text without anything that is special to anybody",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn a_2_rows_are_cut_as_a_reader_of_any_csv_cuts_them(
            pieces in prop::collection::vec(
                prop::sample::select(PIECES),
                0..40,
            ),
            separator in prop::sample::select(&b",;\t"[..]),
            is_first: bool,
        ) {
            let text = pieces.concat();
            let columns = ["a", "b\n"].map(Column::of).into();
            let table = Table { separator, columns, has_header: true, is_named: true };
            let usual = visited(|visit| table.visit_rows(&text, is_first, visit), &text);
            let from = (Place { at: 0, line: 1 }, is_first);
            let any = visited(|mut visit| table.visit_any(&text, from, &mut visit), &text);
            prop_assert_eq!(usual, any);
        }

        #[test]
        fn a_2_the_last_row_ends_where_quotation_marks_are_closed(text in "[\n\"a,]{0,30}") {
            let table = table("a,b\n").unwrap();
            let (mut is_quoted, mut end) = (false, None);
            for (at, byte) in text.bytes().enumerate() {
                match byte {
                    b'"' => is_quoted = !is_quoted,
                    b'\n' if !is_quoted => end = Some(at + 1),
                    _ => {}
                }
            }
            prop_assert_eq!(table.end_of_rows(text.as_bytes()), end);
        }
    }
}
