//! `idmerge resolve`: events in, the same events out with the distinct_id of the person.

use anyhow::{Context, bail};
use idmerge_core::{IdentityResolver, IdentityResolverExt, Outcome};
use idmerge_events::{Failure, JsonEvent, Resolved};

use crate::args::{ResolveArgs, wrong_usage};
use crate::fold::{EventError, for_each_event};
use crate::input::{self, Again};
use crate::output::Output;
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::rejections::{RejectionsReader, RejectionsWriter};
use crate::summary::Summary;

pub(crate) fn run(args: &ResolveArgs) -> anyhow::Result<()> {
    if args.output.is_some() && args.output == args.refused {
        wrong_usage(format_args!("--output and --refused name the same file"));
    }
    let mut engine = args.fold.engine();
    let mut inputs = input::open_all(&args.fold.inputs)?;
    let mut refused = RefusedLines::new(args.refused.as_deref())?;
    let mut output = Output::create(args.output.as_deref())?;
    let progress = Progress::new(&inputs, 2, args.fold.quiet);
    let mut summary = Summary::default();

    // A merge is retroactive, so nothing can be written before everything is read.
    progress.stage("reading");
    let mut rejections = RejectionsWriter::new();
    for_each_event(
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

    let strict_failure = args.strict && summary.refused > 0;
    if !strict_failure {
        progress.stage("writing");
        let mut writer = ResolvedWriter {
            engine: &*engine,
            rejections: rejections.read().context("cannot read a temporary file")?,
            summary: &mut summary,
            line: Vec::new(),
        };
        for_each_event(
            &mut inputs,
            &args.fold,
            Again::No,
            &progress,
            None,
            |number, event| writer.write(number, event, &mut output),
        )?;
        output.finish()?;
    }

    progress.finish();
    refused.finish()?;
    if strict_failure {
        bail!(
            "{} refused, and --strict was given: nothing is written",
            summary.refused
        );
    }
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
