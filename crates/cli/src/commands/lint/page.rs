//! The findings as text that fits a screen.

use std::fmt::Write as _;

use idmerge_engines::Model;
use idmerge_lint::{Example, Finding, Report, Severity};

use crate::commands::lint::reading::Places;
use crate::output::figure::{cut, shown, time_text};
use crate::output::text::{count, human, wrapped};

/// Up to this many findings fit on a screen, each with an example and what to change.
const EXPLAINED_OF_FEW: usize = 5;

/// If there are more, this many are explained, and the others have one line each.
const EXPLAINED_OF_MANY: usize = 3;

const ID_COLUMNS_MAX: usize = 36;

/// An example is one line.
const EXAMPLE_COLUMNS_MAX: usize = 90;

/// Where the texts below a finding begin.
const INDENT: &str = "         ";

pub(super) fn page(report: &Report, model: Model, refused: u64, places: &Places) -> String {
    let mut page = String::new();
    let names = places.names();
    let inputs = match names.as_slice() {
        [name] => shown(name),
        names => count(names.len() as u64, "input", "inputs"),
    };
    let events = count(report.events, places.noun(), places.nouns());
    let ids = count(report.ids, "ID", "IDs");
    add(
        &mut page,
        format_args!("{inputs}: {events}, {ids}, {model}"),
    );
    if refused > 0 {
        add(&mut page, format_args!(", {} refused", human(refused)));
    }
    let claims = claims_text(report);
    page.push('\n');
    page.push_str(&wrapped("claims: ", &claims));
    page.push('\n');
    if report.findings.is_empty() {
        page.push_str(match report.events {
            0 => "There is no event, so nothing was checked.\n",
            _ => "No mistake was found.\n",
        });
        return page;
    }
    let many_files = names.len() > 1;
    let explained = match report.findings.len() {
        ..=EXPLAINED_OF_FEW => EXPLAINED_OF_FEW,
        _ => EXPLAINED_OF_MANY,
    };
    for (number, finding) in report.findings.iter().enumerate() {
        add_finding(&mut page, finding, number < explained, many_files, places);
    }
    let of = |severity: Severity| {
        let of_severity = report.findings.iter();
        let of_severity = of_severity.filter(|it| it.kind.severity() == severity);
        of_severity.count() as u64
    };
    let [errors, warnings, notes] = Severity::ALL.map(of);
    let counts = [
        count(errors, "error", "errors"),
        count(warnings, "warning", "warnings"),
        count(notes, "note", "notes"),
    ];
    add(&mut page, format_args!("{}", counts.join(", ")));
    if report.findings.len() > explained {
        page.push_str("; --json has examples and fixes of all");
    }
    page.push('\n');
    page
}

/// What became of the claims.
fn claims_text(report: &Report) -> String {
    let rejected: u64 = report.rejections.values().sum();
    let (merged, again) = (human(report.merges), human(report.already_merged));
    let codes = report.rejections.iter();
    let codes: Vec<_> = codes
        .map(|(code, number)| format!("{} {code}", human(*number)))
        .collect();
    let mut claims = format!(
        "{merged} merged, {again} already merged, {} rejected",
        human(rejected)
    );
    if !codes.is_empty() {
        add(&mut claims, format_args!(" ({})", codes.join(", ")));
    }
    claims
}

fn add_finding(
    page: &mut String,
    finding: &Finding,
    is_explained: bool,
    many_files: bool,
    places: &Places,
) {
    let users = match finding.users {
        Some(users) => count(users, "user", "users"),
        None => String::new(),
    };
    let (kind, severity) = (finding.kind, finding.kind.severity());
    let ids = count(finding.ids, "ID", "IDs");
    let events = count(finding.events, "event", "events");
    add(
        page,
        format_args!(
            "{severity:<8} {kind:<26}{ids:>10}{users:>14}{events:>17}  {}\n",
            finding.rule
        ),
    );
    if !is_explained {
        return;
    }
    for example in &finding.examples {
        add_example(page, example, many_files, places);
    }
    page.push_str(&wrapped(INDENT, finding.kind.fix()));
}

fn add_example(page: &mut String, example: &Example, many_files: bool, places: &Places) {
    let id = cut(&shown(&example.id), ID_COLUMNS_MAX);
    let mut what = shown(&example.what);
    if let Some(full_in_ms) = example.full_in_ms {
        add(
            &mut what,
            format_args!(", full in {} at this rate", time_text(full_in_ms)),
        );
    }
    let at = example.evidence.iter();
    let mut at = at
        .map(|it| places.text(it, many_files))
        .collect::<Vec<_>>()
        .join(", ");
    if !at.is_empty() {
        at = format!(" ({at})");
    }
    // What is cut is not where it is.
    let room = EXAMPLE_COLUMNS_MAX.saturating_sub(at.chars().count());
    let line = cut(&format!("{id}: {what}"), room.max(ID_COLUMNS_MAX));
    page.push_str(&wrapped(INDENT, &(line + &at)));
}

/// Writing to a string does not fail.
fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _written = page.write_fmt(text);
}
