//! Parquet gives what NDJSON gives.

use std::collections::BTreeMap;
use std::fs;

use idmerge_tables::{Column, TableWriter};

use crate::run::Folder;

pub(super) const MODELS: [&str; 3] = ["simplified", "original", "legacy"];

const UUID: &str = "4f1b0a5e-9a6b-4c3d-8e2f-0123456789ab";

/// Events with odd IDs, which link in each model.
pub(super) fn events() -> String {
    let long = "x".repeat(255);
    let links = [
        ("D1", "U1"),
        ("d1", "u1"),
        ("\u{1f600}", "\u{1f468}\u{200d}\u{1f469}"),
        (&long, "a \\\"b\\\", 'c'"),
        (UUID, "9007199254740993"),
        ("18446744073709551615", " space"),
    ];
    let mut lines = Vec::new();
    for (device, user) in links {
        lines.push(format!(
            r#"{{"event":"View","properties":{{"distinct_id":"$device:{device}"}}}}"#
        ));
        lines.push(format!(
            r#"{{"event":"Log In","properties":{{"$device_id":"{device}","$user_id":"{user}"}}}}"#
        ));
        lines.push(format!(
            r#"{{"event":"$create_alias","properties":{{"distinct_id":"{user}","alias":"{device}"}}}}"#
        ));
    }
    lines.push(format!(
        r#"{{"event":"$identify","properties":{{"distinct_id":"U1","$anon_id":"{UUID}"}}}}"#
    ));
    lines.push(
        r#"{"event":"$merge","properties":{"$distinct_ids":["U1","u1"],"distinct_id":"U1"}}"#
            .to_owned(),
    );
    lines.join("\n") + "\n"
}

fn properties(line: &str) -> (String, BTreeMap<String, String>) {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    let members = event["properties"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), value)
        });
    (
        event["event"].as_str().unwrap().to_owned(),
        members.collect(),
    )
}

/// A file with a column for each property.
pub(super) fn flat_file(lines: &str) -> Vec<u8> {
    let names = [
        "distinct_id",
        "$device_id",
        "$user_id",
        "alias",
        "$anon_id",
        "$anon_distinct_id",
        "$distinct_ids",
        "$identified_id",
        "$insert_id",
    ];
    let mut columns = vec![Column::text("event")];
    columns.extend(names.map(|name| match name {
        "$distinct_ids" => Column::text_list(name),
        name => Column::text(name),
    }));
    let mut writer = TableWriter::new(&columns, Vec::new()).unwrap();
    for line in lines.lines() {
        let (event, properties) = properties(line);
        let mut cells = vec![Some(event.as_str())];
        cells.extend(names.map(|name| properties.get(name).map(String::as_str)));
        writer.row(&cells).unwrap();
    }
    writer.finish().unwrap()
}

/// A file with the properties as JSON.
pub(super) fn nested_file(lines: &str) -> Vec<u8> {
    let columns = [Column::text("event"), Column::text("properties")];
    let mut writer = TableWriter::new(&columns, Vec::new()).unwrap();
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let properties = serde_json::to_string_pretty(&event["properties"]).unwrap();
        writer
            .row(&[event["event"].as_str(), Some(&properties)])
            .unwrap();
    }
    writer.finish().unwrap()
}

fn folder() -> Folder {
    let events = events();
    let folder = Folder::with(&[("in.ndjson", &events)]);
    folder.write("flat.parquet", flat_file(&events));
    folder.write("nested", nested_file(&events));
    folder
}

#[test]
fn the_same_events_give_the_same_mapping_in_each_model() {
    let folder = folder();
    for model in MODELS {
        let mapping = |input| {
            folder
                .run(&format!("mappings {input} --engine {model} -q"))
                .ok()
        };
        let wanted = mapping("in.ndjson");
        assert!(wanted.lines().count() >= 6, "{wanted}");
        assert_eq!(mapping("flat.parquet"), wanted);
        assert_eq!(mapping("nested"), wanted);
        let piped = fs::read(folder.path("nested")).unwrap();
        assert_eq!(
            folder
                .pipe(piped, &format!("mappings - --engine {model} -q"))
                .ok(),
            wanted
        );
    }
}

