//! Columns that cannot have the IDs that an engine reads.

use arrow_array::{ArrayRef, Float64Array, NullArray, StringArray};
use idmerge_core::RuleBook::{Legacy, Original, Simplified};
use idmerge_tables::{Rows, Shape};

use crate::files::{column, file, lines, refusal};

fn text(value: &str) -> ArrayRef {
    column(StringArray::from(vec![value]))
}

fn floats(value: Option<f64>) -> ArrayRef {
    column(Float64Array::from(vec![value]))
}

#[test]
fn id_3_a_column_of_floats_is_refused_at_once() {
    let columns = |name| {
        vec![
            ("event", text("A")),
            (name, floats(Some(5.0))),
            ("distinct_id", text("u")),
        ]
    };
    for (name, model) in [
        ("$user_id", Simplified),
        ("$device_id", Original),
        ("$anon_id", Original),
        ("alias", Legacy),
    ] {
        let error = refusal(columns(name), model);
        assert!(
            error.contains(&format!("column {name} is Float64")) && error.contains("Int64"),
            "{error}"
        );
    }
    // Simplified does not read it.
    let file = |columns| lines(file(columns), &Shape::Events(vec![Simplified]));
    assert!(file(columns("$anon_id")).is_ok());
    // A column without any value has no type in pandas.
    for empty in [floats(None), column(NullArray::new(1))] {
        assert!(
            file(vec![
                ("event", text("A")),
                ("$user_id", empty),
                ("distinct_id", text("u"))
            ])
            .is_ok()
        );
    }
}

#[test]
fn an_identity_event_whose_column_was_dropped_is_an_error() {
    let columns = |event| {
        vec![
            ("n", text("1")),
            ("event", text(event)),
            ("distinct_id", text("u")),
        ]
    };
    for (event, missing, model) in [
        ("$identify", "$anon_id", Original),
        ("$create_alias", "alias", Original),
        ("$create_alias", "alias", Legacy),
        ("$merge", "$distinct_ids", Original),
    ] {
        let error = refusal(columns(event), model);
        assert!(
            error.starts_with(&format!(
                "row 1: the event is {event}, but there is no column {missing} with values"
            )),
            "{error}"
        );
    }
    for (event, model) in [
        ("$identify", Simplified),
        ("$identify", Legacy),
        ("A", Original),
    ] {
        assert!(lines(file(columns(event)), &Shape::Events(vec![model])).is_ok());
    }
    let mut with = columns("$identify");
    with.push(("$anon_distinct_id", text("d")));
    assert!(lines(file(with), &Shape::Events(vec![Original])).is_ok());
    // A text of JSON can have any property.
    let mut with = columns("$identify");
    with.push(("properties", text("{\"$anon_id\":\"d\"}")));
    assert!(lines(file(with), &Shape::Events(vec![Original])).is_ok());
}

#[test]
fn columns_that_are_missing_are_named() {
    let error = refusal(
        vec![("name", text("A")), ("$user_id", text("u"))],
        Simplified,
    );
    assert!(
        error.contains("no column event") && error.contains("There are name, $user_id"),
        "{error}"
    );
    let error = refusal(vec![("event", text("A")), ("uid", text("u"))], Simplified);
    assert!(
        error.contains("no column distinct_id, $user_id or $device_id") && error.contains("--map"),
        "{error}"
    );

    let warnings = |columns, model| {
        let rows = Rows::new(
            std::io::Cursor::new(file(columns)),
            &Shape::Events(vec![model]),
        )
        .unwrap();
        rows.warnings().join("\n")
    };
    let columns = || vec![("event", text("A")), ("$user_id", text("u"))];
    assert!(warnings(columns(), Simplified).contains("no column $device_id, so no event can link"));
    assert!(
        warnings(columns(), Original)
            .contains("no column $anon_id, alias, $distinct_ids, so no event can join")
    );

    let records = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        lines(
            file(vec![("email", text("u")), ("n", floats(Some(1.0)))]),
            &Shape::Records(ids),
        )
    };
    assert!(records(&["email"]).is_ok());
    assert!(
        records(&["mail"])
            .unwrap_err()
            .to_string()
            .contains("no column mail. There are email, n")
    );
    assert!(
        records(&["n"])
            .unwrap_err()
            .to_string()
            .contains("column n is Float64")
    );
}
