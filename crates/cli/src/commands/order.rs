//! `idmerge order`: which answers depend on the order of arrival.

mod page;

use idmerge_lint::{ALL_ORDERS_CLAIMS, Dependent, Order, OrderReport};
use serde_json::{Value, json};

use crate::args::lint::OrderArgs;
use crate::commands::lint::reading::{Places, Read, RefusedEvents, read};
use crate::commands::order::page::page;
use crate::output::json::write_line;
use crate::report::ExitCode;
use crate::stream::progress::Progress;

/// How many groups are shown, as text and as JSON.
const EXAMPLES: [usize; 2] = [5, 100];

pub(crate) fn run(args: &OrderArgs) -> anyhow::Result<ExitCode> {
    let (found, mut output) = read(
        &args.identity,
        args.output.destination()?,
        RefusedEvents::AreShown,
        Order::new,
    )?;
    let Read {
        fold,
        settings,
        refused,
        mut places,
    } = found;
    let examples = args.examples.unwrap_or(EXAMPLES[usize::from(args.json)]);
    let progress = Progress::of_claims(fold.claims(), args.identity.input.quiet);
    progress.stage("replaying");
    let report = fold.finish(examples, &mut |claims| progress.advance(claims))?;
    progress.finish();
    let pairs = report.examples.iter().flat_map(|it| &it.pairs);
    places.find(pairs.flat_map(|pair| [&pair.later, &pair.earlier]))?;
    if args.json {
        let mut found = json_of(&report, refused, &places);
        found["engine"] = settings.model().name().into();
        write_line(&found, &mut output)?;
    } else {
        output.write(page(&report, settings.model(), &places).as_bytes())?;
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn json_of(report: &OrderReport, refused: u64, places: &Places) -> Value {
    json!({
        "inputs": places.names(),
        "events": report.events,
        "refused": refused,
        "ids": report.ids,
        "claims": report.claims,
        "groups": report.components,
        "dependent_groups": report.dependent,
        "only_the_canonical_id": report.only_names,
        "sampled_groups": report.sampled,
        "all_orders_claims": ALL_ORDERS_CLAIMS,
        "dependent_ids": report.dependent_ids,
        "dependent_users": report.dependent_users,
        "dependent_events": (!places.is_log()).then_some(report.dependent_events),
        "examples": report.examples.iter().map(|it| json_of_group(it, places)).collect::<Vec<_>>(),
    })
}

fn json_of_group(group: &Dependent, places: &Places) -> Value {
    let ids = group
        .ids
        .iter()
        .map(|it| json!({ "id": it.id, "now": it.now, "others": it.others, "events": it.events }));
    let pairs = group.pairs.iter().map(|it| {
        json!({
            "if": places.json(&it.later),
            "came_before": places.json(&it.earlier),
            "id": it.id,
            "now": it.now,
            "then": it.then,
            "other_ids": it.more,
        })
    });
    json!({
        "claims": group.claims,
        "orders": group.orders,
        "all_answers": group.are_all,
        "only_the_canonical_id": group.only_names,
        "events": (!places.is_log()).then_some(group.events),
        "ids": ids.collect::<Vec<_>>(),
        "pairs": pairs.collect::<Vec<_>>(),
    })
}
