//! `idmerge clusters`, `idmerge cluster` and `idmerge mappings`: IDs that belong to one person.

use idmerge_core::{Cluster, Resolve};
use idmerge_events::{MappingFormat, MappingWriter};

use crate::args::identities::{Identities, IdentityArgs, read_id, say_did_you_mean};
use crate::args::input::adapt::AdaptArgs;
use crate::args::resolve::{ClusterArgs, ClustersArgs, MappingsArgs, RowFormat};
use crate::commands::apply::apply_all;
use crate::commands::sorting::{self, Ordering};
#[cfg(feature = "store")]
use crate::commands::store::open::open_for_reading;
use crate::output::destination::{Destination, Layout, Output};
use crate::output::json::write_line;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
#[cfg(not(feature = "store"))]
use crate::report::left_out;
use crate::report::{say, wrong_usage};
use crate::stream::adapt::Adapting;
use crate::stream::input::{self, Input, Reread};
use crate::stream::pipeline::Pass;
use crate::stream::progress::Progress;

pub(crate) fn run_all(args: &ClustersArgs) -> anyhow::Result<()> {
    let identities = args.identity.identities()?;
    let output = args.output.destination_of(Layout::Clusters)?;
    let (engine, mut output) = engine_and_output(&args.identity, &identities, output)?;
    for cluster in engine.clusters() {
        write_line(&cluster, &mut output)?;
    }
    output.finish()
}

pub(crate) fn run_mappings(args: &MappingsArgs) -> anyhow::Result<()> {
    let identities = args.identity.identities()?;
    let output = match args.format {
        Some(_) => args.output.destination()?,
        None => args.output.destination_of(Layout::Mappings)?,
    };
    let format = args
        .format
        .map_or(MappingFormat::Ndjson, RowFormat::of_mappings);
    let (engine, mut output) = engine_and_output(&args.identity, &identities, output)?;
    output.write_with(|out| {
        let mut rows = MappingWriter::new(format, out)?;
        for cluster in engine.clusters() {
            rows.write_cluster(&cluster)?;
        }
        rows.finish().map(|_out| ())
    })?;
    output.finish()
}

pub(crate) fn run_one(args: &ClusterArgs) -> anyhow::Result<()> {
    // Check the ID before the input is read: reading may take an hour.
    let identities = args.identity.identities()?;
    let settings = sorting::settings(&identities)?;
    let id = read_id(&settings, &args.id)?;
    let output = Destination::STDOUT;
    let (engine, mut output) = engine_and_output(&args.identity, &identities, output)?;
    let cluster = engine.cluster(id).unwrap_or_else(|| {
        if !say_did_you_mean(&settings, &*engine, id) {
            say(format_args!("{id} is in no cluster"));
        }
        Cluster {
            canonical: engine.resolve(id),
            members: Vec::new(),
        }
    });
    write_line(&cluster, &mut output)?;
    output.finish()
}

/// The inputs to find identities in. A store has all identities already, so it needs none.
fn inputs(args: &IdentityArgs, identities: &Identities<'_>) -> anyhow::Result<Vec<Input>> {
    match identities {
        Identities::OfInput(_) => input::find_all(&args.input.paths),
        Identities::OfStore(_) if args.input.paths.is_empty() => Ok(Vec::new()),
        Identities::OfStore(_) => Err(wrong_usage(format_args!(
            "--store reads no INPUT: leave it out, or apply it first with `idmerge ingest`"
        ))),
    }
}

/// The engine of a store, or a new one after all events of the input. The output is opened before
/// anything is read.
fn engine_and_output(
    args: &IdentityArgs,
    identities: &Identities<'_>,
    output: Destination,
) -> anyhow::Result<(Box<dyn Resolve>, Output)> {
    let refused = args.input.refused(Some(&output))?;
    let inputs = inputs(args, identities)?;
    output.must_keep(&inputs, "--output")?;
    let mut refused = args.input.refused_writer(refused, &inputs)?;
    let output = Output::create(output)?;
    let settings = sorting::settings(identities)?;
    let adapting = args.adapt.adapting(&settings, args.input.quiet)?;
    let adapting = adapting.as_ref();
    let ordering = Ordering::of(args, &settings, adapting);
    let inputs = ordering.order(inputs, &mut refused)?;
    let engine = engine(args, identities, adapting, inputs, refused)?;
    Ok((engine, output))
}

fn engine(
    args: &IdentityArgs,
    identities: &Identities<'_>,
    adapting: Option<&Adapting>,
    mut inputs: Vec<Input>,
    refused: RefusedWriter,
) -> anyhow::Result<Box<dyn Resolve>> {
    let settings = match identities {
        Identities::OfInput(settings) => settings,
        #[cfg(feature = "store")]
        Identities::OfStore(folder) => return Ok(Box::new(open_for_reading(folder)?.engine)),
        #[cfg(not(feature = "store"))]
        Identities::OfStore(_) => return Err(left_out("`--store`", "store")),
    };
    let progress = Progress::of_bytes(input::total_bytes(&inputs), args.input.quiet);
    progress.stage("reading");
    let pass =
        Pass::new(&mut inputs, args.input.limits(), Reread::No, &progress).adapting(adapting);
    let mut applied = apply_all(pass, settings, refused, None, &mut |_, _, _| Ok(()))?;
    progress.finish();
    AdaptArgs::say(adapting, args.input.quiet);
    applied.refused.finish()?;
    applied.refused.excess(NOTHING_WRITTEN)?;
    Ok(applied.engine)
}
