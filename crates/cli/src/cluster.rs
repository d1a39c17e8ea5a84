//! `idmerge clusters` and `idmerge cluster`: who has several ids.

use idmerge_core::{Cluster, IdentityResolver};

use crate::args::{ClusterArgs, ClustersArgs, FoldArgs, wrong_usage};
use crate::claims;
use crate::fold::Fold;
use crate::input::{self, Again};
use crate::model::Source;
use crate::output::{Output, Place};
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::say;
use crate::store::{lines, open_for_reading, read_id};

pub(crate) fn run_all(args: &ClustersArgs) -> anyhow::Result<()> {
    let engine = engine(&args.fold)?;
    let mut output = Output::create(Place::Stdout)?;
    for cluster in engine.clusters() {
        lines::write(&cluster, &mut output)?;
    }
    output.finish()
}

pub(crate) fn run_one(args: &ClusterArgs) -> anyhow::Result<()> {
    if let Source::Model(model) = args.fold.source.source() {
        // Before anything is read: a wrong ID should not be told after an hour.
        read_id(&*model.engine(), &args.id);
    }
    let engine = engine(&args.fold)?;
    let id = read_id(&*engine, &args.id);
    let cluster = engine.cluster(id).unwrap_or_else(|| {
        say(format_args!("{id} is in no cluster"));
        Cluster {
            canonical: engine.resolve(id),
            members: Vec::new(),
        }
    });
    let mut output = Output::create(Place::Stdout)?;
    lines::write(&cluster, &mut output)?;
    output.finish()
}

/// The engine after all events of the input, or that of a store.
fn engine(args: &FoldArgs) -> anyhow::Result<Box<dyn IdentityResolver>> {
    let model = match args.source.source() {
        Source::Model(model) => model,
        Source::Store(folder) => {
            if !args.input.inputs.is_empty() {
                wrong_usage(format_args!(
                    "--store says who is who without an INPUT; apply it with `idmerge ingest`"
                ));
            }
            return Ok(Box::new(open_for_reading(folder)?.engine));
        }
    };
    let mut inputs = input::find_all(&args.input.inputs)?;
    let refused = RefusedLines::new(None)?;
    let progress = Progress::new(&inputs, 1, args.input.quiet);
    progress.stage("reading");
    let fold = Fold {
        inputs: &mut inputs,
        args: &args.input,
        again: Again::No,
        progress: &progress,
    };
    let (reader, engine) = (model.engine(), model.engine());
    let folded = claims::fold(fold, &*reader, engine, refused, None, &mut |_, _, _| Ok(()))?;
    progress.finish();
    folded.refused.finish()?;
    Ok(folded.engine)
}
