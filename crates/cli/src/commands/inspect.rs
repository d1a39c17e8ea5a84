//! `idmerge inspect`: which model fits an input, and what would be lost under the other.

mod evidence;
mod model;
mod report;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use foldhash::quality::RandomState;
use idmerge_adapters::Target;
use idmerge_core::Claim;
use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;

use crate::args::input::ReportFormat;
use crate::args::input::adapt::AdaptArgs;
use crate::args::inspect::InspectArgs;
use crate::commands::apply::Weighed;
use crate::commands::inspect::evidence::{Devices, Evidence, EvidenceReader};
use crate::commands::inspect::model::{ModelBatch, ModelState};
use crate::commands::inspect::report::Report;
use crate::output::destination::{Destination, Output};
use crate::output::json::write_line;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::stream::block::Block;
use crate::stream::events::{self, RefusedLine, first_refused, identity_fingerprint, read_lines};
use crate::stream::forms::unusable::Tally;
use crate::stream::input::{self, Reread};
use crate::stream::lines::Line;
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let original = args.settings.settings(Model::Original)?;
    let models = [
        Settings::of(Model::Simplified).with_id_rules(original.id_rules().clone()),
        original,
    ];
    let refused = args.input.refused(Some(&Destination::STDOUT))?;
    let mut inputs = input::find_all(&with_files_of_folders(&args.input.paths)?)?;
    let names = inputs.iter().map(|input| input.name.clone()).collect();
    let progress = Progress::of_bytes(input::total_bytes(&inputs), args.input.quiet);
    progress.stage("reading");
    let hasher = RandomState::default();
    let sink = InspectSink {
        refused: args.input.refused_writer(refused, &inputs)?,
        evidence: Evidence::default(),
        devices: Devices::default(),
        models: models.each_ref().map(ModelState::new),
        weighed: Default::default(),
    };
    let max_line_bytes = args.input.max_line_bytes;
    let adapting = args
        .adapt
        .adapting_for(Target::Both, &models[0], args.input.quiet)?;
    let adapting = adapting.as_ref();
    let pass =
        Pass::new(&mut inputs, args.input.limits(), Reread::No, &progress).adapting(adapting);
    let mut sink = pass.run(
        sink,
        |_| Ok(()),
        || InspectWorker {
            max_line_bytes,
            models: &models,
            hasher: &hasher,
            reader: EvidenceReader::new(),
        },
    )?;
    progress.finish();
    AdaptArgs::say(adapting, args.input.quiet);
    let mut evidence = sink.evidence;
    evidence.count_devices(&sink.devices);
    let refused = sink.refused.count();
    let [simplified, original] = sink.models.map(|model| model.figures(&hasher));
    let report = Report::new(names, refused, evidence, simplified, original);
    sink.refused.finish()?;
    sink.refused.excess(NOTHING_WRITTEN)?;
    write(&report, args.format)?;
    Ok(match report.is_answer() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn write(report: &Report, format: ReportFormat) -> anyhow::Result<()> {
    let mut output = Output::create(Destination::STDOUT)?;
    match format {
        ReportFormat::Text => output.write(report.to_string().as_bytes())?,
        ReportFormat::Json => write_line(report, &mut output)?,
    }
    output.finish()
}

/// The paths, with the files of a folder in place of it, by name.
fn with_files_of_folders(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let name = path.display();
        let files: io::Result<Vec<_>> =
            fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut files = files.with_context(|| format!("cannot read the folder {name}"))?;
        let is_hidden = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.as_encoded_bytes().starts_with(b".")
        };
        files.retain(|file| !is_hidden(file) && !file.is_dir());
        files.sort();
        if files.is_empty() {
            bail!(
                "there is no file in the folder {name} (hidden files and inner folders are not read)"
            );
        }
        all.append(&mut files);
    }
    Ok(all)
}

/// The findings so far, in arrival order.
struct InspectSink {
    refused: RefusedWriter,
    evidence: Evidence,
    devices: Devices,
    models: [ModelState; 2],
    weighed: [Weighed; 2],
}

