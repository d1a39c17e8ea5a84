//! Parquet and CSV, in and out.

use crate::run::Folder;

#[cfg(feature = "tables")]
mod columns;
#[cfg(feature = "tables")]
mod parquet;

const EVENTS: &str = r#"{"event":"A","properties":{"$device_id":"D1","time":1,"n":9007199254740993}}
{"event":"B","properties":{"$device_id":"D1","$user_id":"U,1","$insert_id":"i"}}
{"event":"B","properties":{"$device_id":"D1","$user_id":"U2"}}
"#;

const CSV: &str = r#"event,time,distinct_id,$distinct_id_before_identity,$is_reshuffled,$identity_failure_reason,$failure_reason,$failure_description,$user_id,$device_id,$insert_id,properties
A,1,"U,1",$device:D1,true,,,,,D1,,"{""n"":9007199254740993}"
B,,"U,1",,,,,,"U,1",D1,i,{}
B,,U2,,,errAnonDistinctIdAssignedAlready,,,U2,D1,,{}
"#;

#[test]
fn w_1_resolved_events_are_a_table_if_the_name_of_the_file_says_so() {
    let folder = Folder::with(&[("in", EVENTS)]);
    folder
        .run("resolve in --engine simplified -q -o out.csv")
        .ok();
    assert_eq!(folder.read("out.csv"), CSV);
    folder
        .run("resolve in --engine simplified -q -o out.CSV.gz")
        .ok();
    assert_eq!(folder.names(), ["in", "out.CSV.gz", "out.csv"]);
}

#[test]
fn clusters_and_mappings_are_tables_too() {
    let folder = Folder::with(&[("in", EVENTS)]);
    folder
        .run("clusters in --engine simplified -q -o c.csv")
        .ok();
    let clusters = "canonical,members\n\"U,1\",\"[\"\"U,1\"\",\"\"$device:D1\"\"]\"\n";
    assert_eq!(folder.read("c.csv"), clusters);
    folder
        .run("mappings in --engine simplified -q -o m.csv")
        .ok();
    let mappings = "distinct_id,resolved_distinct_id\n$device:D1,\"U,1\"\n";
    assert_eq!(folder.read("m.csv"), mappings);
    // What the arguments say goes before the name.
    folder
        .run("mappings in --engine simplified -q --format ndjson -o m.csv")
        .ok();
    assert!(folder.read("m.csv").starts_with('{'));
    // The table of who is who can be read again.
    folder
        .run("mappings in --engine simplified -q -o m.csv")
        .ok();
    folder
        .run("resolve in --engine simplified -q --mapping m.csv -o out")
        .ok();
}

#[cfg(feature = "store")]
#[test]
fn changes_are_a_table_too() {
    let folder = Folder::with(&[("in", EVENTS)]);
    folder.run("ingest people in --engine simplified -q").ok();
    folder.run("store changes people -o changes.csv").ok();
    let changes =
        "sequence,id,from,to,insert_id,time_ms,source\n1,$device:D1,$device:D1,\"U,1\",i,,in\n";
    assert_eq!(folder.read("changes.csv"), changes);
}

#[test]
fn a_command_whose_answer_is_no_table_writes_none() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let done = folder.run("generate --workload cap --events 5 -o out.parquet");
    done.code(2).says("this command writes no Parquet");
    let done = folder.run("mappings in --engine simplified --format csv -o out.parquet");
    done.code(2).says("this command writes no Parquet");
}

#[cfg(not(feature = "tables"))]
#[test]
fn without_the_feature_parquet_is_an_error_that_says_what_has_it() {
    let folder = Folder::with(&[("in", EVENTS), ("table", "PAR1\u{15}\u{4}PAR1")]);
    let says = "`cargo install idmerge --features tables`";
    folder
        .run("resolve table --engine simplified -o out")
        .code(1)
        .says(says)
        .says("cannot read table");
    folder
        .pipe("PAR1\u{15}\u{4}PAR1", "resolve - --engine simplified")
        .code(1)
        .says(says);
    folder
        .run("resolve in --engine simplified --mapping table -o out")
        .code(1)
        .says(says);
    folder
        .run("resolve in --engine simplified -o out.parquet")
        .code(1)
        .says("out.parquet: this build cannot write Parquet")
        .says(says);
    assert_eq!(folder.names(), ["in", "table"]);
}
