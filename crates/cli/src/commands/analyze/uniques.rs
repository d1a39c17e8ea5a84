//! `idmerge uniques`: how many users do each event, or come on each day.

use idmerge_analysis::{UniquesBy, UniquesQuery, UniquesReport};

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

fn answer(by: UniquesBy, report: &UniquesReport, events_without_id: u64) -> Answer {
    let key = by.name();
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
                Cell::label(row.label()),
                Cell::figure(row.events.to_string()),
                Cell::figure(row.users.to_string()),
                Cell::without(row.users_without_merge.to_string()),
                Cell::figure(format!("{:.1}", row.events_per_user())),
            ],
        );
    }
    Answer {
        title: format!("users by {key}"),
        header: &FIELDS[usize::from(by == UniquesBy::Day)],
        json: report.json(by, events_without_id),
        records: report.rows.iter().map(|row| row.json(by)).collect(),
        charts: vec![chart],
        notes: notes(report.events_without_time, events_without_id),
    }
}
