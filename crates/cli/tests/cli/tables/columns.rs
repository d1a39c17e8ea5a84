//! From Parquet to Parquet all columns are kept, and the answers are those of NDJSON.

use std::fs;
use std::io::Cursor;

use idmerge_tables::{Column, GroupsWriter, TableFile, TableWriter};
use serde_json::Value;

use super::parquet::{MODELS, events, flat_file, nested_file, rows};
use crate::run::Folder;

/// What `resolve` says about an event.
const ANSWERS: [&str; 6] = [
    "distinct_id",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$identity_failure_reason",
    "$failure_reason",
    "$failure_description",
];

/// The same rows in row groups of `rows` rows.
fn in_groups(file: Vec<u8>, rows: usize) -> Vec<u8> {
    let bytes = Cursor::new(file);
    let file = TableFile::open(bytes.clone()).unwrap();
    let mut writer = GroupsWriter::new(file.schema(), Vec::new()).unwrap();
    let encoder = writer.encoder();
    for batch in file.batches(bytes, 0, None).unwrap() {
        let batch = batch.unwrap();
        for start in (0..batch.num_rows()).step_by(rows) {
            let mut group = encoder.group().unwrap();
            let length = rows.min(batch.num_rows() - start);
            group.write(&batch.slice(start, length)).unwrap();
            writer.append(group).unwrap();
        }
    }
    writer.finish().unwrap()
}

/// The answers to each event, without those that are null or empty (W-7).
fn answers(lines: &str, answer: impl Fn(&Value, &str) -> Value) -> Vec<Vec<(String, Value)>> {
    let of_line = |line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let answers = ANSWERS.map(|name| (name.to_owned(), answer(&line, name)));
        let given = answers
            .into_iter()
            .filter(|(_, answer)| !answer.is_null() && *answer != "");
        given.collect()
    };
    lines.lines().map(of_line).collect()
}

fn of_ndjson(folder: &Folder, file: &str) -> Vec<Vec<(String, Value)>> {
    answers(&folder.read(file), |line, name| {
        line["properties"][name].clone()
    })
}

fn of_parquet(folder: &Folder, file: &str) -> Vec<Vec<(String, Value)>> {
    answers(&rows(folder, file), |row, name| row[name].clone())
}

#[test]
fn w_1_to_4_the_answers_are_those_of_ndjson_in_each_model() {
    let folder = Folder::new();
    let generated = |workload: &str| {
        let seed = format!("generate --workload {workload} --events 4000 --seed 7 -q");
        folder.run(&seed).ok()
    };
    let streams = [
        events(),
        generated("identify"),
        generated("shared-device"),
        generated("cap"),
    ];
    for (number, stream) in streams.iter().enumerate() {
        folder.write("in.ndjson", stream);
        folder.write(
            "flat.parquet",
            in_groups(flat_file(stream), 7 + 90 * number),
        );
        folder.write("nested.parquet", in_groups(nested_file(stream), 300));
        for model in MODELS {
            let resolve = |input: &str, output: &str| {
                let summary = "--summary json --max-refused 1000";
                let run = format!("resolve {input} --engine {model} {summary} -o {output}");
                folder.run(&run).code(0).stderr
            };
            let summary = resolve("in.ndjson", "wanted");
            let wanted = of_ndjson(&folder, "wanted");
            assert!(wanted.len() > 15, "{}", wanted.len());
            for input in ["flat.parquet", "nested.parquet"] {
                assert_eq!(resolve(input, "out.parquet"), summary, "{input}, {model}");
                assert_eq!(
                    of_parquet(&folder, "out.parquet"),
                    wanted,
                    "{input}, {model}"
                );
            }
        }
    }
}

