//! `idmerge lint`: mistakes in tracking code, with evidence and what to change.

mod page;
pub(crate) mod reading;

use idmerge_lint::{Evidence, Finding, Lint, Report};
use serde_json::{Value, json};

use crate::args::lint::{LintArgs, SeverityArg};
use crate::commands::lint::page::page;
use crate::commands::lint::reading::{Places, Read, RefusedEvents, read};
use crate::output::json::write_line;
use crate::report::ExitCode;

/// How many IDs of a finding are shown, as text and as JSON.
const EXAMPLES: [usize; 2] = [1, 10];

pub(crate) fn run(args: &LintArgs) -> anyhow::Result<ExitCode> {
    let (found, mut output) = read(
        &args.identity,
        args.output.destination()?,
        RefusedEvents::AreFindings,
        Lint::new,
    )?;
    let Read {
        fold,
        settings,
        refused,
        mut places,
    } = found;
    let examples = args.examples.unwrap_or(EXAMPLES[usize::from(args.json)]);
    let report = fold.finish(examples);
    let examples = report.findings.iter().flat_map(|it| &it.examples);
    places.find(examples.flat_map(|example| &example.evidence))?;
    if args.json {
        let mut found = json_of(&report, refused, &places);
        found["engine"] = settings.model().name().into();
        write_line(&found, &mut output)?;
    } else {
        output.write(page(&report, settings.model(), refused, &places).as_bytes())?;
    }
    output.finish()?;
    let fails = args.fail_on.map(SeverityArg::severity);
    Ok(
        match fails.is_some_and(|least| report.worst() >= Some(least)) {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        },
    )
}

fn json_of(report: &Report, refused: u64, places: &Places) -> Value {
    json!({
        "inputs": places.names(),
        "events": report.events,
        "refused": refused,
        "ids": report.ids,
        "claims": {
            "merged": report.merges,
            "already_merged": report.already_merged,
            "rejected": report.rejections,
        },
        "findings": report.findings.iter().map(|it| json_of_finding(it, places)).collect::<Vec<_>>(),
    })
}

fn json_of_finding(finding: &Finding, places: &Places) -> Value {
    let examples = finding.examples.iter().map(|example| {
        let evidence = |it: &Evidence| places.json(it);
        let mut json = json!({
            "id": example.id,
            "what": example.what,
            "events": example.events,
            "evidence": example.evidence.iter().map(evidence).collect::<Vec<_>>(),
        });
        if let Some(full_in_ms) = example.full_in_ms {
            json["full_in_ms"] = full_in_ms.into();
        }
        json
    });
    json!({
        "finding": finding.kind.name(),
        "severity": finding.kind.severity().name(),
        "rule": finding.rule,
        "what": finding.kind.title(),
        "ids": finding.ids,
        "users": finding.users,
        "events": finding.events,
        "examples": examples.collect::<Vec<_>>(),
        "fix": finding.kind.fix(),
    })
}
