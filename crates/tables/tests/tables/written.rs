//! Files that are written.

use std::io;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::DataType;
use idmerge_tables::{Column, Shape, TableWriter};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;

const COLUMNS: [Column<'static>; 4] = [
    Column::text("id"),
    Column::boolean("is_new"),
    Column::integer("sequence"),
    Column::text_list("members"),
];

fn written(rows: &[[Option<&str>; 4]]) -> Vec<u8> {
    let mut writer = TableWriter::new(&COLUMNS, Vec::new()).unwrap();
    for row in rows {
        writer.row(row).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn cells_become_values_and_null_stays_null() {
    let odd = "$device:\u{1f600}Aa";
    let file = written(&[
        [
            Some(odd),
            Some("true"),
            Some("-9223372036854775808"),
            Some("[\"a\",\"\\u0062\"]"),
        ],
        [None, None, None, None],
        [Some(""), Some("false"), Some("7"), Some("[]")],
    ]);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file.clone())).unwrap();
    // Not a view: some readers cannot sort these.
    assert_eq!(builder.schema().field(0).data_type(), &DataType::Utf8);
    assert!(matches!(
        builder.metadata().row_group(0).column(0).compression(),
        Compression::ZSTD(_)
    ));
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    let sequences = batch.column(2).as_primitive::<Int64Type>();
    assert_eq!(
        sequences.iter().collect::<Vec<_>>(),
        [Some(i64::MIN), None, Some(7)]
    );
    assert_eq!(
        crate::files::lines(file, &Shape::Records(Vec::new())).unwrap(),
        format!(
            "{{\"id\":\"{odd}\",\"is_new\":true,\"sequence\":-9223372036854775808,\"members\":[\"a\",\"b\"]}}\n\
             {{}}\n\
             {{\"id\":\"\",\"is_new\":false,\"sequence\":7,\"members\":[]}}\n"
        )
    );
}

#[test]
fn no_rows_are_a_file_too() {
    assert_eq!(
        crate::files::lines(written(&[]), &Shape::Records(Vec::new())).unwrap(),
        ""
    );
}

#[test]
fn a_cell_of_another_type_and_a_disk_that_is_full_are_errors() {
    let mut writer = TableWriter::new(&COLUMNS, Vec::new()).unwrap();
    assert!(writer.row(&[None, None, Some("x"), None]).is_err());
    assert!(writer.row(&[None]).is_err());

    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = TableWriter::new(&COLUMNS, Full(100)).unwrap();
    writer.row(&[Some("a"), None, None, None]).unwrap();
    assert_eq!(
        writer.finish().map(drop).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
}
