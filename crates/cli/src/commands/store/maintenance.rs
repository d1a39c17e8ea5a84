//! Changes to a store, and its maintenance.

use std::path::Path;

use anyhow::{Context, bail};
use idmerge_store::{Cause, Retraction, StoreError, Target};
use serde_json::json;

use crate::args::identities::{read_id, say_did_you_mean};
use crate::args::store::RetractArgs;
use crate::commands::store::open::{must_exist, open_for_writing, settings_of};
use crate::output::destination::Output;
use crate::output::json::write_line;
use crate::report::{say, wrong_usage};

pub(super) fn retract(args: &RetractArgs, output: &mut Output) -> anyhow::Result<()> {
    let folder = &args.store.folder;
    let target = target(args)?;
    let mut store = open_for_writing(folder, None)?;
    // With the index, the claims that depend on the entry are found without reading the whole log.
    store.index()?;
    let (who, why) = (&args.who, &args.why);
    let cause = Cause {
        source: Some("idmerge store retract"),
        ..Cause::default()
    };
    let retracted = store.withdraw(target, who, why, cause);
    let retraction = match (retracted, target) {
        (Err(error @ StoreError::NotNamed { .. }), Target::Named(id)) => {
            say_did_you_mean(&settings_of(folder)?, &store, id);
            return Err(error.into());
        }
        (retracted, _) => retracted.with_context(|| format!("cannot retract {target}"))?,
    };
    for change in retraction.changes() {
        write_line(change, output)?;
    }
    say_retracted(target, &retraction);
    if store.opened().incomplete_until > 0 && retraction.claims > 0 {
        say(format_args!(
            "an earlier version of idmerge wrote the entries up to {}; there, claims that said the same \
             in another way may be missing from the log",
            store.opened().incomplete_until
        ));
    }
    Ok(store.close()?)
}

/// # Errors
///
/// The text is not an ID by the settings of the store, or there is no store.
fn target(args: &RetractArgs) -> anyhow::Result<Target<'_>> {
    match (args.sequence, &args.detach) {
        (Some(sequence), _) => Ok(Target::Entry(sequence)),
        (None, Some(id)) => {
            let settings = settings_of(&args.store.folder)?;
            Ok(Target::Named(read_id(&settings, id)?))
        }
        (None, None) => Err(wrong_usage(format_args!(
            "the number of an entry or --detach is needed"
        ))),
    }
}

fn say_retracted(target: Target<'_>, retraction: &Retraction) {
    let by = retraction.sequence;
    let withdrawn = match (target, retraction.claims) {
        (Target::Entry(sequence), _) => format!("entry {sequence} is"),
        (Target::Named(id), 1) => format!("1 claim that names {id} is"),
        (Target::Named(id), claims) => format!("{claims} claims that name {id} are"),
    };
    if !retraction.is_new {
        let withdrawn = match target {
            Target::Entry(sequence) => format!("entry {sequence} was"),
            Target::Named(id) => format!("every claim that names {id} was"),
        };
        return say(format_args!(
            "{withdrawn} already withdrawn by entry {by}; nothing has changed. To undo it, withdraw \
             entry {by}"
        ));
    }
    let ids = match retraction.changes().len() {
        1 => "1 ID has".to_owned(),
        count => format!("{count} IDs have"),
    };
    say(format_args!(
        "{withdrawn} withdrawn by entry {by}; {ids} another canonical ID now"
    ));
}

pub(super) fn repair(folder: &Path, output: &mut Output) -> anyhow::Result<()> {
    must_exist(folder)?;
    let repaired = match idmerge_store::repair_with(folder, service()) {
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

/// What knows the profiles of a server's project.
#[cfg(feature = "serve")]
fn service() -> Option<&'static dyn idmerge_store::ServiceCheck> {
    Some(&idmerge_server::ProfileCheck)
}

#[cfg(not(feature = "serve"))]
fn service() -> Option<&'static dyn idmerge_store::ServiceCheck> {
    None
}
