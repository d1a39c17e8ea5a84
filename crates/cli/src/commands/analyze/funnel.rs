//! `idmerge funnel`: how many users do some events in order.

use idmerge_analysis::{
    Breakdown, BreakdownRow, Count, Exclusion, Funnel, FunnelFold, FunnelQuery, FunnelReport,
    Reentry, Step, Touch,
};
use idmerge_core::DistinctIdBuf;
use serde_json::{Value, json};

use crate::args::analyze::{CountArg, FunnelArgs, ReentryArg, TouchArg};
use crate::commands::analyze::names::Names;
use crate::commands::analyze::reading::{Folded, fold};
use crate::output::destination::Output;
use crate::output::figure::answer::{Answer, AnswerForm, notes, records};
use crate::output::figure::{Bar, Cell, Chart, percent, signed, time_text};
use crate::output::json::write_line;
use crate::report::{say, wrong_usage};

pub(crate) fn run(args: &FunnelArgs) -> anyhow::Result<()> {
    let form = args.form.form();
    let funnel = query(args)?.funnel();
    let funnel = funnel.map_err(|error| wrong_usage(format_args!("{error}")))?;
    let who = args.who.as_deref().map(|who| step_number(&funnel, who));
    let who = who.transpose()?;
    if who.is_some() && matches!(form, AnswerForm::Svg | AnswerForm::Html) {
        return Err(wrong_usage(format_args!(
            "--who writes IDs, and there is no picture of them: leave --svg or --html out"
        )));
    }
    let (folded, mut output) = fold(&args.identity, args.output.destination()?, &funnel)?;
    say_what_is_missing(&funnel, &folded);
    let Folded {
        fold,
        events_without_id,
        ..
    } = folded;
    if let Some(step) = who {
        let mut users = Vec::new();
        funnel.report_with(fold, &mut |user, depth| {
            if depth == step {
                users.push(user.to_buf());
            }
        });
        users.sort();
        write_users(&users, step, form, &mut output)?;
        return output.finish();
    }
    let report = funnel.report(fold);
    answer(&funnel, &report, events_without_id).write(form, &mut output)?;
    output.finish()
}

/// The query of the arguments.
fn query(args: &FunnelArgs) -> anyhow::Result<FunnelQuery> {
    let (from_ms, until_ms) = args.range.range_ms()?;
    let between = &args.between;
    if between.len() > 1 && between.len() != args.exclude.len() {
        return Err(wrong_usage(format_args!(
            "there are {} of --between and {} of --exclude: give --between once, or once for each --exclude (F-6)",
            between.len(),
            args.exclude.len()
        )));
    }
    let exclusion = |(at, event): (usize, &String)| Exclusion {
        event: Step::parse(event),
        between: between.get(at).or(between.first()).copied(),
    };
    Ok(FunnelQuery {
        window_ms: args.window,
        grace_ms: args.grace,
        reentry: match args.reentry {
            ReentryArg::First => Reentry::First,
            ReentryArg::Optimized => Reentry::Optimized,
        },
        count: match args.count {
            CountArg::Uniques => Count::Uniques,
            CountArg::Totals => Count::Totals,
        },
        hold: args.hold.clone(),
        exclude: args.exclude.iter().enumerate().map(exclusion).collect(),
        from_ms,
        until_ms,
        by: args.by.clone().map(|property| Breakdown {
            property,
            touch: match args.touch {
                TouchArg::First => Touch::First,
                TouchArg::Last => Touch::Last,
                TouchArg::Each => Touch::Each,
            },
        }),
        ..FunnelQuery::new(args.steps.iter().map(|step| Step::parse(step)).collect())
    })
}

/// The step that `--who` means, counted from 1.
fn step_number(funnel: &Funnel, who: &str) -> anyhow::Result<usize> {
    let steps = &funnel.query().steps;
    let by_text = || steps.iter().position(|step| step.text() == who);
    let number = who.parse().ok().or_else(|| Some(by_text()? + 1));
    number
        .filter(|number| (1..=steps.len()).contains(number))
        .ok_or_else(|| {
            wrong_usage(format_args!(
                "--who names no step: give a number from 1 to {}, or one of the steps (F-8)",
                steps.len()
            ))
        })
}

/// Warns of steps and exclusions that never occur (F-8).
fn say_what_is_missing(funnel: &Funnel, folded: &Folded<FunnelFold>) {
    let query = funnel.query();
    let missing = query.steps.iter().enumerate();
    let missing = missing.filter(|(at, _)| !folded.fold.occurs(*at));
    let mut said: Vec<&str> = Vec::new();
    for (_, step) in missing {
        if said.contains(&step.name()) {
            continue;
        }
        if say_if_missing(step, &folded.names) {
            said.push(step.name());
            continue;
        }
        let why = match step.has_conditions() {
            true => ": none has its name and meets its conditions (F-7)",
            false => "",
        };
        say(format_args!(
            "no event with an ID fits the step {step}{why}"
        ));
    }
    for exclusion in &query.exclude {
        if !said.contains(&exclusion.event.name()) {
            say_if_missing(&exclusion.event, &folded.names);
        }
    }
}

