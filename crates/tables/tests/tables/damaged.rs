//! A file that is damaged or cut off is an error, and nothing panics or takes memory for what is not there.

use std::io::{self, Read};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field};
use idmerge_tables::{GroupsWriter, Rows, Shape, TableFile};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::files::{column, file_with};

/// A file with two row groups and columns of several kinds.
fn small_file(compression: Compression) -> Vec<u8> {
    let mut ids = ListBuilder::new(StringBuilder::new());
    for row in 0..4 {
        if row % 2 == 0 {
            ids.values().append_value("a");
            ids.values().append_value("b");
        }
        ids.append(row % 2 == 0);
    }
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("plan", DataType::Utf8, true)),
        column(StringArray::from(vec![
            Some("x"),
            None,
            Some("y"),
            Some("y"),
        ])),
    )]);
    let columns = vec![
        ("event", column(StringArray::from(vec!["A", "B", "A", "B"]))),
        (
            "$user_id",
            column(StringArray::from(vec![Some("u1"), None, Some("u2"), None])),
        ),
        ("n", column(Int64Array::from(vec![1, 2, 3, i64::MAX]))),
        (
            "time",
            column(TimestampMicrosecondArray::from(vec![
                1_000, 2_000, 3_000, 4_000,
            ])),
        ),
        ("$distinct_ids", column(ids.finish())),
        ("nested", column(nested)),
    ];
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .set_compression(compression)
        .build();
    file_with(columns, properties)
}

fn read(file: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    Rows::new(io::Cursor::new(file), &Shape::Events(Vec::new()))?.read_to_end(&mut lines)?;
    Ok(lines)
}

/// The same rows, read and written by row groups.
fn copied(file: Vec<u8>) -> io::Result<Vec<u8>> {
    let bytes = || io::Cursor::new(file.clone());
    let table = TableFile::open(bytes())?;
    let mut writer = GroupsWriter::new(table.schema(), Vec::new())?;
    let encoder = writer.encoder();
    for group in 0..table.group_rows().count() {
        let mut copy = encoder.group()?;
        for batch in table.batches(bytes(), group, None)? {
            copy.write(&batch?)?;
        }
        writer.append(copy)?;
    }
    writer.finish()
}

#[test]
fn row_groups_are_copied_as_they_are() {
    let file = small_file(Compression::UNCOMPRESSED);
    let copy = copied(file.clone()).unwrap();
    assert_eq!(read(copy.clone()).unwrap(), read(file.clone()).unwrap());
    let bytes = io::Cursor::new(copy.clone());
    let [file, copy] = [file, copy].map(|file| TableFile::open(io::Cursor::new(file)).unwrap());
    let rows = |file: &TableFile| file.group_rows().collect::<Vec<_>>();
    assert_eq!((rows(&copy), rows(&file)), (vec![2, 2], vec![2, 2]));
    assert_eq!(copy.schema(), file.schema());
    // The second group alone, and two of its columns.
    let mut batches = copy.batches(bytes, 1, Some(&[1, 2])).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.schema().field(0).name(), "$user_id");
    assert_eq!(
        batch["n"].as_primitive::<Int64Type>().values()[..],
        [3, i64::MAX]
    );
    assert!(batches.next().is_none());
    // What the file says about its columns without being read.
    assert!(!copy.is_null(&["nested", "plan"]) && !copy.is_null(&["$user_id"]));
    assert!(copy.is_null(&["nested", "other"]) && copy.is_null(&["other"]));
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_an_error() {
    let file = small_file(Compression::SNAPPY);
    assert_eq!(
        read(file.clone())
            .unwrap()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
        4
    );
    for bytes in 0..file.len() {
        for read in [read, copied] {
            let error = read(file[..bytes].to_vec()).unwrap_err();
            assert!(error.to_string().contains("Parquet"), "{bytes}: {error}");
        }
    }
}

#[test]
fn a_byte_that_is_changed_anywhere_breaks_nothing() {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let mut errors = 0;
    for (number, compression) in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd]
        .into_iter()
        .enumerate()
    {
        let file = small_file(compression);
        for at in 0..file.len() {
            let mut file = file.clone();
            file[at] ^= [0x01, 0x10, 0x80, 0xff][(at + number) % 4];
            // Pages have no checksums here: a changed byte can be another value.
            for read in [read, copied] {
                if let Err(error) = read(file.clone()) {
                    let error = error.to_string();
                    let is_named = error.contains("Parquet") || error.contains("column");
                    assert!(is_named, "{at}: {error}");
                    errors += 1;
                }
            }
        }
    }
    assert!(errors > 2000, "{errors}");
}
