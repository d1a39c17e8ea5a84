//! The columns and fields that arguments name (IN-6, A-2): those of `--map`, and the identity of `--user-identity`.

use serde_json::Value;

use crate::run::Folder;

#[test]
fn in_6_a_column_that_no_header_has_is_an_error_before_anything_is_written_or_taken() {
    let folder = Folder::with(&[
        ("good.csv", "email,cookie,what\nU1,D1,E\n"),
        ("other.csv", "Email , Cookie,what\nU2,D2,E\n"),
        ("plain.csv", "U1,D1,E\nU2,D2,E\n"),
        ("twice.csv", "email,cookie,what,email\nU1,D1,E,U2\n"),
    ]);
    let map = "--from csv --engine simplified --map user=email,device=cookie,event=what";
    for (command, said) in [
        (
            format!("resolve good.csv other.csv {map} -o out"),
            "other.csv: there is no column \"email\", which --map names for user. The first line has the columns \
             \"Email\", \"Cookie\", \"what\"; did you mean user=Email? (IN-6)",
        ),
        (
            format!("clusters good.csv --order-by what other.csv {map} -o out"),
            "other.csv: there is no column",
        ),
        (
            format!("resolve plain.csv {map} -o out"),
            "plain.csv: there is no column \"email\", which --map names for user. The first line has the columns \
             \"U1\", \"D1\", \"E\"; name one of them in --map, and if the table has no header, add one",
        ),
        (
            format!("resolve good.csv {map},time=at -o out"),
            "no column \"at\", which --map names for time",
        ),
        (
            format!("resolve good.csv {map},id=id -o out"),
            "no column \"id\", which --map names for id",
        ),
        (
            "inspect good.csv --from csv --map user=email,event=what,receipt=got".to_owned(),
            "no column \"got\", which --map names for receipt",
        ),
        (
            "resolve good.csv --from csv --engine simplified --map user=email -o out".to_owned(),
            "no column \"event\", which --map names for event",
        ),
        (
            format!("resolve twice.csv {map} -o out"),
            "column \"email\" of --map is 2 times in the header",
        ),
        (
            "migrate other.csv --from csv --to simplified -o moved --map user=email,event=what"
                .to_owned(),
            "did you mean user=Email?",
        ),
    ] {
        folder.run(&command).code(1).says(said);
    }
    // Streams cannot be looked at before.
    let stdin = folder.read("other.csv");
    folder
        .pipe(stdin, &format!("resolve good.csv - {map} -o out"))
        .code(1)
        .says("-: there is no column \"email\"");
    assert_eq!(
        folder.names(),
        ["good.csv", "moved", "other.csv", "plain.csv", "twice.csv"]
    );
    assert_eq!(std::fs::read_dir(folder.path("moved")).unwrap().count(), 0);
    folder.run(&format!("resolve good.csv {map}")).ok();
}

/// That it is CSV, and that its columns can be named, is no news then.
#[test]
fn in_6_a_table_without_a_usable_row_says_why_its_first_row_is_not() {
    let folder = Folder::with(&[("in.csv", "who,what,when\nU1,E,soon\nU2,E,later\n")]);
    let of_csv = "--from csv --map user=who,event=what,time=when";
    for (args, said) in [
        (
            of_csv,
            "in.csv: none of its events can be used (IN-6); line 2: \"when\" is \"\\\"soon\\\"\", which is not a time",
        ),
        (
            &format!("{of_csv} --order-by what"),
            "in.csv: none of its events can be used (IN-6); line 2: \"when\" is \"\\\"soon\\\"\", which is not a time",
        ),
        (
            "--from segment",
            "in.csv: none of its events can be used (IN-6); line 2: \"type\" is ",
        ),
        ("--from auto", "it looks like CSV: name its columns"),
        ("", "it looks like CSV: name its columns"),
    ] {
        let done = folder.run(&format!("resolve in.csv -q --engine simplified {args}"));
        done.code(1).says(said);
    }
}

#[cfg(feature = "store")]
#[test]
fn in_6_ingest_takes_nothing_if_a_table_lacks_a_column() {
    let folder = Folder::with(&[
        ("good.csv", "email,cookie,what\nU1,D1,E\n"),
        ("other.csv", "mail,cookie,what\nU2,D2,E\n"),
    ]);
    folder
        .run(
            "ingest people good.csv other.csv --from csv --engine simplified --map \
             user=email,device=cookie,event=what",
        )
        .code(1)
        .says("other.csv: there is no column")
        .says("did you mean user=mail?");
    assert_eq!(folder.names(), ["good.csv", "other.csv"]);
}

#[test]
fn in_6_a_field_that_is_named_and_that_no_record_has_is_warned_of() {
    let folder = Folder::with(&[
        (
            "rows",
            "{\"email\":\"U1\",\"cookie\":\"D1\",\"what\":\"E\"}\n",
        ),
        (
            "batches",
            r#"{"events":[{"event_type":"screen_view","data":{}}],"mp_deviceid":"D1","user_identities":[{"identity_type":"customer_id","identity":"U1"},{"identity_type":"email","identity":"u@x"}]}
               {"events":[{"event_type":"screen_view","data":{}}],"mp_deviceid":"D2","user_identities":{"other":"U2"}}"#,
        ),
    ]);
    let rows = "rows --engine simplified --from csv --map device=cookie,event=what";
    let batches = "batches --engine simplified --from mparticle";
    for (args, warning) in [
        (
            format!("{rows},user=mail"),
            "warning: no record has \"mail\", which --map names for user; check its name (IN-6)",
        ),
        (
            format!("{rows},time=at"),
            "\"at\", which --map names for time",
        ),
        (
            format!("{rows},receipt=at"),
            "\"at\", which --map names for receipt",
        ),
        (
            format!("{batches} --user-identity customerid"),
            "warning: no batch has an identity of the type \"customerid\", so no event has a user ID. The batches have \
             \"customer_id\", \"email\", \"other\"; name the one that is the user ID with --user-identity (IN-6)",
        ),
        (
            format!("{batches} --user-identity mpid"),
            "no batch has an identity",
        ),
    ] {
        folder.run(&format!("resolve {args}")).code(0).says(warning);
    }
    let json = folder
        .run(&format!("resolve {rows},user=mail -q --summary json"))
        .code(0);
    let json: Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(
        json["from"]["not_found"].as_array().map(Vec::len),
        Some(1),
        "{json}"
    );
    // One of the records has it.
    for args in [format!("{rows},user=email"), batches.to_owned()] {
        let done = folder.run(&format!("resolve {args}")).code(0);
        assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    }
}
