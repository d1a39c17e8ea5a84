//! Gives what events say about IDs to a fold, with the place of each event.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::mem;
use std::sync::Arc;

#[cfg(feature = "store")]
use anyhow::Context as _;
use idmerge_core::InvalidEvent;
use idmerge_engines::Settings;
use idmerge_events::{Envelope, TimeRange};
use idmerge_lint::{At, Evidence, Facts, Fold, Reader};
use serde_json::{Value, json};

use crate::args::identities::{Identities, IdentityArgs};
use crate::args::input::adapt::AdaptArgs;
use crate::commands::apply::Weighed;
use crate::commands::sorting::Ordering;
#[cfg(feature = "store")]
use crate::commands::store::open::{OpenStore, open_for_reading};
use crate::output::destination::{Destination, Output};
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
#[cfg(not(feature = "store"))]
use crate::report::left_out;
use crate::report::wrong_usage;
use crate::stream::block::Block;
use crate::stream::event_reader::{self, EventReader, identity_fingerprint};
use crate::stream::events::{RefusedLine, first_refused};
use crate::stream::forms::unusable::Tally;
use crate::stream::input::sorted::Origins;
use crate::stream::input::{self, Input, Reread};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{BlockPosition, OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

/// A fold that was given everything.
pub(crate) struct Read<F> {
    pub(crate) fold: F,
    pub(crate) settings: Settings,
    /// How many lines were refused.
    pub(crate) refused: u64,
    pub(crate) places: Places,
}

/// What becomes of events that the rules refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedEvents {
    /// The fold finds them. Other lines that cannot be used are shown on stderr.
    AreFindings,
    /// They are shown on stderr.
    AreShown,
}

/// Where events are.
pub(crate) struct Places {
    names: Vec<String>,
    /// Of each input whose records were sorted: where each record was.
    origins: Vec<Option<Arc<Origins>>>,
    /// If these are entries of a log: those that are evidence, with the `$insert_id` and the source.
    #[cfg(feature = "store")]
    log: Option<OpenStore>,
    entries: BTreeMap<u64, [Option<String>; 2]>,
}

/// Reads everything, and returns the output, which is opened before, with the fold.
pub(crate) fn read<F: Fold + Send>(
    args: &IdentityArgs,
    output: Destination,
    refused: RefusedEvents,
    new: impl FnOnce(&Settings) -> F,
) -> anyhow::Result<(Read<F>, Output)> {
    let identities = args.identities()?;
    match &identities {
        Identities::OfInput(settings) => {
            read_inputs(args, settings, output, refused, new(settings))
        }
        Identities::OfStore(_) if !args.input.paths.is_empty() => Err(wrong_usage(format_args!(
            "--store reads no INPUT: leave it out, or apply it first with `idmerge ingest`"
        ))),
        #[cfg(feature = "store")]
        Identities::OfStore(folder) => {
            let store = open_for_reading(folder)?;
            let output = Output::create(output)?;
            let fold = new(&store.settings);
            let read = read_log(store, folder.display().to_string(), fold)?;
            Ok((read, output))
        }
        #[cfg(not(feature = "store"))]
        Identities::OfStore(_) => Err(left_out("`--store`", "store")),
    }
}

#[cfg(feature = "store")]
fn read_log<F: Fold>(store: OpenStore, name: String, mut fold: F) -> anyhow::Result<Read<F>> {
    use idmerge_store::What;

    let reader = Reader::new(&store.settings);
    let withdrawn = store.history.withdrawn()?;
    store.each_entry(1, &mut |entry| {
        if let What::Claim { claim, .. } = entry.what
            && !withdrawn.contains(&entry.sequence)
        {
            let found = Evidence {
                time_ms: entry.cause.time_ms,
                ..Evidence::of_line(entry.sequence)
            };
            fold.add(&reader.read_claim(claim), "", true, found)?;
        }
        Ok(true)
    })?;
    Ok(Read {
        fold,
        settings: store.settings.clone(),
        refused: 0,
        places: Places {
            names: vec![name],
            origins: vec![None],
            log: Some(store),
            entries: BTreeMap::new(),
        },
    })
}