impl Sink for InspectSink {}

struct InspectWorker<'w> {
    max_line_bytes: u64,
    models: &'w [Settings; 2],
    hasher: &'w RandomState,
    reader: EvidenceReader,
}

/// The events of a block.
#[derive(Default)]
struct InspectBlock<'b> {
    tally: Tally,
    events: Vec<JsonEvent<'b>>,
    refused: Vec<RefusedLine<'b>>,
    evidence: Evidence,
    models: [ModelBatch; 2],
    /// For each model the numbers and fingerprints of the identity events that can have duplicates
    /// (AR-2).
    fingerprints: [Vec<(usize, u128)>; 2],
}

impl InspectWorker<'_> {
    fn read<'b>(&self, block: &'b Block) -> InspectBlock<'b> {
        let mut read = InspectBlock::default();
        let (lines, refused) = read_lines(block, self.max_line_bytes, |line, text| {
            let event = match text {
                Some(text) => JsonEvent::parse_text(text),
                None => JsonEvent::parse(line.bytes),
            };
            let event = event.map_err(events::Refusal::Malformed)?;
            self.add(line, event, &mut read)
                .map_err(events::Refusal::Invalid)
        });
        read.tally.lines = lines;
        read.tally.first_refused = first_refused(&refused);
        read.refused = refused;
        read
    }

    /// Adds an event. It is refused if both models refuse it.
    fn add<'b>(
        &self,
        line: &Line<'b>,
        event: JsonEvent<'b>,
        read: &mut InspectBlock<'b>,
    ) -> Result<(), idmerge_core::InvalidEvent> {
        let (mut usable, mut has_id, mut refusal) = (false, false, None);
        let number = read.events.len();
        let batches = read.models.iter_mut().zip(&mut read.fingerprints);
        for (settings, (batch, fingerprints)) in self.models.iter().zip(batches) {
            match settings.read(&event.event()) {
                Ok(reading) => {
                    let fingerprint = identity_fingerprint(line, &reading, settings);
                    fingerprints.extend(fingerprint.map(|event| (number, event)));
                    usable = true;
                    has_id |= reading.distinct_id.is_some();
                    batch.add(reading.distinct_id, self.hasher);
                }
                Err(error) => {
                    batch.refuse(error.rule());
                    refusal.get_or_insert(error);
                }
            }
        }
        self.reader.add(&event, &mut read.evidence);
        read.tally.events += u64::from(usable);
        read.tally.with_id += u64::from(has_id);
        read.events.push(event);
        match refusal {
            Some(error) if !usable => Err(error),
            _ => Ok(()),
        }
    }
}

/// The numbers of the events that make claims, and the claims.
type Claims<'e> = (Vec<usize>, Vec<Claim<'e>>);

impl Worker for InspectWorker<'_> {
    type Kept = ();
    type Sink = InspectSink;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<InspectSink>>,
    ) -> anyhow::Result<()> {
        let read = self.read(block);
        let mut claims: [Claims<'_>; 2] = self.models.each_ref().map(|settings| {
            let events = read.events.iter().enumerate();
            events
                .filter_map(|(number, event)| {
                    Some((number, settings.read(&event.event()).ok()?.claim?))
                })
                .unzip()
        });
        let devices: Vec<_> = claims
            .iter()
            .flat_map(|(_, claims)| claims)
            .filter_map(|claim| Devices::of_claim(claim, self.hasher))
            .collect();
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, read.tally)?;
            sink.evidence.add(&read.evidence);
            sink.devices.add(&devices);
            for (index, batch) in read.models.into_iter().enumerate() {
                let (claimants, claims) = &mut claims[index];
                sink.weighed[index].leave_out_duplicates(
                    &read.fingerprints[index],
                    claimants,
                    claims,
                );
                sink.models[index].apply(batch, claims)?;
            }
            sink.refused.add_all(position, read.refused)
        })
    }

    fn unread_line(
        sink: &mut InspectSink,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.refused.add_unread(&refusal, copy)
    }
}