#[test]
fn w_1_resolved_parquet_has_the_ids_of_resolved_ndjson() {
    let folder = folder();
    for model in MODELS {
        let ids = |input: &str, output: &str| {
            folder
                .run(&format!("resolve {input} --engine {model} -q -o {output}"))
                .ok();
            let answer = match output.ends_with(".parquet") {
                // Resolving twice changes nothing (AR-4).
                true => folder
                    .run(&format!("resolve {output} --engine {model} -q"))
                    .ok(),
                false => folder.read(output),
            };
            let id = |line| properties(line).1.remove("distinct_id").unwrap();
            answer.lines().map(id).collect::<Vec<_>>()
        };
        let wanted = ids("in.ndjson", "out");
        assert_eq!(ids("flat.parquet", "out"), wanted, "{model}");
        if model != "legacy" {
            assert_eq!(ids("in.ndjson", "out.parquet"), wanted, "{model}");
            assert_eq!(ids("nested", "out.parquet"), wanted, "{model}");
        }
    }
}

#[test]
fn a_8_columns_are_named_as_those_of_csv_are() {
    let rows = [
        ["c1", "ada@x", "Open"],
        ["c1", "", "Buy"],
        ["c2", "ada@x", "Buy"],
    ];
    let csv = rows.map(|row| row.join(",") + "\n").concat();
    let folder = Folder::with(&[("in.csv", &format!("cookie,email,what\n{csv}"))]);
    let columns = ["cookie", "email", "what"].map(Column::text);
    let mut writer = TableWriter::new(&columns, Vec::new()).unwrap();
    for row in rows {
        writer
            .row(&row.map(|cell| (!cell.is_empty()).then_some(cell)))
            .unwrap();
    }
    folder.write("in.parquet", writer.finish().unwrap());
    for model in MODELS {
        let args =
            format!("--from csv --map user=email,device=cookie,event=what --engine {model} -q");
        let of_csv = folder.run(&format!("resolve in.csv {args}")).ok();
        assert_eq!(of_csv.lines().count(), 3);
        assert_eq!(
            folder.run(&format!("resolve in.parquet {args}")).ok(),
            of_csv
        );
    }
    let args = "--from csv --map user=mail,device=cookie --engine simplified";
    let done = folder.run(&format!("resolve in.parquet {args} -o out"));
    done.code(1)
        .says("cannot read in.parquet")
        .says("no column mail. There are cookie, email, what");
    for (map, said) in [
        ("user=email,event=What", "did you mean event=what?"),
        (
            "user=email,event=what,time=at",
            "which --map names for time",
        ),
    ] {
        let args = format!("resolve in.parquet --from csv --map {map} --engine simplified -o out");
        folder
            .run(&args)
            .code(1)
            .says("cannot read in.parquet")
            .says(said);
    }
}

#[test]
fn clusters_mappings_and_changes_are_written_and_read() {
    let folder = folder();
    for (command, file) in [("clusters", "c.parquet"), ("mappings", "m.parquet")] {
        let lines = folder
            .run(&format!("{command} in.ndjson --engine original -q"))
            .ok();
        folder
            .run(&format!(
                "{command} in.ndjson --engine original -q -o {file}"
            ))
            .ok();
        assert_eq!(rows(&folder, file), lines);
    }
    // A table of who is who.
    let views = r#"{"event":"View","properties":{"$device_id":"U1"}}"#;
    folder.write("views", views);
    for mapping in ["m.parquet", "m.csv"] {
        folder
            .run(&format!(
                "mappings in.ndjson --engine original -q -o {mapping}"
            ))
            .ok();
    }
    let resolved = |mapping| {
        folder
            .run(&format!(
                "resolve views --engine original -q --mapping {mapping}"
            ))
            .ok()
    };
    assert_eq!(resolved("m.parquet"), resolved("m.csv"));
}

