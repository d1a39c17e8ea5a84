//! `idmerge generate`: test events, and the people who send them.

use idmerge_workloads::{Mistake, MistakeStream, Person, Stream};

use crate::args::generate::GenerateArgs;
use crate::output::destination::{Destination, Output};
use crate::report::wrong_usage;
use crate::stream::progress::Progress;

pub(crate) fn run(args: &GenerateArgs) -> anyhow::Result<()> {
    let output = args.output.destination()?;
    let truth = Destination::of_option(args.truth.as_deref())?;
    let mistakes = Destination::of_option(args.mistakes.as_deref())?;
    for (one, other, names) in [
        (&truth, Some(&output), "--output and --truth"),
        (&mistakes, Some(&output), "--output and --mistakes"),
        (&mistakes, truth.as_ref(), "--truth and --mistakes"),
    ] {
        if let (Some(one), Some(other)) = (one, other)
            && one.clashes_with(other)
        {
            return Err(wrong_usage(format_args!("{names} name the same file")));
        }
    }
    let mut output = Output::create(output)?;
    let mut truth = truth.map(Output::create).transpose()?;
    let mistakes = mistakes.map(Output::create).transpose()?;
    // A bar would appear between the events.
    let progress = Progress::of_events(args.events, args.quiet || output.is_terminal());
    progress.stage("making");

    let mut stream = Events::new(args);
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
    if let Some(mut mistakes) = mistakes {
        for mistake in stream.mistakes() {
            mistakes.write_with(|out| mistake.write(out))?;
        }
        mistakes.finish()?;
    }
    Ok(())
}

/// The events of a workload, with mistakes among them or without.
enum Events {
    Plain(Box<Stream>),
    WithMistakes(Box<MistakeStream>),
}

impl Events {
    fn new(args: &GenerateArgs) -> Self {
        let GenerateArgs {
            workload,
            events,
            seed,
            ..
        } = *args;
        match args.mistakes {
            None => Self::Plain(Box::new(Stream::new(workload, events, seed))),
            Some(_) => Self::WithMistakes(Box::new(MistakeStream::new(workload, events, seed))),
        }
    }

    fn next_event(&mut self, line: &mut Vec<u8>) -> bool {
        match self {
            Self::Plain(stream) => stream.next_event(line),
            Self::WithMistakes(stream) => stream.next_event(line),
        }
    }

    fn finished(&self) -> &[Person] {
        match self {
            Self::Plain(stream) => stream.finished(),
            Self::WithMistakes(stream) => stream.finished(),
        }
    }

    fn mistakes(&self) -> &[Mistake] {
        match self {
            Self::Plain(_) => &[],
            Self::WithMistakes(stream) => stream.mistakes(),
        }
    }
}
