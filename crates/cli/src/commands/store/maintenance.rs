//! Changes to a store, and its maintenance.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};
use idmerge_store::{Cause, StoreError};
use serde_json::json;

use crate::args::store::{BackupArgs, RestoreArgs, RetractArgs};
use crate::commands::store::open::{must_exist, open_for_reading, open_for_writing};
use crate::output::destination::Output;
use crate::output::json::write_line;
use crate::report::say;

pub(super) fn retract(args: &RetractArgs, output: &mut Output) -> anyhow::Result<()> {
    let mut store = open_for_writing(&args.store.folder, None)?;
    // With the index, the claims that depend on the entry are found without reading the whole log.
    store.index()?;
    let cause = Cause {
        source: Some("idmerge store retract"),
        ..Cause::default()
    };
    let retraction = store
        .retract(args.sequence, &args.who, &args.why, cause)
        .with_context(|| format!("cannot retract entry {}", args.sequence))?;
    let changes = retraction.changes();
    for change in changes {
        write_line(change, output)?;
    }
    let ids = match changes.len() {
        1 => "1 ID has".to_owned(),
        count => format!("{count} IDs have"),
    };
    say(format_args!(
        "entry {} is withdrawn by entry {}; {ids} another canonical ID now",
        args.sequence, retraction.sequence
    ));
    Ok(store.close()?)
}

pub(super) fn backup(args: &BackupArgs, output: &mut Output) -> anyhow::Result<()> {
    let store = open_for_reading(&args.store.folder)?;
    let entries = store.history.backup(&args.file)?;
    write_line(&json!({ "entries": entries }), output)
}

pub(super) fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    File::open(&args.file).with_context(|| format!("cannot open {}", args.file.display()))?;
    idmerge_store::restore(&args.file, &args.store.folder)
        .with_context(|| format!("cannot restore {}", args.file.display()))
}

pub(super) fn repair(folder: &Path, output: &mut Output) -> anyhow::Result<()> {
    must_exist(folder)?;
    let repaired = match idmerge_store::repair(folder) {
        Err(StoreError::DamagedFile { what }) => bail!(
            "nothing in the store {} can be read ({what}); restore a backup",
            folder.display()
        ),
        repaired => {
            repaired.with_context(|| format!("cannot repair the store {}", folder.display()))?
        }
    };
    let damage = repaired.damage.as_ref().map(|(sequence, what)| {
        json!({
            "sequence": sequence,
            "what": what,
            "readable_after": repaired.readable_after,
        })
    });
    let tables = repaired.tables.iter();
    let tables: Vec<_> = tables
        .map(|(name, what)| json!({ "table": name, "what": what }))
        .collect();
    let line = json!({
        "entries": repaired.kept,
        "lost": damage,
        "snapshots_lost": repaired.snapshots,
        "index_made_again": repaired.index,
        "tables_damaged": tables,
        "damaged_file": repaired.damaged_file,
    });
    write_line(&line, output)
}