#[cfg(feature = "store")]
#[test]
fn ar_3_parquet_is_ingested_once() {
    let folder = folder();
    for model in MODELS {
        folder
            .run(&format!("ingest {model} flat.parquet --engine {model} -q"))
            .ok();
        folder
            .run(&format!(
                "ingest {model}-lines in.ndjson --engine {model} -q"
            ))
            .ok();
        let digest = |store: &str| folder.run(&format!("store digest {store}")).ok();
        let digests = [digest(model), digest(&format!("{model}-lines"))];
        assert_eq!(digests[0], digests[1]);
        let done = folder.run(&format!("ingest {model} flat.parquet --engine {model}"));
        done.code(0).says("0 events");
        assert_eq!(digest(model), digests[0]);
        folder
            .run(&format!("store changes {model} -o changes.parquet"))
            .ok();
        let changes = folder.run(&format!("store changes {model}")).ok();
        assert_eq!(rows(&folder, "changes.parquet"), changes);
    }
}

/// The rows of a file as JSON.
pub(super) fn rows(folder: &Folder, file: &str) -> String {
    use std::io::Read;
    let shape = idmerge_tables::Shape::Records(Vec::new());
    let bytes = fs::read(folder.path(file)).unwrap();
    let mut lines = String::new();
    idmerge_tables::Rows::new(std::io::Cursor::new(bytes), &shape)
        .unwrap()
        .read_to_string(&mut lines)
        .unwrap();
    lines
}

#[test]
fn a_table_that_cannot_be_used_is_named_and_nothing_is_written() {
    let folder = folder();
    let whole = fs::read(folder.path("flat.parquet")).unwrap();
    folder.write("cut.parquet", &whole[..whole.len() - 100]);
    let mut flipped = whole.clone();
    for byte in &mut flipped[40..400] {
        *byte ^= 0x55;
    }
    folder.write("flipped.parquet", flipped);
    let mut writer = TableWriter::new(
        &[Column::text("event"), Column::boolean("$user_id")],
        Vec::new(),
    )
    .unwrap();
    writer.row(&[Some("A"), Some("true")]).unwrap();
    folder.write("types.parquet", writer.finish().unwrap());
    let mut writer = TableWriter::new(
        &[Column::text("event"), Column::text("distinct_id")],
        Vec::new(),
    )
    .unwrap();
    writer.row(&[Some("$identify"), Some("U1")]).unwrap();
    folder.write("dropped.parquet", writer.finish().unwrap());
    folder.write("out.parquet", "as it was");
    for (file, says) in [
        ("cut.parquet", "its Parquet data is damaged"),
        ("flipped.parquet", "its Parquet data is damaged"),
        ("types.parquet", "column $user_id is Boolean"),
        ("dropped.parquet", "there is no column $anon_id with values"),
    ] {
        // The second way keeps the columns, the first one goes through lines.
        for inputs in [format!("nested {file}"), file.to_owned()] {
            let resolve = format!("resolve {inputs} --engine original -o out.parquet");
            let done = folder.run(&resolve);
            done.code(1).says(&format!("cannot read {file}")).says(says);
            assert_eq!(folder.read("out.parquet"), "as it was");
        }
    }
    let names = [
        "cut.parquet",
        "dropped.parquet",
        "flat.parquet",
        "flipped.parquet",
    ];
    let rest = ["in.ndjson", "nested", "out.parquet", "types.parquet"];
    assert_eq!(folder.names(), [names, rest].concat());
}

#[test]
fn a_row_that_is_refused_is_refused_alone() {
    let columns = [Column::text("event"), Column::text("distinct_id")];
    let mut writer = TableWriter::new(&columns, Vec::new()).unwrap();
    for (event, id) in [
        (Some("A"), "U1"),
        (None, "U1"),
        (Some("B"), "null"),
        (Some("C"), "U2"),
    ] {
        writer.row(&[event, Some(id)]).unwrap();
    }
    let folder = Folder::new();
    folder.write("in.parquet", writer.finish().unwrap());
    let done = folder
        .run("resolve in.parquet --engine simplified -o out")
        .code(0);
    let done = done.says("in.parquet, line 2").says("in.parquet, line 3");
    done.says("no column $user_id, so no event can link");
    assert_eq!(folder.read("out").lines().count(), 2);
}
