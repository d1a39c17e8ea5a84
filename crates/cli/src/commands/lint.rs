//! `idmerge lint`: mistakes in tracking code, with evidence and what to change.

mod page;
pub(crate) mod reading;

use idmerge_lint::Lint;
use serde_json::{Value, json};

use crate::args::lint::{LintArgs, SeverityArg};
use crate::commands::lint::page::page;
use crate::commands::lint::reading::{Read, RefusedEvents, read};
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
        let mut found = json!({ "inputs": places.names() });
        let report = report.json(refused, &|evidence| places.json(evidence));
        if let (Some(found), Value::Object(report)) = (found.as_object_mut(), report) {
            found.extend(report);
        }
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
