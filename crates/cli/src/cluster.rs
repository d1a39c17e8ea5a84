//! `idmerge clusters` and `idmerge cluster`: who has several ids.

use idmerge_core::{Cluster, IdentityResolver, IdentityResolverExt};
use serde::Serialize;

use crate::args::{ClusterArgs, ClustersArgs, FoldArgs, wrong_usage};
use crate::claims;
use crate::fold::Fold;
use crate::input::{self, Again};
use crate::output::{Output, Place};
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::say;

pub(crate) fn run_all(args: &ClustersArgs) -> anyhow::Result<()> {
    let engine = folded(args.fold.engine(), &args.fold)?;
    let mut output = Output::create(Place::Stdout)?;
    for cluster in engine.clusters() {
        write_line(&cluster, &mut output)?;
    }
    output.finish()
}

pub(crate) fn run_one(args: &ClusterArgs) -> anyhow::Result<()> {
    let engine = args.fold.engine();
    // Before anything is read: a wrong ID should not be told after an hour.
    let id = engine
        .read_id(&args.id)
        .unwrap_or_else(|error| wrong_usage(format_args!("{:?} is no ID: {error}", args.id)));
    let engine = folded(args.fold.engine(), &args.fold)?;
    let cluster = engine.cluster(id).unwrap_or_else(|| {
        say(format_args!("{id} is in no cluster"));
        Cluster {
            canonical: engine.resolve(id),
            members: Vec::new(),
        }
    });
    let mut output = Output::create(Place::Stdout)?;
    write_line(&cluster, &mut output)?;
    output.finish()
}

/// The engine after all events of the input.
fn folded(
    engine: Box<dyn IdentityResolver>,
    args: &FoldArgs,
) -> anyhow::Result<Box<dyn IdentityResolver>> {
    let mut inputs = input::find_all(&args.inputs)?;
    let refused = RefusedLines::new(None)?;
    let progress = Progress::new(&inputs, 1, args.quiet);
    progress.stage("reading");
    let fold = Fold {
        inputs: &mut inputs,
        args,
        again: Again::No,
        progress: &progress,
    };
    let folded = claims::fold(fold, engine, refused, None, &mut |_, _, _| Ok(()))?;
    progress.finish();
    folded.refused.finish()?;
    Ok(folded.engine)
}

fn write_line(value: &impl Serialize, output: &mut Output) -> anyhow::Result<()> {
    output.write_with(|out| {
        serde_json::to_writer(&mut *out, value)?;
        out.write_all(b"\n")
    })
}
