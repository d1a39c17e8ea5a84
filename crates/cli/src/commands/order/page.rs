//! What depends on the order, as text.

use std::fmt::Write as _;

use idmerge_engines::Model;
use idmerge_lint::{Dependent, OrderReport};

use crate::commands::lint::reading::Places;
use crate::output::figure::{cut, shown};
use crate::output::text::{count, human, wrapped};

/// How many IDs and pairs of a group are shown.
const LINES: usize = 3;

const ID_COLUMNS_MAX: usize = 44;

/// A log does not have the events of an ID.
const EVENTS: &str = "  their events";

/// What is said if no answer was found that depends on the order.
fn independent(report: &OrderReport) -> String {
    match report.sampled {
        0 if report.events == 0 => "There is no event, so nothing was checked.".to_owned(),
        0 => "No answer depends on the order of arrival.".to_owned(),
        sampled => format!(
            "No answer was found that depends on the order of arrival. {} so many claims that only some \
                 orders were tried.",
            count(sampled, "group has", "groups have")
        ),
    }
}

pub(super) fn page(report: &OrderReport, model: Model, places: &Places) -> String {
    let mut page = String::new();
    let names = places.names();
    let inputs = match names.as_slice() {
        [name] => shown(name),
        names => count(names.len() as u64, "input", "inputs"),
    };
    let events = count(report.events, places.noun(), places.nouns());
    let claims = count(report.claims, "different claim", "different claims");
    add(
        &mut page,
        format_args!("{inputs}: {events}, {claims}, {model}\n\n"),
    );
    if report.dependent == 0 {
        page.push_str(&wrapped("", &independent(report)));
        return page;
    }
    let rows = [
        ("users that depend on the order", report.dependent_users),
        ("IDs whose canonical ID does", report.dependent_ids),
        (EVENTS, report.dependent_events),
        (
            "groups of connected IDs with several claims",
            report.components,
        ),
        ("  with answers that depend on the order", report.dependent),
        (
            "  of these, only in which ID is canonical",
            report.only_names,
        ),
        ("  in which only some orders were tried", report.sampled),
    ];
    for (name, number) in rows {
        if name == EVENTS && places.is_log() {
            continue;
        }
        add(&mut page, format_args!("{name:<46}{:>14}\n", human(number)));
    }
    for group in &report.examples {
        page.push('\n');
        add_group(&mut page, group, names.len() > 1, places);
    }
    let left = report.dependent - report.examples.len() as u64;
    if left > 0 {
        let left = count(left, "more group", "more groups");
        add(
            &mut page,
            format_args!("\n{left}: --json and --examples show more\n"),
        );
    }
    page
}

fn add_group(page: &mut String, group: &Dependent, many_files: bool, places: &Places) {
    let id = |text: &str| cut(&shown(text), ID_COLUMNS_MAX);
    for it in group.ids.iter().take(LINES) {
        let others: Vec<_> = it.others.iter().map(|other| id(other)).collect();
        let (this, now) = (id(&it.id), id(&it.now));
        let others = others.join(" or ");
        let mut text = format!("{this}: counted under {now}, in another order under {others}");
        if !places.is_log() {
            add(
                &mut text,
                format_args!(" ({})", count(it.events, "event", "events")),
            );
        }
        page.push_str(&wrapped("- ", &text));
    }
    more(page, group.ids.len(), "ID", "IDs");
    for pair in group.pairs.iter().take(LINES) {
        let [later, earlier] = [&pair.later, &pair.earlier].map(|it| places.text(it, many_files));
        let mut text = format!(
            "if {later} came before {earlier}, {} would be under {}",
            id(&pair.id),
            id(&pair.then)
        );
        if pair.more > 0 {
            add(
                &mut text,
                format_args!(
                    ", and {} would change",
                    count(pair.more, "other ID", "other IDs")
                ),
            );
        }
        page.push_str(&wrapped("  ", &text));
    }
    more(page, group.pairs.len(), "pair", "pairs");
    if group.pairs.is_empty() {
        page.push_str("  no single pair decides: several events would have to arrive earlier\n");
    }
    let orders = count(group.orders, "order", "orders");
    let claims = count(group.claims, "claim", "claims");
    let text = match (group.are_all, group.only_names) {
        (true, true) => format!(
            "{claims}, all answers; the people are the same, and only their canonical ID differs"
        ),
        (true, false) => format!("{claims}, all answers"),
        (false, true) => format!(
            "{claims}, {orders} tried; in these the people are the same, and only their canonical ID differs"
        ),
        (false, false) => format!("{claims}, {orders} tried, so there may be more answers"),
    };
    page.push_str(&wrapped("  ", &text));
}

fn more(page: &mut String, len: usize, one: &str, many: &str) {
    if len > LINES {
        let left = count((len - LINES) as u64, one, many);
        add(page, format_args!("  and {left} more\n"));
    }
}

/// Writing to a string does not fail.
fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _written = page.write_fmt(text);
}
