//! `idmerge retention`: how many users come back.

use idmerge_analysis::{
    Cohort, Period, RetentionQuery, RetentionReport, Returns, Step, date_text, share,
};
use serde_json::{Value, json};

use crate::args::analyze::{PeriodArg, RetentionArgs};
use crate::commands::analyze::reading::fold;
use crate::output::figure::answer::{Answer, notes};
use crate::output::figure::{Bar, Cell, Chart, percent};

pub(crate) fn run(args: &RetentionArgs) -> anyhow::Result<()> {
    let (from_ms, until_ms) = args.range.range_ms()?;
    let step = |step: &Option<String>| step.as_deref().map(Step::parse);
    let query = RetentionQuery {
        first: step(&args.first),
        then: step(&args.then),
        period: match args.period {
            PeriodArg::Day => Period::Day,
            PeriodArg::Week => Period::Week,
        },
        periods: args.periods,
        from_ms,
        until_ms,
    };
    let retention = query.retention();
    let (folded, mut output) = fold(&args.identity, args.output.destination()?, &retention)?;
    let query = retention.query();
    for step in query.first.iter().chain(&query.then) {
        folded.names.say_if_missing(step, "");
    }
    let report = retention.report(folded.fold);
    let answer = answer(query, &report, folded.events_without_id);
    answer.write(args.form.form(), &mut output)?;
    output.finish()
}

const FIELDS: [&str; 7] = [
    "start",
    "period",
    "users",
    "returned",
    "retention",
    "users_without_merge",
    "returned_without_merge",
];

fn answer(query: &RetentionQuery, report: &RetentionReport, events_without_id: u64) -> Answer {
    Answer {
        title: format!("users who come back, by {}", query.period.name()),
        header: &FIELDS,
        json: report.json(query.period, events_without_id),
        records: report.cohorts.iter().flat_map(records).collect(),
        charts: vec![chart(query, report)],
        notes: notes(report.events_without_time, events_without_id),
    }
}

/// A record for each period of a cohort. Period 0 is the first one, so that every cohort has a record.
fn records(cohort: &Cohort) -> impl Iterator<Item = Value> {
    let all = Returns {
        users: cohort.users,
        users_without_merge: cohort.users_without_merge,
    };
    let periods = [all].into_iter().chain(cohort.returned.iter().copied());
    periods.enumerate().map(|(at, returns)| {
        json!({
            "start": date_text(cohort.start_ms),
            "period": at,
            "users": cohort.users,
            "returned": returns.users,
            "retention": share(returns.users, cohort.users),
            "users_without_merge": cohort.users_without_merge,
            "returned_without_merge": returns.users_without_merge,
        })
    })
}

/// A line for each cohort. Its bar is the share that came back in the first period.
fn chart(query: &RetentionQuery, report: &RetentionReport) -> Chart {
    let periods = report.cohorts.iter().map(|cohort| cohort.returned.len());
    let periods = periods.max().unwrap_or(0);
    let unit = query.period.name();
    let mut columns = vec!["cohort".to_owned(), "users".to_owned()];
    columns.extend((1..=periods).map(|at| format!("{unit} {at}")));
    columns.push("without merge".to_owned());
    columns.extend((1..=periods).map(|at| format!("{unit} {at}")));
    let names: Vec<_> = columns.iter().map(String::as_str).collect();
    let mut chart = Chart::new(&names);
    for cohort in &report.cohorts {
        let shares = |users: fn(&Returns) -> u64, of: u64| {
            (0..periods).map(move |at| match cohort.returned.get(at) {
                Some(returns) => percent(share(users(returns), of)),
                None => String::new(),
            })
        };
        let mut cells = vec![
            Cell::label(date_text(cohort.start_ms)),
            Cell::figure(cohort.users.to_string()),
        ];
        cells.extend(shares(|it| it.users, cohort.users).map(Cell::figure));
        cells.push(Cell::without(cohort.users_without_merge.to_string()));
        let without = shares(|it| it.users_without_merge, cohort.users_without_merge);
        cells.extend(without.map(Cell::without));
        let first = cohort.returned.first().copied().unwrap_or_default();
        let most = cohort.users.max(cohort.users_without_merge);
        chart.add(
            Bar::new(first.users, first.users_without_merge, most),
            cells,
        );
    }
    chart
}
