//! `idmerge generate`: test events, and the people who send them.

use idmerge_workloads::Stream;

use crate::args::generate::GenerateArgs;
use crate::output::destination::{Destination, Output};
use crate::report::wrong_usage;
use crate::stream::progress::Progress;

pub(crate) fn run(args: &GenerateArgs) -> anyhow::Result<()> {
    let output = args.output.destination()?;
    let truth = Destination::of_option(args.truth.as_deref())?;
    if truth
        .as_ref()
        .is_some_and(|truth| truth.clashes_with(&output))
    {
        return Err(wrong_usage(format_args!(
            "--output and --truth name the same file"
        )));
    }
    let mut output = Output::create(output)?;
    let mut truth = truth.map(Output::create).transpose()?;
    // A bar would appear between the events.
    let progress = Progress::of_events(args.events, args.quiet || output.is_terminal());
    progress.stage("making");

    let mut stream = Stream::new(args.workload, args.events, args.seed);
    let mut line = Vec::new();
    loop {
        line.clear();
        let more = stream.next_event(&mut line);
        output.write(&line)?;
        for person in stream.finished() {
            if let Some(truth) = &mut truth {
                truth.write_with(|out| person.write_truth(out))?;
            }
        }
        if !more {
            break;
        }
        progress.advance(1);
    }
    progress.finish();
    output.finish()?;
    if let Some(truth) = truth {
        truth.finish()?;
    }
    Ok(())
}
