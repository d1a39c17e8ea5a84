//! `idmerge migrate`: moves a project to another model.

mod finishing;
mod folder;
mod passes;
mod people_options;
mod side_files;
mod upload;

use std::slice;

use anyhow::Context;
use idmerge_core::quote;
use idmerge_migrate::{Gathering, Options, People, Report, Tally};

use crate::args::input::adapt::AdaptArgs;
use crate::args::migrate::MigrateArgs;
use crate::commands::migrate::finishing::{Finished, Outputs};
use crate::commands::migrate::folder::Folder;
use crate::commands::migrate::passes::{Gathered, Starts};
use crate::commands::migrate::people_options::PeopleOptions;
use crate::commands::migrate::side_files::SideFiles;
use crate::commands::migrate::upload::Upload;
use crate::commands::sorting::Ordering;
use crate::environment::now_ms;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::output::summary::{self, Figures, SummaryForm, row};
use crate::report::{ExitCode, say};
use crate::spill::TEMPORARY;
use crate::stream::adapt::Adapting;
use crate::stream::input::{self, Input, Reread};
use crate::stream::pipeline::Pass;
use crate::stream::progress::Progress;

/// The exit code if there are conflicts and `--fail-on-conflict` is given.
const CONFLICTS: u8 = 3;

pub(crate) fn run(args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let now_ms = now_ms();
    let mut options = args.options(now_ms)?;
    let upload = Upload::of(args)?;
    let mut folder = Folder::open(args, &mut options)?;
    let adapting = args.adapting(&options.source)?;
    let inputs = input::find_all(&args.input.paths)?;
    let mut side_files = SideFiles::find(args)?;
    check_kept(&folder, &inputs, &side_files)?;
    let mapping = side_files.hash_of_mapping()?;
    folder.keep_people(PeopleOptions::of(args, &options, mapping))?;
    let mut refused = finishing::refused_writer(args, &folder)?;
    let mut inputs = ordering(args, &options, adapting.as_ref()).order(inputs, &mut refused)?;
    side_files.set_inputs(&inputs);
    let bytes = input::total_bytes(&inputs).map(|bytes| 2 * bytes);
    let progress = Progress::of_bytes(bytes, args.input.quiet);

    progress.stage("reading");
    let passes = Passes {
        args,
        progress: &progress,
        adapting: adapting.as_ref(),
    };
    let Gathered {
        mut gathering,
        starts,
        source,
    } = passes.gather(Gathering::new(options), &mut inputs)?;
    if let Some(source) = source {
        folder.settle_source(source)?;
    }
    let events_read = gathering.events();
    side_files.add_all(&folder, &mut gathering)?;
    input::check_unchanged(&mut inputs)?;
    let mut people = gathering.elect().context(TEMPORARY)?;
    people.set_now_ms(folder.now_ms(events_read, now_ms));

    progress.stage("writing");
    let outputs = Outputs::create(args, &folder, refused)?;
    let (mut tally, outputs) = passes.write_events(&people, starts, &mut inputs, outputs)?;
    progress.suspended(|| AdaptArgs::say(adapting.as_ref(), args.input.quiet));
    people.take_carried(&tally);
    progress.stage("checking");
    let finished = outputs.finish(
        args,
        &folder,
        &mut people,
        &mut tally,
        side_files,
        events_read,
    )?;
    progress.finish();
    end(args, &folder, &finished, upload)
}

/// Sends the folder, if that is asked, and says what was done.
fn end(
    args: &MigrateArgs,
    folder: &Folder,
    finished: &Finished,
    upload: Option<Upload>,
) -> anyhow::Result<ExitCode> {
    finishing::say_refused(finished.profiles_refused);
    if let Some(upload) = upload {
        upload.send(folder, &finished.event_files, args.input.quiet)?;
    }
    if !args.input.quiet {
        summary::print(&MigrateSummary(&finished.report), SummaryForm::Text);
        if let (Some(0), Some(field)) = (finished.report.events_compared(), args.compare()) {
            say(format_args!(
                "warning: no event that is written has the property {}, which --compare names, so nothing was compared; \
                 check its name (M-19)",
                quote(field)
            ));
        }
    }
    Ok(
        match args.fail_on_conflict && finished.report.conflicts() > 0 {
            true => ExitCode(CONFLICTS),
            false => ExitCode::SUCCESS,
        },
    )
}

/// The order of M-4.
fn ordering<'o>(
    args: &'o MigrateArgs,
    options: &'o Options,
    adapting: Option<&'o Adapting>,
) -> Ordering<'o> {
    Ordering {
        by: &args.sorting,
        input: &args.input,
        settings: slice::from_ref(&options.source),
        adapting,
    }
}

/// Checks that the migration replaces no file that it reads.
fn check_kept(folder: &Folder, inputs: &[Input], side_files: &SideFiles) -> anyhow::Result<()> {
    for destination in folder.files_to_write() {
        let destination = destination?;
        destination.must_keep(inputs, "--output")?;
        side_files.must_be_kept_by(&destination)?;
    }
    Ok(())
}

/// What both passes over the input share.
struct Passes<'p> {
    args: &'p MigrateArgs,
    progress: &'p Progress,
    /// How records of a product become events.
    adapting: Option<&'p Adapting>,
}

impl Passes<'_> {
    fn pass<'i>(&'i self, inputs: &'i mut [Input], reread: Reread) -> Pass<'i> {
        let limits = self.args.input.limits();
        Pass::new(inputs, limits, reread, self.progress).adapting(self.adapting)
    }

    /// The first pass: what all lines say.
    fn gather(&self, gathering: Gathering, inputs: &mut [Input]) -> anyhow::Result<Gathered> {
        let mut refused = RefusedWriter::new(None, self.args.input.max_refused())?;
        refused.silence();
        let pass = self.pass(inputs, Reread::Yes);
        let source = || self.args.from.settled(self.adapting);
        let (gathered, refused) = passes::gather(pass, gathering, refused, &source)?;
        refused.excess(NOTHING_WRITTEN)?;
        Ok(gathered)
    }

    /// The second pass: the events, as the target gets them.
    fn write_events(
        &self,
        people: &People,
        starts: Starts,
        inputs: &mut [Input],
        outputs: Outputs,
    ) -> anyhow::Result<(Tally, Outputs)> {
        passes::write(self.pass(inputs, Reread::No), people, starts, outputs)
    }
}

struct MigrateSummary<'r>(&'r Report);

impl Figures for MigrateSummary<'_> {
    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for MigrateSummary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let report = self.0;
        let [before, after] = report.users();
        row(f, "events", report.events_written(), "")?;
        row(f, "refused", report.events_refused(), "")?;
        if let Some(moved) = report.events_moved() {
            let what = " events whose user on arrival was another";
            row(f, "moved", moved, what)?;
        }
        if let Some(reattributed) = report.events_reattributed() {
            let what = " events whose user in the product is another";
            row(f, "reattributed", reattributed, what)?;
        }
        if let Some(elsewhere) = report.events_elsewhere()
            && report.events_compared() != Some(0)
        {
            let what = " events whose person by --compare is another";
            row(f, "elsewhere", elsewhere, what)?;
        }
        row(f, "users before", before, "")?;
        row(f, "users after", after, "")?;
        row(f, "links", report.links(), "")?;
        row(f, "conflicts", report.conflicts(), "")
    }
}
