//! Questions to a store: each opens it for reading and writes JSON.

use std::path::Path;

use anyhow::Context;
use idmerge_core::Resolve;
use idmerge_store::{Difference, LogEntry, first_difference};
use serde_json::json;

use crate::args::identities::{read_id, say_did_you_mean};
use crate::args::store::{AsOfArgs, ChangesArgs, CompareArgs, DigestArgs, LogArgs, SimulateArgs};
use crate::commands::store::open::{OpenStore, open_for_reading};
use crate::output::destination::Output;
use crate::output::json::write_line;
use crate::report::ExitCode;

pub(super) fn info(folder: &Path, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(folder)?;
    let (mut clusters, mut members, mut largest) = (0_u64, 0_u64, 0);
    for cluster in store.engine.clusters() {
        clusters += 1;
        members += cluster.members.len() as u64;
        largest = largest.max(cluster.members.len());
    }
    let mut info = json!({
        "engine": store.engine.rule_book().name(),
        "entries": store.history.last(),
        "clusters": clusters,
        "members": members,
        "largest_cluster": largest,
    });
    if let Some(info) = info.as_object_mut() {
        info.extend(store.settings.by_name());
    }
    write_line(&info, output)
}

pub(super) fn log(args: &LogArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let limit = args.limit.unwrap_or(u64::MAX);
    let mut written = 0;
    store.each_entry(args.from, &mut |entry| {
        if written < limit {
            written += 1;
            write_line(&LogEntry::from(entry), output)?;
        }
        Ok(written < limit)
    })
}

pub(super) fn changes(args: &ChangesArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let limit = args.limit.unwrap_or(u64::MAX);
    let (mut written, mut last) = (0, 0);
    let mut failed = Ok(());
    let changed = store.history.changes_since(args.since, &mut |change| {
        // Never split the changes of one entry, so that a reader can continue after it.
        if written >= limit && change.sequence != last {
            return Ok(false);
        }
        written += 1;
        last = change.sequence;
        failed = write_line(&change, output);
        Ok(failed.is_ok())
    });
    failed?;
    changed.with_context(|| format!("cannot list changes after entry {}", args.since))
}

pub(super) fn simulate(args: &SimulateArgs, output: &mut Output) -> anyhow::Result<()> {
    let settings = args.engine.settings()?;
    let store = open_for_reading(&args.store.folder)?;
    let sequence = args.as_of.unwrap_or_else(|| store.history.last());
    let other = store
        .history
        .simulate_accepted(sequence, settings.engine(), |claim| settings.accepts(claim))?;
    let earlier;
    let now: &dyn Resolve = match args.as_of {
        None => &store.engine,
        Some(sequence) => {
            earlier = store.history.as_of(sequence)?;
            &earlier
        }
    };
    let difference = Difference::between(now, &other, args.examples);
    let mut line = json!({
        "as_of": sequence,
        "store": store.settings.arguments(),
        "simulated": settings.arguments(),
        "clusters": difference.clusters,
        "simulated_clusters": difference.other_clusters,
        "split": difference.split,
        "joined": difference.joined,
        "split_examples": difference.split_examples,
        "joined_examples": difference.joined_examples,
    });
    if let Some(note) = settings.simulation_note(&store.settings) {
        line["note"] = note.into();
    }
    write_line(&line, output)
}

pub(super) fn as_of(args: &AsOfArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let engine = store.history.as_of(args.sequence)?;
    for text in &args.ids {
        let id = read_id(&store.settings, text)?;
        say_did_you_mean(&store.settings, &*engine, id);
        let line = json!({ "id": text, "distinct_id": engine.resolve(id) });
        write_line(&line, output)?;
    }
    Ok(())
}

pub(super) fn digest(args: &DigestArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let sequence = args.as_of.unwrap_or_else(|| store.history.last());
    let digest = match args.as_of {
        None => store.engine.digest()?,
        Some(sequence) => store.history.digest(sequence)?,
    };
    let line = json!({ "as_of": sequence, "digest": digest.to_string() });
    write_line(&line, output)
}

pub(super) fn compare(args: &CompareArgs, output: &mut Output) -> anyhow::Result<ExitCode> {
    let first = open_for_reading(&args.first)?;
    let second = open_for_reading(&args.second)?;
    let settings = first.settings.difference_from(&second.settings);
    let Some(sequence) = first_difference(&first.history, &second.history)? else {
        let mut line = json!({ "same": true, "entries": first.history.last() });
        if !settings.is_empty() {
            line["settings"] = settings.into();
        }
        write_line(&line, output)?;
        return Ok(ExitCode::SUCCESS);
    };
    let entry_of = |store: &OpenStore| -> anyhow::Result<_> {
        let mut found = None;
        store.each_entry(sequence, &mut |entry| {
            found = Some(LogEntry::from(entry));
            Ok(false)
        })?;
        Ok(found)
    };
    let mut line = json!({
        "same": false,
        "sequence": sequence,
        "first": entry_of(&first)?,
        "second": entry_of(&second)?,
    });
    if !settings.is_empty() {
        line["settings"] = settings.into();
    }
    write_line(&line, output)?;
    Ok(ExitCode::FAILURE)
}