fn read_inputs<F: Fold + Send>(
    args: &IdentityArgs,
    settings: &Settings,
    output: Destination,
    refused_events: RefusedEvents,
    fold: F,
) -> anyhow::Result<(Read<F>, Output)> {
    let refused = args.input.refused(Some(&output))?;
    let inputs = input::find_all(&args.input.paths)?;
    output.must_keep(&inputs, "--output")?;
    let names = inputs.iter().map(|input| input.name.clone()).collect();
    let mut refused = args.input.refused_writer(refused, &inputs)?;
    let output = Output::create(output)?;
    let adapting = args.adapt.adapting(settings, args.input.quiet)?;
    let adapting = adapting.as_ref();
    let ordering = Ordering::of(args, settings, adapting);
    let mut inputs = ordering.order(inputs, &mut refused)?;
    let places = Places {
        names,
        origins: inputs.iter().map(Input::origins).collect(),
        #[cfg(feature = "store")]
        log: None,
        entries: BTreeMap::new(),
    };
    let progress = Progress::of_bytes(input::total_bytes(&inputs), args.input.quiet);
    progress.stage("reading");
    let pass = Pass::new(&mut inputs, args.input.limits(), Reread::No, &progress);
    let sink = FoldSink {
        fold,
        refused,
        weighed: Weighed::default(),
        invalid: 0,
    };
    let mut sink = fold_all(pass.adapting(adapting), settings, &places, sink)?;
    progress.finish();
    AdaptArgs::say(adapting, args.input.quiet);
    let refused = sink.refused.count();
    if refused_events == RefusedEvents::AreFindings && sink.invalid == refused {
        sink.refused.silence();
    }
    sink.refused.finish()?;
    sink.refused.excess(NOTHING_WRITTEN)?;
    let read = Read {
        fold: sink.fold,
        settings: settings.clone(),
        refused,
        places,
    };
    Ok((read, output))
}

fn fold_all<F: Fold + Send>(
    pass: Pass<'_>,
    settings: &Settings,
    places: &Places,
    sink: FoldSink<F>,
) -> anyhow::Result<FoldSink<F>> {
    let max_line_bytes = pass.limits.max_line_bytes;
    let reader = Reader::new(settings);
    let worker = || FoldWorker {
        events: EventReader::new(max_line_bytes),
        settings,
        reader: &reader,
        are_sorted: places.origins.iter().any(Option::is_some),
        fold: PhantomData,
    };
    pass.run(sink, |_| Ok(()), worker)
}

struct FoldSink<F> {
    fold: F,
    refused: RefusedWriter,
    weighed: Weighed,
    /// How many events the rules refuse.
    invalid: u64,
}

impl<F> Sink for FoldSink<F> {}

struct FoldWorker<'r, F> {
    events: EventReader,
    settings: &'r Settings,
    reader: &'r Reader,
    are_sorted: bool,
    fold: PhantomData<fn() -> F>,
}

/// An event of a block, with the number of its line.
struct Found<'b> {
    line: u64,
    envelope: Envelope<'b>,
    /// The fingerprint of an identity event that can have duplicates (AR-2).
    fingerprint: Option<u128>,
    refused: Option<InvalidEvent>,
}

/// The events of a block, refused ones included.
#[derive(Default)]
struct FoundBlock<'b> {
    tally: Tally,
    found: Vec<Found<'b>>,
    refused: Vec<RefusedLine<'b>>,
}

impl<F> FoldWorker<'_, F> {
    fn read<'b>(&self, block: &'b Block) -> FoundBlock<'b> {
        let mut read = FoundBlock::default();
        let (tally, all) = (&mut read.tally, &mut read.found);
        let (lines, refused) = self.events.read(block, |line, envelope: Envelope<'b>| {
            let reading = self.settings.read(&envelope.json_event().event());
            let mut fingerprint = None;
            if let Ok(reading) = &reading {
                tally.events += 1;
                tally.with_id += u64::from(reading.distinct_id.is_some());
                fingerprint = identity_fingerprint(&envelope, reading, self.settings);
            }
            let error = reading.err();
            all.push(Found {
                line: line.number,
                envelope,
                fingerprint,
                refused: error.clone(),
            });
            error.map_or(Ok(()), |error| Err(event_reader::Refusal::Invalid(error)))
        });
        read.tally.lines = lines;
        read.tally.first_refused = first_refused(&refused);
        read.refused = refused;
        read
    }

    fn at(&self, block: &Block, position: &BlockPosition<'_>, line: u64) -> At {
        let input = u32::try_from(block.input).unwrap_or(u32::MAX);
        if self.are_sorted {
            return At {
                input,
                line: position.line_as_read(line),
                record: 0,
            };
        }
        let place = position.line(line);
        At {
            input,
            line: place.line,
            record: place
                .record
                .map_or(0, |record| u32::try_from(record).unwrap_or(u32::MAX)),
        }
    }
}

