//! `idmerge inspect`: which model a project has, which one fits, and what would be lost under the others.

mod evidence;
mod ids;
mod model;
mod page;
mod report;
mod signs;

use std::fs;
use std::io::{self, Write};
use std::mem;
use std::path::PathBuf;

use anyhow::{Context, bail};
use foldhash::quality::RandomState;
use idmerge_adapters::Target;
use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_lint::{Reader, has_user_id};

use crate::args::input::ReportFormat;
use crate::args::input::adapt::AdaptArgs;
use crate::args::inspect::InspectArgs;
use crate::commands::apply::Weighed;
use crate::commands::inspect::evidence::{Evidence, EvidenceReader};
use crate::commands::inspect::ids::{Devices, Kinds, Moves, ShownHashes};
use crate::commands::inspect::model::{Arrival, Claims, ModelBatch, ModelState, Unlimited};
use crate::commands::inspect::report::{Models, Report};
use crate::commands::inspect::signs::CurrentModel;
use crate::commands::sorting::Ordering;
use crate::output::destination::{Destination, Output};
use crate::output::json::write_line;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::report::ExitCode;
use crate::stream::block::Block;
use crate::stream::event_reader::{self, EventReader};
use crate::stream::events::{RefusedLine, first_refused};
use crate::stream::forms::unusable::Tally;
use crate::stream::input::{self, Reread};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let original = args.settings.settings(Model::Original)?;
    let of = |model| Settings::of(model).with_id_rules(original.id_rules().clone());
    let models = [of(Model::Simplified), original.clone(), of(Model::Legacy)];
    let refused = args.input.refused(Some(&Destination::STDOUT))?;
    let inputs = input::find_all(&with_files_of_folders(&args.input.paths)?)?;
    let names = inputs.iter().map(|input| input.name.clone()).collect();
    let mut refused = args.input.refused_writer(refused, &inputs)?;
    let adapting = args
        .adapt
        .adapting_for(Target::Both, &models[0], args.input.quiet)?;
    let adapting = adapting.as_ref();
    let ordering = Ordering {
        by: &args.sorting,
        input: &args.input,
        settings: &models,
        adapting,
    };
    let mut inputs = ordering.order(inputs, &mut refused)?;
    let progress = Progress::of_bytes(input::total_bytes(&inputs), args.input.quiet);
    progress.stage("reading");
    let hasher = RandomState::default();
    let sink = InspectSink {
        refused,
        found: Found::new(&models, &original),
    };
    let ids = Reader::new(&original);
    let max_line_bytes = args.input.max_line_bytes;
    let pass =
        Pass::new(&mut inputs, args.input.limits(), Reread::No, &progress).adapting(adapting);
    let sink = pass.run(
        sink,
        |_| Ok(()),
        || InspectWorker {
            events: EventReader::new(max_line_bytes),
            models: &models,
            hasher: &hasher,
            evidence: EvidenceReader::new(),
            ids: &ids,
        },
    )?;
    progress.finish();
    AdaptArgs::say(adapting, args.input.quiet);
    let is_of_another_product = adapting.is_some_and(|it| it.report().is_some());
    let InspectSink { mut refused, found } = sink;
    let count = refused.count();
    refused.finish()?;
    refused.excess(NOTHING_WRITTEN)?;
    let report = found.report(names, count, is_of_another_product, &hasher);
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

struct InspectSink {
    refused: RefusedWriter,
    found: Found,
}

impl Sink for InspectSink {}

/// What was found so far, in arrival order.
struct Found {
    /// How many events there were.
    events: u64,
    evidence: Evidence,
    kinds: Kinds,
    moves: Moves,
    devices: Devices,
    models: [ModelState; 3],
    unlimited: Unlimited,
    weighed: [Weighed; 3],
}

impl Found {
    fn new(models: &[Settings; 3], original: &Settings) -> Self {
        Self {
            events: 0,
            evidence: Evidence::default(),
            kinds: Kinds::default(),
            moves: Moves::default(),
            devices: Devices::default(),
            models: models.each_ref().map(ModelState::new),
            unlimited: Unlimited::new(original),
            weighed: Default::default(),
        }
    }