/// Says that no event has the name of a step, if it is so.
fn say_if_missing(step: &Step, names: &Names) -> bool {
    let is_file = std::path::Path::new(step.name()).is_file();
    names.say_if_missing(
        step,
        match is_file {
            true => " (it is a file: INPUT comes before --steps)",
            false => "",
        },
    )
}

fn write_users(
    users: &[DistinctIdBuf],
    step: usize,
    form: AnswerForm,
    output: &mut Output,
) -> anyhow::Result<()> {
    let mut texts = users.iter().map(|user| user.as_id().to_string());
    match form {
        AnswerForm::Json => {
            let users: Vec<_> = texts.collect();
            write_line(&json!({"step": step, "distinct_ids": users}), output)
        }
        AnswerForm::Csv => {
            let rows = texts.map(|user| vec![user]);
            output.write(&records(&["distinct_id"], rows)?)
        }
        _ => texts.try_for_each(|user| output.write(format!("{user}\n").as_bytes())),
    }
}

/// The answer in all forms.
fn answer(funnel: &Funnel, report: &FunnelReport, events_without_id: u64) -> Answer {
    let by = funnel.query().by.as_ref();
    let json = report.json(by.map(|by| &*by.property), events_without_id);
    let mut charts = vec![steps_chart(funnel, report)];
    let records: Vec<Value> = match by {
        None => report.steps.iter().map(|step| json!(step)).collect(),
        Some(by) => {
            charts.push(values_chart(&by.property, &report.breakdown));
            report.breakdown.iter().map(BreakdownRow::json).collect()
        }
    };
    Answer {
        title: report
            .steps
            .iter()
            .map(|step| step.event.as_str())
            .collect::<Vec<_>>()
            .join(" → "),
        header: match funnel.query().by {
            None => &STEP_FIELDS,
            Some(_) => &VALUE_FIELDS,
        },
        json,
        records,
        charts,
        notes: notes(report.events_without_time, events_without_id),
    }
}

const STEP_FIELDS: [&str; 9] = [
    "event",
    "users",
    "conversion",
    "conversion_from_previous",
    "median_ms",
    "p90_ms",
    "users_without_merge",
    "conversion_without_merge",
    "difference",
];

const VALUE_FIELDS: [&str; 8] = [
    "value",
    "users",
    "converted",
    "conversion",
    "users_without_merge",
    "converted_without_merge",
    "conversion_without_merge",
    "difference",
];

fn steps_chart(funnel: &Funnel, report: &FunnelReport) -> Chart {
    let unit = match funnel.query().count {
        Count::Uniques => "users",
        Count::Totals => "entries",
    };
    let mut chart = Chart::new(&[
        "step",
        unit,
        "of first",
        "of step before",
        "median",
        "90 %",
        "without merge",
        "of first",
        "difference",
    ]);
    // Both bars have one scale.
    let first = report.steps.first();
    let most = first.map_or(0, |first| first.users.max(first.users_without_merge));
    for (at, step) in report.steps.iter().enumerate() {
        let time = |ms: Option<i64>| Cell::figure(ms.map_or_else(|| "–".to_owned(), time_text));
        chart.add(
            Bar::new(step.users, step.users_without_merge, most),
            vec![
                Cell::label(format!("{} {}", at + 1, step.event)),
                Cell::figure(step.users.to_string()),
                Cell::figure(percent(step.conversion)),
                Cell::figure(percent(step.conversion_from_previous)),
                time(step.median_ms),
                time(step.p90_ms),
                Cell::without(step.users_without_merge.to_string()),
                Cell::without(percent(step.conversion_without_merge)),
                Cell::figure(signed(step.difference)),
            ],
        );
    }
    chart
}

fn values_chart(property: &str, rows: &[BreakdownRow]) -> Chart {
    let mut chart = Chart::new(&[
        property,
        "users",
        "converted",
        "share",
        "without merge",
        "converted",
        "share",
        "difference",
    ]);
    let most = rows
        .iter()
        .map(|row| row.users.max(row.users_without_merge));
    let most = most.max().unwrap_or(0);
    for row in rows {
        chart.add(
            Bar::new(row.converted, row.converted_without_merge, most),
            vec![
                Cell::label(row.text().unwrap_or_else(|| "(none)".to_owned())),
                Cell::figure(row.users.to_string()),
                Cell::figure(row.converted.to_string()),
                Cell::figure(percent(row.conversion)),
                Cell::without(row.users_without_merge.to_string()),
                Cell::without(row.converted_without_merge.to_string()),
                Cell::without(percent(row.conversion_without_merge)),
                Cell::figure(signed(row.difference())),
            ],
        );
    }
    chart
}
