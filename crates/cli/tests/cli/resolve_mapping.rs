//! `resolve --mapping`: a table of who is who counts after all events (M-6, rank 2).

use serde_json::{Value, json};

use crate::run::Folder;

const PHONE: &str = "0190a1a1-0000-7000-8000-000000000001";
const LAPTOP: &str = "0190a1a1-0000-7000-8000-000000000002";

/// Events of PostHog: two devices that nobody is logged in on, and a user without a device.
fn events() -> String {
    let event = |name: &str, id: &str, properties: &str| {
        format!(
            r#"{{"event":"{name}","distinct_id":"{id}","person_id":"p","uuid":"{name}","properties":{{{properties}}}}}"#
        )
    };
    [
        event("phone", PHONE, &format!(r#""$device_id":"{PHONE}""#)),
        event("laptop", LAPTOP, &format!(r#""$device_id":"{LAPTOP}""#)),
        event("server", "ada", r#""$is_identified":true"#),
    ]
    .join("\n")
}

/// The IDs of the events by their names.
fn ids(folder: &Folder, args: &str) -> Value {
    let out = folder.run(&format!("resolve events {args} -q")).ok();
    let id = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        (
            event["event"].as_str().unwrap().to_owned(),
            event["properties"]["distinct_id"].clone(),
        )
    };
    out.lines()
        .map(id)
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn m_6_the_persons_of_posthog_join_their_ids_in_both_models_of_id_merge() {
    let persons = format!(
        "distinct_id,person_id,is_deleted\n{PHONE},p1,false\nada,p1,0\n{LAPTOP},p1,1\nben,p2,0\n"
    );
    let rows = |lines: &str| {
        let row = |line: &str| {
            let cells: Vec<_> = line.split(',').collect();
            let is_deleted = ["1", "true"].contains(&cells[2]);
            let row = json!({
                "distinct_id": cells[0], "person_id": cells[1], "is_deleted": is_deleted,
            });
            format!("{row}\n")
        };
        lines.lines().skip(1).map(row).collect::<String>()
    };
    let folder = Folder::with(&[
        ("events", &events()),
        ("persons.csv", &persons),
        ("persons.ndjson", &rows(&persons)),
    ]);
    let from = "--from posthog --engine";
    // A row that is deleted says nothing, and neither does a person with one ID.
    let simplified =
        json!({"phone": "ada", "laptop": format!("$device:{LAPTOP}"), "server": "ada"});
    for table in ["persons.csv", "persons.ndjson"] {
        let args = format!("{from} simplified --mapping {table}");
        assert_eq!(ids(&folder, &args), simplified, "{table}");
        let found = ids(&folder, &format!("{from} original --mapping {table}"));
        assert_eq!(found["phone"], found["server"], "{table}: {found}");
        assert_ne!(found["laptop"], found["server"], "{table}: {found}");
    }
    let found = ids(&folder, &format!("{from} simplified"));
    assert_eq!(found["phone"], format!("$device:{PHONE}"));
}

#[test]
fn m_6_rows_count_after_claims_and_what_they_cannot_join_is_a_case() {
    let link = |user: &str| {
        format!(r#"{{"event":"A","properties":{{"$device_id":"D1","$user_id":"{user}"}}}}"#)
    };
    let folder = Folder::with(&[
        ("events", &link("U1")),
        // The vendor's table: a device has a prefix there.
        (
            "mapping.csv",
            "distinct_id,resolved_distinct_id\n$device:D1,U2\n$device:D2,U2\nU3,U4\n",
        ),
    ]);
    let args = "resolve events --engine simplified --mapping mapping.csv --conflicts cases";
    let out = folder.run(&format!("{args} -q")).ok();
    assert!(out.contains(r#""distinct_id":"U1""#), "{out}");
    let cases = folder.read("cases");
    let cases: Vec<Value> = cases
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = |case: &Value| json!([case["kind"], case["rule"], case["chosen"], case["evidence"]]);
    let row = |line, ids| {
        json!([{
            "file": "mapping.csv", "line": line, "insert_id": null, "event": null, "rank": 2, "ids": ids,
        }])
    };
    assert_eq!(
        cases.iter().map(said).collect::<Vec<_>>(),
        [
            json!(["contradicted", "S-7", "U1", row(2, ["U2", "D1"])]),
            json!(["two_users", "S-9", null, row(4, ["U4", "U3"])]),
        ]
    );
    // Original joins two users.
    let out = folder
        .run("resolve events --engine original --mapping mapping.csv --summary json -o out")
        .code(0);
    let summary: Value = serde_json::from_str(out.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(summary["merges"], 3);
}

#[test]
fn m_6_a_row_that_says_nothing_new_is_no_second_user() {
    let folder = Folder::with(&[
        ("events", &events()),
        // PostHog keeps a row for each version of an ID.
        (
            "persons.csv",
            &format!("distinct_id,person_id\nada,p1\n{PHONE},p1\nada,p1\n{PHONE},p1\n"),
        ),
        // The head stands for itself too.
        (
            "mapping.csv",
            &format!(
                "distinct_id,resolved_distinct_id\nada,ada\n$device:{PHONE},ada\n$device:{PHONE},ada\n"
            ),
        ),
    ]);
    for table in ["persons.csv", "mapping.csv"] {
        for model in ["simplified", "original"] {
            let args =
                format!("--from posthog --engine {model} --mapping {table} --conflicts cases");
            let found = ids(&folder, &args);
            assert_eq!(found["phone"], found["server"], "{args}: {found}");
            assert_eq!(folder.read("cases"), "", "{args}");
        }
    }
    // The second user is named, however often the first one is.
    folder.write(
        "persons.csv",
        "distinct_id,person_id\nada,p1\nada,p1\nben,p1\nada,p1\n",
    );
    let args = "--from posthog --engine simplified --mapping persons.csv --conflicts cases";
    ids(&folder, args);
    let cases = folder.read("cases");
    assert!(cases.contains(r#""ids":["ada","ben"],"#), "{cases}");
    assert_eq!(cases.lines().count(), 1, "{cases}");
}

#[test]
fn no_output_replaces_the_table() {
    let table = "distinct_id,resolved_distinct_id\nU1,U2\n";
    let folder = Folder::with(&[("events", &events()), ("mapping.csv", table)]);
    for option in ["--output", "--refused", "--conflicts"] {
        let args = "resolve events --from posthog --engine original --mapping mapping.csv";
        folder
            .run(&format!("{args} {option} mapping.csv"))
            .code(2)
            .says(&format!("{option} names the INPUT mapping.csv"));
        assert_eq!(folder.read("mapping.csv"), table, "{option}");
    }
}

#[test]
fn m_6_a_table_that_cannot_be_used_is_an_error_that_names_its_line() {
    let folder = Folder::with(&[
        ("events", &events()),
        ("other.csv", "id,name\n1,a\n"),
        (
            "blocked.csv",
            "distinct_id,resolved_distinct_id\nU1,U2\nnull,U2\n",
        ),
        // They are not one person.
        ("nobody.csv", "distinct_id,person_id\nU1,p1\nU2,\nU3,\n"),
        (
            "nobody.ndjson",
            "{\"distinct_id\":\"U2\",\"person_id\":\"\"}\n{\"distinct_id\":\"U3\",\"person_id\":\"\"}\n",
        ),
    ]);
    for (args, code, error) in [
        (
            "--engine original --mapping other.csv",
            1,
            "other.csv, line 1: the header must name",
        ),
        (
            "--engine original --mapping blocked.csv",
            1,
            "blocked.csv, line 3: ",
        ),
        (
            "--engine legacy --mapping blocked.csv",
            2,
            "--mapping joins IDs after all events",
        ),
        (
            "--engine original --mapping nobody.csv",
            1,
            "nobody.csv, line 3: \"person_id\" is empty",
        ),
        (
            "--engine original --mapping nobody.ndjson",
            1,
            "nobody.ndjson, line 1: not an object with the texts",
        ),
        ("--engine original --mapping none.csv", 1, "none.csv"),
        (
            "--engine original --mapping other.csv -o other.csv",
            2,
            "--output names the INPUT other.csv",
        ),
    ] {
        folder
            .run(&format!("resolve events --from posthog {args}"))
            .code(code)
            .says(error);
    }
}