/// A batch has at most 16,384 rows.
#[test]
fn a_large_row_group_is_read_in_several_batches() {
    let folder = Folder::new();
    let generate = "generate --workload identify --events 40000 --seed 9 -q";
    let stream = folder.run(generate).ok();
    folder.write("in.ndjson", &stream);
    folder.write("in.parquet", flat_file(&stream));
    for model in MODELS {
        let run = |files: &str| {
            folder
                .run(&format!("resolve {files} --engine {model} -q"))
                .ok()
        };
        run("in.ndjson -o wanted");
        run("in.parquet -o out.parquet");
        let is_equal = of_parquet(&folder, "out.parquet") == of_ndjson(&folder, "wanted");
        assert!(is_equal, "{model}");
    }
}

#[test]
fn several_files_are_one_stream() {
    let (folder, stream) = (Folder::new(), events());
    let (first, rest) = stream.split_at(stream.find("Log In").unwrap() + 300);
    let middle = first.len() + rest.find('\n').unwrap() + 1;
    let parts = [&stream[..middle], &stream[middle..]];
    for (name, part) in ["a.parquet", "b.parquet"].into_iter().zip(parts) {
        folder.write(name, in_groups(flat_file(part), 2));
    }
    folder.write("in.ndjson", &stream);
    for model in MODELS {
        let run = |what: &str| {
            folder
                .run(&format!("resolve {what} --engine {model} -q"))
                .ok()
        };
        run("in.ndjson -o wanted");
        run("a.parquet b.parquet -o out.parquet");
        let wanted = of_ndjson(&folder, "wanted");
        assert_eq!(of_parquet(&folder, "out.parquet"), wanted, "{model}");
    }
}

#[cfg(unix)]
#[test]
fn there_can_be_more_files_than_open_ones() {
    let folder = Folder::new();
    for number in 100..200 {
        folder.write(&format!("in-{number}.parquet"), flat_file(&events()));
    }
    let resolve = "idmerge resolve in-* -q --engine simplified -o out.parquet";
    folder.shell(&format!("ulimit -n 40; {resolve}")).ok();
    let wanted = 100 * events().lines().count();
    assert_eq!(of_parquet(&folder, "out.parquet").len(), wanted);
}

