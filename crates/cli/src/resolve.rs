//! `idmerge resolve`: events in, the same events out with the distinct_id of the person.

use anyhow::{Context, bail};
use idmerge_core::{IdentityResolver, IdentityResolverExt, Outcome};
use idmerge_events::{Failure, JsonEvent, Resolved};

use crate::args::{ResolveArgs, wrong_usage};
use crate::fold::{EventError, for_each_event};
use crate::input::{self, Again};
use crate::output::{Output, Place};
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::rejections::{RejectionsReader, RejectionsWriter};
use crate::summary::Summary;

pub(crate) fn run(args: &ResolveArgs) -> anyhow::Result<()> {
    let mut engine = args.fold.engine();
    let output = Place::of(args.output.as_deref())?;
    let refused = args.refused.as_deref().map(|path| Place::of(Some(path)));
    let refused = refused.transpose()?;
    if let Some(refused) = &refused {
        if refused.clashes_with(&output) {
            wrong_usage(format_args!("--output and --refused name the same place"));
        }
        // The output may be an input: it is put there when all is read.
        if args.fold.inputs.iter().any(|path| refused.replaces(path)) {
            wrong_usage(format_args!(
                "--refused names an INPUT, which it would replace"
            ));
        }
    }
    let mut inputs = input::find_all(&args.fold.inputs)?;
    let mut refused = RefusedLines::new(refused)?;
    let mut output = Output::create(output)?;
    let progress = Progress::new(&inputs, 2, args.fold.quiet);
    let mut summary = Summary::default();

    // A merge is retroactive, so nothing can be written before everything is read.
    progress.stage("reading");
    let mut rejections = RejectionsWriter::new();
    let events = for_each_event(
        &mut inputs,
        &args.fold,
        Again::Yes,
        &progress,
        Some(&mut refused),
        |number, event| {
            let (_, outcome) = engine.apply_event(&event.event())?;
            if let Some(outcome) = outcome {
                summary.count_outcome(&outcome);
                if let Outcome::Rejected(rejection) = outcome {
                    rejections
                        .add(number, &rejection)
                        .context("cannot write a temporary file")?;
                }
            }
            Ok(())
        },
    )?;
    summary.refused = refused.count();

    // Now, so that they are not lost where nobody reads the output to its end.
    progress.aside(|| refused.finish())?;
    if args.strict && summary.refused > 0 {
        bail!(
            "{} refused, and --strict was given: nothing is written",
            summary.refused
        );
    }

    progress.stage("writing");
    // A bar would stand between the events.
    if output.is_terminal() {
        progress.finish();
    }
    let mut writer = ResolvedWriter {
        engine: &*engine,
        rejections: rejections.read().context("cannot read a temporary file")?,
        summary: &mut summary,
        line: Vec::new(),
    };
    let events_again = for_each_event(
        &mut inputs,
        &args.fold,
        Again::No,
        &progress,
        None,
        |number, event| writer.write(number, event, &mut output),
    )?;
    if events_again != events {
        bail!("the input changed while it was read: it had {events} events, then {events_again}");
    }
    output.finish()?;

    progress.finish();
    if !args.fold.quiet {
        summary.say();
    }
    Ok(())
}

/// The second reading: every event with its answer.
struct ResolvedWriter<'r> {
    engine: &'r dyn IdentityResolver,
    rejections: RejectionsReader,
    summary: &'r mut Summary,
    line: Vec<u8>,
}

impl ResolvedWriter<'_> {
    fn write(
        &mut self,
        number: u64,
        event: &JsonEvent<'_>,
        output: &mut Output,
    ) -> Result<(), EventError> {
        let own = self.engine.read(&event.event())?.distinct_id;
        let canonical = own.map(|id| self.engine.resolve(id));
        self.summary.count_event(own, canonical);
        let rejection = self
            .rejections
            .of_event(number)
            .context("cannot read a temporary file")?;
        let resolved = Resolved {
            rule_book: self.engine.rule_book(),
            own,
            canonical,
            failure: rejection.as_ref().map(|rejection| Failure {
                reason: &rejection.code,
                description: &rejection.description,
            }),
        };
        self.line.clear();
        event.write_resolved(&resolved, &mut self.line);
        self.line.push(b'\n');
        Ok(output.write(&self.line)?)
    }
}
