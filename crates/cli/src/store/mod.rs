//! `idmerge store`: questions to a store, and its keeping.

pub(crate) mod args;
mod explain;
pub(crate) mod lines;
mod open;

use std::process::ExitCode;

use anyhow::Context;
use idmerge_core::{IdentityResolver, IdentityResolverExt};
use idmerge_store::{Cause, Difference, Digest, StoreError, first_difference, repair, restore};
use serde_json::json;

use crate::args::wrong_usage;
use crate::model::Model;
use crate::output::{Output, Place};
use crate::say;
use args::{
    AsOfArgs, BackupArgs, ChangesArgs, CompareArgs, DigestArgs, FolderArgs, LogArgs, RestoreArgs,
    RetractArgs, SimulateArgs, StoreArgs, StoreCommand,
};
pub(crate) use open::{Store, open_for_reading, open_for_writing, wanted_of};

pub(crate) fn run(args: &StoreArgs) -> anyhow::Result<ExitCode> {
    let mut output = Output::create(Place::Stdout)?;
    let mut exit_code = ExitCode::SUCCESS;
    match &args.command {
        StoreCommand::Info(args) => info(args, &mut output)?,
        StoreCommand::Log(args) => log(args, &mut output)?,
        StoreCommand::Explain(args) => explain::run(args, &mut output)?,
        StoreCommand::Retract(args) => retract(args, &mut output)?,
        StoreCommand::Changes(args) => changes(args, &mut output)?,
        StoreCommand::Simulate(args) => simulate(args, &mut output)?,
        StoreCommand::AsOf(args) => as_of(args, &mut output)?,
        StoreCommand::Digest(args) => digest(args, &mut output)?,
        StoreCommand::Compare(args) => exit_code = compare(args, &mut output)?,
        StoreCommand::Backup(args) => backup(args, &mut output)?,
        StoreCommand::Restore(args) => restore_from(args, &mut output)?,
        StoreCommand::Repair(args) => repair_in(args, &mut output)?,
    }
    output.finish()?;
    Ok(exit_code)
}

fn info(args: &FolderArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.folder)?;
    let (mut clusters, mut members, mut largest) = (0_u64, 0_u64, 0);
    for cluster in store.engine.clusters() {
        clusters += 1;
        members += cluster.members.len() as u64;
        largest = largest.max(cluster.members.len());
    }
    let (max_cluster_ids, anon_id_format) = match store.model {
        Model::Simplified => (None, None),
        Model::Original {
            max_cluster_ids,
            anon_id_format,
        } => (Some(max_cluster_ids), Some(anon_id_format.to_string())),
    };
    let mut info = json!({
        "engine": store.engine.rule_book().name(),
        "entries": store.history.last(),
        "clusters": clusters,
        "members": members,
        "largest_cluster": largest,
    });
    if let Some(info) = info.as_object_mut() {
        info.extend(max_cluster_ids.map(|max| ("max_cluster_ids".to_owned(), max.into())));
        info.extend(anon_id_format.map(|format| ("anon_id_format".to_owned(), format.into())));
    }
    lines::write(&info, output)
}

fn log(args: &LogArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let limit = args.limit.unwrap_or(u64::MAX);
    let mut written = 0;
    store.each(args.from, &mut |entry| {
        if written < limit {
            written += 1;
            lines::write(&lines::entry(&entry), output)?;
        }
        Ok(written < limit)
    })
}

fn retract(args: &RetractArgs, output: &mut Output) -> anyhow::Result<()> {
    let mut store = open_for_writing(&args.store.folder, None)?;
    // So that what hangs together with the entry is found, and not read through for.
    store.index()?;
    let source = Some("idmerge store retract");
    let cause = Cause {
        source,
        ..Cause::default()
    };
    let retraction = store
        .retract(args.sequence, &args.who, &args.why, cause)
        .with_context(|| format!("cannot retract entry {}", args.sequence))?;
    let mut remapped = 0_u64;
    for remap in retraction.remaps() {
        remapped += 1;
        lines::write(&lines::remap(retraction.sequence, remap), output)?;
    }
    say(format_args!(
        "entry {} is withdrawn by entry {}; {remapped} IDs have another canonical ID",
        args.sequence, retraction.sequence
    ));
    Ok(store.close()?)
}

