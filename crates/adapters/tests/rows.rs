//! A row becomes the event that its record becomes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use idmerge_adapters::{Adapted, Adapter, Cell, Counts, Format, Line, Options, Receipts, Target};
use proptest::prelude::*;

const MAPS: &[&str] = &[
    "user=customer,device=cookie,event=action,time=created_at,id=row,receipt=got",
    "user=customer,device=cookie,event='It \"s\" on',time=created_at,receipt=created_at",
    "user=customer,device=customer,event=customer,id=customer",
    "user=né,event='E',id=missing",
    "device=cookie",
];

const NAMES: &[&str] = &[
    "customer",
    "cookie",
    "action",
    "created_at",
    "row",
    "got",
    "event",
    "né",
    "price",
    "time",
    "distinct_id",
    "$user_id",
    "token",
    "$failure_reason",
    "a \"b\"\n",
    "",
];

const TEXTS: &[&str] = &[
    "",
    "",
    "U1",
    "23a198e4-3344-4b56-bbdd-63374d46d88c",
    "$device:D1",
    "$device:",
    "null",
    "N/A",
    "0",
    "1714566600",
    "2026-06-01T01:00:00.250Z",
    "2024-05-01 12:30:00+02:00",
    "soon",
    "a \"quoted\" word",
    "\"",
    "back\\slash",
    "two\nlines",
    "Bücher",
    "a text that is much longer than an ID of a row, with no byte that is special",
];

/// How a cell is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    Other,
    Quoted,
    Usual,
}

/// The text of a cell as a file has it.
fn written(text: &str, form: Form) -> String {
    match form {
        Form::Other => text.to_owned(),
        Form::Quoted if is_plain(text) => format!("\"{text}\""),
        Form::Quoted => text.replace('"', "\"\""),
        Form::Usual => text.to_owned(),
    }
}

fn is_plain(text: &str) -> bool {
    serde_json::to_string(text).unwrap().len() == text.len() + 2
}

fn cell<'t>(text: &str, form: Form, written: &'t str) -> Cell<'t> {
    match form {
        Form::Quoted if is_plain(text) => Cell::PlainQuoted(written),
        Form::Quoted => Cell::OtherQuoted(written),
        Form::Usual if is_plain(text) => Cell::Plain(written),
        Form::Usual | Form::Other => Cell::Other(written),
    }
}

/// A row as a record.
fn record(names: &[&str], texts: &[&str]) -> String {
    let member = |(name, text): (&&str, &&str)| {
        (!text.is_empty()).then(|| {
            let [name, text] = [name, text].map(|it| serde_json::to_string(*it).unwrap());
            format!("{name}:{text}")
        })
    };
    let members: Vec<_> = names.iter().zip(texts).filter_map(member).collect();
    format!("{{{}}}", members.join(","))
}

fn adapter(map: &str) -> Adapter {
    let mut options = Options::new(Target::Simplified);
    options.columns = map.parse().unwrap();
    Adapter::new(Format::Csv, options).unwrap()
}

fn all_of(adapted: &Adapted) -> (String, Vec<Line>, Counts, Receipts) {
    (
        String::from_utf8(adapted.text().to_owned()).unwrap(),
        adapted.lines().to_owned(),
        adapted.counts().clone(),
        adapted.receipts(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_2_a_row_becomes_what_its_record_becomes(
        map in prop::sample::select(MAPS),
        names in prop::collection::vec(prop::sample::select(NAMES), 1..12),
        rows in prop::collection::vec(
            prop::collection::vec(
                (
                    prop::sample::select(TEXTS),
                    prop::sample::select(&[Form::Other, Form::Quoted, Form::Usual][..]),
                ),
                12,
            ),
            1..5,
        ),
    ) {
        let adapter = adapter(map);
        let by_row = adapter.rows(names.iter().copied());
        let (mut of_rows, mut of_records) = (Adapted::default(), Adapted::default());
        for (number, row) in (1..).zip(&rows) {
            let row = &row[..names.len()];
            let texts: Vec<_> = row.iter().map(|(text, _)| *text).collect();
            let record = record(&names, &texts);
            let written: Vec<_> = row.iter().map(|(text, form)| written(text, *form)).collect();
            let cells: Vec<_> = row
                .iter()
                .zip(&written)
                .map(|((text, form), written)| cell(text, *form, written))
                .collect();
            let is_done = by_row.as_ref().is_some_and(|rows| rows.adapt(number, &cells, &mut of_rows));
            if !is_done {
                adapter.adapt(number, &record, &mut of_rows);
            }
            adapter.adapt(number, &record, &mut of_records);
        }
        prop_assert_eq!(all_of(&of_rows), all_of(&of_records));
    }
}

#[test]
fn a_2_usual_rows_need_no_record_and_unusual_ones_do() {
    let names = ["customer", "action", "created_at", "price", "got"];
    let adapter = adapter("user=customer,event=action,time=created_at,receipt=got");
    let rows = adapter.rows(names.into_iter()).unwrap();
    let mut adapted = Adapted::default();
    let time = "2026-06-01T01:00:00Z";
    for (texts, is_usual) in [
        (["U1", "Buy", time, "5", "x"], true),
        (["", "Buy\n", "", "", ""], true),
        (["NULL", "Buy", "1714566600", "5 \"", time], true),
        (["U1", "", time, "5", ""], false),
        (["U1", "Buy", "soon", "5", ""], false),
        (["$device:", "Buy", time, "5", ""], false),
    ] {
        let before = all_of(&adapted);
        assert_eq!(
            rows.adapt(1, &texts.map(Cell::Other), &mut adapted),
            is_usual,
            "{texts:?}"
        );
        assert_eq!(before == all_of(&adapted), !is_usual, "{texts:?}");
    }
    assert!(
        adapter
            .rows(["customer", "a", "customer"].into_iter())
            .is_none()
    );
    assert!(adapter.rows(["a", "a"].into_iter()).is_some());
    let segment = Adapter::new(Format::Segment, Options::new(Target::Simplified)).unwrap();
    assert!(segment.rows(names.into_iter()).is_none());
}
