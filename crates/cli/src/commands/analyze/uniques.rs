//! `idmerge uniques`: how many users do each event, or come on each day.

use idmerge_analysis::{UniquesBy, UniquesQuery, UniquesReport, UniquesRow, date_text};
use serde_json::{Value, json};

use crate::args::analyze::{UniquesArgs, UniquesByArg};
use crate::commands::analyze::reading::fold;
use crate::output::figure::answer::{Answer, notes};
use crate::output::figure::{Bar, Cell, Chart};

pub(crate) fn run(args: &UniquesArgs) -> anyhow::Result<()> {
    let (from_ms, until_ms) = args.range.range_ms()?;
    let query = UniquesQuery {
        by: match args.by {
            UniquesByArg::Event => UniquesBy::Event,
            UniquesByArg::Day => UniquesBy::Day,
        },
        from_ms,
        until_ms,
    };
    let (folded, mut output) = fold(&args.identity, args.output.destination()?, &query)?;
    let report = query.report(folded.fold);
    let answer = answer(query.by, &report, folded.events_without_id);
    answer.write(args.form.form(), &mut output)?;
    output.finish()
}

const FIELDS: [[&str; 5]; 2] = [
    [
        "event",
        "events",
        "users",
        "users_without_merge",
        "events_per_user",
    ],
    [
        "day",
        "events",
        "users",
        "users_without_merge",
        "events_per_user",
    ],
];

/// How many events a user has. Near 1 at a busy event, identity is lost.
fn events_per_user(row: &UniquesRow) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts fit into 53 bits")]
    match row.users {
        0 => 0.0,
        users => row.events as f64 / users as f64,
    }
}

fn label(row: &UniquesRow) -> String {
    match (&row.event, row.day_ms) {
        (Some(event), _) => event.clone(),
        (None, Some(day_ms)) => date_text(day_ms),
        (None, None) => "total".to_owned(),
    }
}

fn answer(by: UniquesBy, report: &UniquesReport, events_without_id: u64) -> Answer {
    let key = match by {
        UniquesBy::Event => "event",
        UniquesBy::Day => "day",
    };
    let row_json = |row: &UniquesRow| {
        json!({
            key: label(row),
            "events": row.events,
            "users": row.users,
            "users_without_merge": row.users_without_merge,
            "events_per_user": events_per_user(row),
        })
    };
    let rows: Vec<Value> = report.rows.iter().map(row_json).collect();
    let mut total = row_json(&report.total);
    if let Some(total) = total.as_object_mut() {
        total.remove(key);
    }
    let mut chart = Chart::new(&[key, "events", "users", "without merge", "events per user"]);
    // The total comes first, because a long table is cut.
    let all = [&report.total].into_iter().chain(&report.rows);
    let most = all
        .clone()
        .map(|row| row.users.max(row.users_without_merge));
    let most = most.max().unwrap_or(0);
    for row in all {
        chart.add(
            Bar::new(row.users, row.users_without_merge, most),
            vec![
                Cell::label(label(row)),
                Cell::figure(row.events.to_string()),
                Cell::figure(row.users.to_string()),
                Cell::without(row.users_without_merge.to_string()),
                Cell::figure(format!("{:.1}", events_per_user(row))),
            ],
        );
    }
    Answer {
        title: format!("users by {key}"),
        header: &FIELDS[usize::from(by == UniquesBy::Day)],
        json: json!({
            "rows": rows,
            "total": total,
            "events_without_time": report.events_without_time,
            "events_without_id": events_without_id,
        })
        .to_string(),
        records: rows,
        charts: vec![chart],
        notes: notes(report.events_without_time, events_without_id),
    }
}