#[test]
fn columns_keep_their_names_their_types_and_their_order() {
    let columns = [
        Column::text("$device_id"),
        Column::integer("price"),
        Column::text_list("tags"),
        Column::text("distinct_id"),
        Column::text("event"),
        Column::boolean("is_new"),
        Column::text("$preshuffle_distinct_id"),
    ];
    let mut writer = TableWriter::new(&columns, Vec::new()).unwrap();
    let cells = [
        Some("D1"),
        Some("-7"),
        Some(r#"["a","b"]"#),
        Some("U1"),
        Some("Buy"),
        Some("true"),
        Some("$device:D1"),
    ];
    writer.row(&cells).unwrap();
    let folder = Folder::new();
    folder.write("in.parquet", writer.finish().unwrap());
    folder
        .run("resolve in.parquet --engine original -q -o out.parquet")
        .ok();
    let file = TableFile::open(Cursor::new(fs::read(folder.path("out.parquet")).unwrap())).unwrap();
    let fields = file.schema().fields().iter();
    let described: Vec<_> = fields
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect();
    // The ID before a merge goes (IN-5), and the answers that the file had not come last.
    let wanted = [
        "$device_id Utf8",
        "price Int64",
        "tags List(Utf8)",
        "distinct_id Utf8",
        "event Utf8",
        "is_new Boolean",
        "$distinct_id_before_identity Utf8",
        "$is_reshuffled Boolean",
        "$identity_failure_reason Utf8",
        "$failure_reason Utf8",
        "$failure_description Utf8",
    ];
    assert_eq!(described, wanted);
    let row = rows(&folder, "out.parquet");
    let row: Value = serde_json::from_str(row.trim()).unwrap();
    let wanted = r#"{"$device_id":"D1","price":-7,"tags":["a","b"],"distinct_id":"U1","event":"Buy","is_new":true}"#;
    assert_eq!(row, serde_json::from_str::<Value>(wanted).unwrap());
}

#[test]
fn refused_rows_are_left_out_and_written_as_those_of_ndjson() {
    let columns = [
        Column::text("event"),
        Column::text("distinct_id"),
        Column::text("note"),
    ];
    let mut writer = TableWriter::new(&columns, Vec::new()).unwrap();
    let mut lines = String::new();
    for row in 0..40 {
        let (id, event) = match row % 4 {
            0 => (Some("null"), Some("B")),
            1 => (Some("U1"), None),
            2 => (None, Some("C")),
            _ => (Some("U2"), Some("D")),
        };
        let note = format!("row {row}");
        writer.row(&[event, id, Some(&note)]).unwrap();
        let event = event.map_or(String::new(), |event| format!("\"event\":\"{event}\","));
        let id = id.map_or(String::new(), |id| format!("\"distinct_id\":\"{id}\","));
        lines += &format!("{{{event}\"properties\":{{{id}\"note\":\"{note}\"}}}}\n");
    }
    let folder = Folder::with(&[("in", &lines)]);
    fs::create_dir(folder.path("table")).unwrap();
    folder.write("table/in", in_groups(writer.finish().unwrap(), 6));
    for model in MODELS {
        let run = |input: &str, output: &str| {
            let outputs = format!("-o {output} --refused refused --summary json -q");
            let done = folder.run(&format!("resolve {input} --engine {model} {outputs}"));
            (done.code(0).stderr, folder.read("refused"))
        };
        let (summary, refused) = run("in", "wanted");
        let (summary_of_table, refused_of_table) = run("table/in", "out.parquet");
        assert_eq!(summary_of_table.replace("table/in", "in"), summary);
        assert_eq!(refused_of_table.replace("table/in", "in"), refused);
        assert_eq!(refused.lines().count(), 20);
        assert_eq!(
            of_parquet(&folder, "out.parquet"),
            of_ndjson(&folder, "wanted")
        );
        let kept: Vec<_> = rows(&folder, "out.parquet").lines().map(note).collect();
        let wanted = (0..40).filter(|row| row % 4 > 1);
        assert_eq!(
            kept,
            wanted.map(|row| format!("row {row}")).collect::<Vec<_>>()
        );

        fs::remove_file(folder.path("out.parquet")).unwrap();
        let strict = format!("resolve table/in --engine {model} -o out.parquet --strict");
        folder
            .run(&strict)
            .code(1)
            .says("20 lines were refused, so nothing was written");
        assert!(!folder.path("out.parquet").exists());
    }
}

fn note(row: &str) -> String {
    serde_json::from_str::<Value>(row).unwrap()["note"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn in_6_a_table_without_a_usable_event_is_an_error_as_its_lines_are() {
    let columns = [Column::text("event"), Column::text("distinct_id")];
    let mut writer = TableWriter::new(&columns, Vec::new()).unwrap();
    writer.row(&[Some("A"), Some("null")]).unwrap();
    let folder = Folder::with(&[("out.parquet", "as it was")]);
    folder.write("in.parquet", writer.finish().unwrap());
    for model in MODELS {
        let run = |output: &str| {
            let run = format!("resolve in.parquet --engine {model} -q -o {output}");
            folder.run(&run).code(1).stderr
        };
        let error = run("out.parquet");
        assert_eq!(error, run("out"));
        assert!(
            error.contains("in.parquet: none of its events can be used (IN-6)"),
            "{error}"
        );
        assert_eq!(folder.read("out.parquet"), "as it was");
    }
}

#[test]
fn what_needs_lines_has_the_columns_of_lines() {
    let folder = Folder::new();
    folder.write("in.parquet", flat_file(&events()));
    let has_properties = |options: &str| {
        folder
            .run(&format!(
                "resolve in.parquet --engine original -q -o out.parquet {options}"
            ))
            .ok();
        let file = fs::read(folder.path("out.parquet")).unwrap();
        let file = TableFile::open(Cursor::new(file)).unwrap();
        file.schema().column_with_name("properties").is_some()
    };
    assert!(!has_properties(""));
    assert!(has_properties("--conflicts cases"));
    assert!(has_properties("--dedup"));
    folder.write("mapping.csv", "distinct_id,resolved_distinct_id\n");
    assert!(has_properties("--mapping mapping.csv"));
}