    fn add(
        &mut self,
        read: &InspectBlock<'_>,
        claims: [Claims<'_>; 3],
        arrivals: &[Arrival<'_>],
        hasher: &RandomState,
    ) -> anyhow::Result<()> {
        for (index, mut claims) in claims.into_iter().enumerate() {
            let (claimants, made) = &mut claims;
            let fingerprints = &read.fingerprints[index];
            self.weighed[index].leave_out_duplicates(fingerprints, claimants, made)?;
            let batch = &read.models[index];
            self.models[index].apply(batch, &claims, arrivals, self.events, hasher)?;
            if index == ORIGINAL {
                self.unlimited.apply(&claims.1)?;
            }
        }
        self.evidence.add(&read.evidence);
        self.kinds.add(&read.kinds);
        self.moves.add(&read.moves);
        self.events += read.events.len() as u64;
        Ok(())
    }

    fn report(
        self,
        inputs: Vec<String>,
        refused: u64,
        is_of_another_product: bool,
        hasher: &RandomState,
    ) -> Report {
        let (mut evidence, kinds, moves) = (self.evidence, self.kinds, self.moves);
        evidence.count_ids(&kinds, &self.devices);
        let [simplified, original, legacy] = self
            .models
            .map(|model| model.figures(&kinds, &moves, hasher));
        let models = Models {
            simplified,
            original,
            legacy,
        };
        let current = CurrentModel::new(
            &evidence,
            moves.count(),
            models.all(),
            is_of_another_product,
        );
        let unlimited = self.unlimited.figures();
        Report::new(inputs, refused, evidence, models, unlimited, current)
    }
}

/// The place of Original among the models.
const ORIGINAL: usize = 1;
/// The place of Legacy.
const LEGACY: usize = 2;

struct InspectWorker<'w> {
    events: EventReader,
    models: &'w [Settings; 3],
    hasher: &'w RandomState,
    evidence: EvidenceReader,
    ids: &'w Reader,
}

/// The events of a block.
#[derive(Default)]
struct InspectBlock<'b> {
    tally: Tally,
    events: Vec<JsonEvent<'b>>,
    refused: Vec<RefusedLine<'b>>,
    evidence: Evidence,
    kinds: Kinds,
    moves: Moves,
    shown: Vec<ShownHashes>,
    models: [ModelBatch; 3],
    /// For each model the numbers and fingerprints of the identity events that can have duplicates
    /// (AR-2).
    fingerprints: [Vec<(usize, u128)>; 3],
}

impl InspectWorker<'_> {
    fn read<'b>(&self, block: &'b Block) -> InspectBlock<'b> {
        let mut read = InspectBlock::default();
        let (lines, refused) = self.events.read(block, |_, event| {
            self.add(event, &mut read)
                .map_err(event_reader::Refusal::Invalid)
        });
        read.tally.lines = lines;
        read.tally.first_refused = first_refused(&refused);
        read.refused = refused;
        read
    }

    /// Adds an event. It is refused if all models refuse it.
    fn add<'b>(
        &self,
        event: JsonEvent<'b>,
        read: &mut InspectBlock<'b>,
    ) -> Result<(), idmerge_core::InvalidEvent> {
        let (mut usable, mut has_id, mut refusal) = (false, false, None);
        let number = read.events.len();
        let (properties, rules) = (event.event(), self.models[0].id_rules());
        let has_user_id = has_user_id(&properties, rules);
        let batches = read.models.iter_mut().zip(&mut read.fingerprints);
        for (settings, (batch, fingerprints)) in self.models.iter().zip(batches) {
            match settings.read(&properties) {
                Ok(reading) => {
                    let fingerprint = self.events.identity_fingerprint(&event, &reading, settings);
                    fingerprints.extend(fingerprint.map(|event| (number, event)));
                    usable = true;
                    has_id |= reading.distinct_id.is_some();
                    batch.add(number, reading.distinct_id, has_user_id, self.hasher);
                }
                Err(error) => {
                    batch.refuse(error.rule());
                    refusal.get_or_insert(error);
                }
            }
        }
        read.kinds.add_event(&properties, rules, self.hasher);
        read.moves.add_event(&properties, rules, self.hasher);
        let shown = self.ids.shown(&properties);
        read.shown
            .extend(ShownHashes::of_event(&shown, self.hasher));
        self.evidence.add(&event, &mut read.evidence);
        read.tally.events += u64::from(usable);
        read.tally.with_id += u64::from(has_id);
        read.events.push(event);
        match refusal {
            Some(error) if !usable => Err(error),
            _ => Ok(()),
        }
    }
}

/// The events that have an ID in Legacy, which attributes them at their arrival.
fn arrivals<'e>(
    events: &'e [JsonEvent<'_>],
    legacy: &Settings,
) -> impl Iterator<Item = Arrival<'e>> {
    let events = events.iter().enumerate();
    events.filter_map(|(number, event)| {
        let event = event.event();
        let own = legacy.read(&event).ok()?.distinct_id?;
        let has_user_id = has_user_id(&event, legacy.id_rules());
        Some(Arrival {
            number,
            own,
            has_user_id,
        })
    })
}

impl Worker for InspectWorker<'_> {
    type Kept = ();
    type Sink = InspectSink;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<InspectSink>>,
    ) -> anyhow::Result<()> {
        let mut read = self.read(block);
        let claims: [Claims<'_>; 3] = self.models.each_ref().map(|settings| {
            let events = read.events.iter().enumerate();
            events
                .filter_map(|(number, event)| {
                    Some((number, settings.read(&event.event()).ok()?.claim?))
                })
                .unzip()
        });
        let arrivals: Vec<_> = arrivals(&read.events, &self.models[LEGACY]).collect();
        let (tally, refused) = (mem::take(&mut read.tally), mem::take(&mut read.refused));
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, tally)?;
            sink.found.devices.add(&read.shown);
            sink.found.add(&read, claims, &arrivals, self.hasher)?;
            sink.refused.add_all(position, refused)
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