impl<F: Fold + Send> Worker for FoldWorker<'_, F> {
    type Kept = ();
    type Sink = FoldSink<F>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<FoldSink<F>>>,
    ) -> anyhow::Result<()> {
        let mut read = self.read(block);
        let (tally, refused) = (mem::take(&mut read.tally), mem::take(&mut read.refused));
        let facts: Vec<Option<Facts<'_>>> = read
            .found
            .iter()
            .map(|found| {
                let event = found.envelope.json_event().event();
                let reading = self.settings.read(&event).ok()?;
                Some(self.reader.read(&event, &reading))
            })
            .collect();
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, tally)?;
            for (found, facts) in read.found.iter().zip(&facts) {
                let evidence = Evidence {
                    at: self.at(block, &position, found.line),
                    time_ms: found.envelope.time(TimeRange::Year9999).ms(),
                };
                if let Some(facts) = facts {
                    let weighs = match found.fingerprint {
                        Some(event) => sink.weighed.is_first(event)?,
                        None => true,
                    };
                    let name = found.envelope.name();
                    sink.fold.add(facts, name, weighs, evidence)?;
                } else if let Some(error) = &found.refused {
                    sink.invalid += 1;
                    let event = found.envelope.json_event().event();
                    sink.fold.add_refused(&event, error, evidence);
                }
            }
            sink.refused.add_all(position, refused)
        })
    }

    fn unread_line(
        sink: &mut FoldSink<F>,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.refused.add_unread(&refusal, copy)
    }
}

impl Places {
    /// The names of the inputs.
    pub(crate) fn names(&self) -> &Vec<String> {
        &self.names
    }

    /// Whether these are entries of a log, which does not have the events that make no claim.
    #[cfg(feature = "store")]
    pub(crate) fn is_log(&self) -> bool {
        self.log.is_some()
    }

    #[cfg(not(feature = "store"))]
    pub(crate) fn is_log(&self) -> bool {
        false
    }

    /// What is counted: events, or the claims of a log.
    pub(crate) fn noun(&self) -> &'static str {
        if self.is_log() { "claim" } else { "event" }
    }

    /// More than one of them.
    pub(crate) fn nouns(&self) -> &'static str {
        if self.is_log() { "claims" } else { "events" }
    }

    /// Reads what is shown of the entries of a log.
    pub(crate) fn find<'e>(
        &mut self,
        evidence: impl IntoIterator<Item = &'e Evidence>,
    ) -> anyhow::Result<()> {
        #[cfg(feature = "store")]
        if let Some(store) = &self.log {
            let shown = evidence.into_iter().map(|it| it.at.line);
            self.entries = shown.map(|entry| (entry, [None, None])).collect();
            let Some((&first, _)) = self.entries.first_key_value() else {
                return Ok(());
            };
            let last = *self
                .entries
                .last_key_value()
                .map_or(&first, |(last, _)| last);
            let entries = &mut self.entries;
            return store
                .each_entry(first, &mut |entry| {
                    if let Some(shown) = entries.get_mut(&entry.sequence) {
                        let texts = [entry.cause.insert_id, entry.cause.source];
                        *shown = texts.map(|text| text.map(str::to_owned));
                    }
                    Ok(entry.sequence < last)
                })
                .context("cannot read the log again");
        }
        #[cfg(not(feature = "store"))]
        drop(evidence);
        Ok(())
    }

    /// The name of the input, the line, and the number of the record if the input is not made of lines.
    fn place(&self, at: At) -> (&str, u64, u64) {
        let input = at.input as usize;
        let origins = self.origins.get(input).and_then(Option::as_ref);
        if let Some((file, origin)) = origins.and_then(|origins| origins.of(at.line)) {
            return (file, origin.line, origin.record);
        }
        let name = self.names.get(input).map_or("", String::as_str);
        (name, at.line, u64::from(at.record))
    }

    /// Where an event is, as JSON.
    pub(crate) fn json(&self, evidence: &Evidence) -> Value {
        let Evidence { at, time_ms } = *evidence;
        let mut json = if self.is_log() {
            json!({ "entry": at.line })
        } else {
            let (file, line, record) = self.place(at);
            let mut json = json!({ "file": file, "line": line });
            if record > 0 {
                json["record"] = record.into();
            }
            json
        };
        if let Some(texts) = self.entries.get(&at.line) {
            for (key, text) in ["insert_id", "source"].into_iter().zip(texts) {
                if let Some(text) = text {
                    json[key] = text.as_str().into();
                }
            }
        }
        if let Some(time_ms) = time_ms {
            json["time_ms"] = time_ms.into();
        }
        json
    }

    /// Where an event is, in words.
    pub(crate) fn text(&self, evidence: &Evidence, many_files: bool) -> String {
        let at = evidence.at;
        if self.is_log() {
            let insert_id = self.entries.get(&at.line).and_then(|it| it[0].as_deref());
            return match insert_id {
                Some(insert_id) => format!("entry {}, $insert_id {insert_id}", at.line),
                None => format!("entry {}", at.line),
            };
        }
        let (file, line, record) = self.place(at);
        let line = match record {
            0 => format!("line {line}"),
            record => format!("record {record} on line {line}"),
        };
        match many_files {
            true => format!("{file} {line}"),
            false => line,
        }
    }
}
