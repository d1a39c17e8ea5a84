//! `idmerge store erase`.

use std::cell::Cell;

use anyhow::Context;
use idmerge_engines::{Engine, Settings};
use idmerge_store::{About, ErasedEvents, Erasure, ErasureProgress, ErasureService, Options};

use crate::args::identities::{read_id, say_did_you_mean};
use crate::args::store::{EraseArgs, KeptEvents};
use crate::commands::store::open::{open_error, open_for_reading};
use crate::output::destination::Output;
use crate::output::json::write_line;
use crate::report::say;
use crate::stream::progress::Progress;

pub(super) fn run(args: &EraseArgs, output: &mut Output) -> anyhow::Result<()> {
    let folder = &args.store.folder;
    let (settings, erasure) = erasure(args)?;
    // The text of the settings is the one that the store was made with.
    let about = About::of_folder(folder).with_context(|| open_error(folder))?;
    let options = Options {
        settings: about.settings,
        ..Options::default()
    };
    let progress = Progress::of_bytes(None, false);
    let stage = Cell::new("");
    let go_on = |now: ErasureProgress| {
        if stage.replace(now.stage) != now.stage {
            progress.stage(now.stage);
        }
        true
    };
    let service = service(settings.clone());
    let fresh = move || settings.engine();
    let service = service.as_deref();
    let erased = idmerge_store::erase(folder, fresh, &options, &erasure, service, &go_on);
    progress.finish();
    let folder = folder.display();
    let receipt = erased.with_context(|| {
        format!(
            "cannot erase from the store {folder}; if a server has it open, stop the server first"
        )
    })?;
    write_line(&receipt, output)?;
    if !receipt.dry_run {
        for file in &receipt.older_files {
            say(format_args!(
                "{file} may still have what was erased; delete it"
            ));
        }
        say(format_args!("{}", receipt.note));
    }
    Ok(())
}

/// What the arguments ask for, and the settings of the store.
fn erasure(args: &EraseArgs) -> anyhow::Result<(Settings, Erasure)> {
    let store = open_for_reading(&args.store.folder)?;
    let mut ids = Vec::new();
    for text in &args.ids {
        let id = read_id(&store.settings, text)?;
        say_did_you_mean(&store.settings, &store.engine, id);
        ids.push(id.to_buf());
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).context("the system has no random numbers")?;
    let erasure = Erasure {
        ids,
        until_ms: args.until,
        events: match args.keep_events {
            None => ErasedEvents::Erased,
            Some(KeptEvents::Anonymous) => ErasedEvents::Anonymous,
        },
        key,
        dry_run: args.dry_run,
    };
    Ok((store.settings, erasure))
}

/// What knows the events and profiles of a server's project.
#[cfg(feature = "serve")]
#[expect(clippy::unnecessary_wraps, reason = "without the server there is none")]
fn service(settings: Settings) -> Option<Box<dyn ErasureService<Engine>>> {
    Some(Box::new(idmerge_server::ProjectErasure::new(settings)))
}

#[cfg(not(feature = "serve"))]
fn service(_: Settings) -> Option<Box<dyn ErasureService<Engine>>> {
    None
}