fn changes(args: &ChangesArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let limit = args.limit.unwrap_or(u64::MAX);
    let (mut written, mut last) = (0, 0);
    let mut failed = Ok(());
    let changed = store.history.changes_since(args.since, &mut |change| {
        // The changes of one entry stay together, so that a reader can go on after it.
        if written >= limit && change.sequence != last {
            return Ok(false);
        }
        written += 1;
        last = change.sequence;
        let mut line = lines::remap(change.sequence, [change.id, change.from, change.to]);
        lines::add_cause(&mut line, &change.cause);
        failed = lines::write(&line, output);
        Ok(failed.is_ok())
    });
    failed?;
    changed.with_context(|| format!("cannot list changes after entry {}", args.since))
}

fn simulate(args: &SimulateArgs, output: &mut Output) -> anyhow::Result<()> {
    let model = args.engine.model();
    let store = open_for_reading(&args.store.folder)?;
    let sequence = args.as_of.unwrap_or_else(|| store.history.last());
    let other = store.history.simulate(sequence, model.engine())?;
    let earlier;
    let now: &dyn IdentityResolver = match args.as_of {
        None => &store.engine,
        Some(sequence) => {
            earlier = store.history.as_of(sequence)?;
            &earlier
        }
    };
    let difference = Difference::between(now, &other, args.examples);
    let line = json!({
        "as_of": sequence,
        "store": store.model.to_string(),
        "simulated": model.to_string(),
        "clusters": difference.clusters,
        "simulated_clusters": difference.other_clusters,
        "split": difference.split,
        "joined": difference.joined,
        "split_examples": difference.split_examples,
        "joined_examples": difference.joined_examples,
    });
    lines::write(&line, output)
}

fn as_of(args: &AsOfArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let engine = store.history.as_of(args.sequence)?;
    for text in &args.ids {
        let id = read_id(&engine, text);
        let line = json!({ "id": text, "distinct_id": engine.resolve(id) });
        lines::write(&line, output)?;
    }
    Ok(())
}

fn digest(args: &DigestArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let sequence = args.as_of.unwrap_or_else(|| store.history.last());
    let digest = match args.as_of {
        None => Digest::of(&store.engine)?,
        Some(sequence) => store.history.digest(sequence)?,
    };
    let line = json!({ "as_of": sequence, "digest": digest.to_string() });
    lines::write(&line, output)
}

fn compare(args: &CompareArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let first = open_for_reading(&args.first)?;
    let second = open_for_reading(&args.second)?;
    let Some(sequence) = first_difference(&first.history, &second.history)? else {
        let line = json!({ "same": true, "entries": first.history.last() });
        lines::write(&line, output)?;
        return Ok(ExitCode::SUCCESS);
    };
    let at = |store: &Store| -> anyhow::Result<_> {
        let mut found = serde_json::Value::Null;
        store.each(sequence, &mut |entry| {
            found = lines::entry(&entry);
            Ok(false)
        })?;
        Ok(found)
    };
    let line = json!({
        "same": false,
        "sequence": sequence,
        "first": at(&first)?,
        "second": at(&second)?,
    });
    lines::write(&line, output)?;
    Ok(ExitCode::FAILURE)
}

fn backup(args: &BackupArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let entries = store.history.backup(&args.file)?;
    lines::write(&json!({ "entries": entries }), output)
}

fn restore_from(args: &RestoreArgs, output: &mut Output) -> anyhow::Result<()> {
    restore(&args.file, &args.store.folder)
        .with_context(|| format!("cannot restore {}", args.file.display()))?;
    info(&args.store, output)
}

fn repair_in(args: &FolderArgs, output: &mut Output) -> anyhow::Result<()> {
    let repaired = match repair(&args.folder) {
        Err(error @ StoreError::DamagedFile { .. }) => {
            return Err(error).context("nothing of it can be kept; restore a backup");
        }
        repaired => repaired?,
    };
    let damage = repaired.damage.as_ref().map(|(sequence, what)| {
        json!({
            "sequence": sequence,
            "what": what,
            "readable_after": repaired.readable_after,
        })
    });
    let line = json!({
        "entries": repaired.kept,
        "lost": damage,
        "snapshots_lost": repaired.snapshots,
        "index_made_again": repaired.index,
        "damaged_file": repaired.damaged_file,
    });
    lines::write(&line, output)
}

/// An ID of the arguments. Where it is none that is wrong usage.
pub(crate) fn read_id<'e>(
    engine: &dyn IdentityResolver,
    text: &'e str,
) -> idmerge_core::DistinctId<'e> {
    engine
        .read_id(text)
        .unwrap_or_else(|error| wrong_usage(format_args!("{text:?} is no ID: {error}")))
}
