//! Opening a store with the engine that it was made with.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use idmerge_core::IdentityResolver;
use idmerge_store::{About, Durable, Entry, History, Options, Reader, StoreError};

use crate::args::wrong_usage;
use crate::model::Model;

type Engine = Box<dyn IdentityResolver>;

/// A store that is open for reading.
pub(crate) struct Store {
    pub(crate) model: Model,
    pub(crate) engine: Reader<Engine>,
    pub(crate) history: History<Engine>,
}

/// Opens a store to ask it. Another process may be writing it.
pub(crate) fn open_for_reading(folder: &Path) -> anyhow::Result<Store> {
    let model = model_of(folder)?;
    let open = || Reader::open(folder, move || model.engine(), &options(model));
    let engine = match open() {
        // Whoever wrote it last has crashed. Opened for writing it is put in order.
        Err(StoreError::NotClosed) => {
            open_for_writing(folder, None)?.close()?;
            open()
        }
        engine => engine,
    };
    let engine = engine.with_context(|| name(folder))?;
    let history = engine.history()?;
    Ok(Store {
        model,
        engine,
        history,
    })
}

/// Opens a store to change it. With a model it is made where it is not there, and must not have
/// been made with another.
pub(crate) fn open_for_writing(
    folder: &Path,
    wanted: Option<Model>,
) -> anyhow::Result<Durable<Engine>> {
    let model = match wanted {
        Some(wanted) if !is_there(folder)? => wanted,
        _ => model_of(folder)?,
    };
    if let Some(wanted) = wanted
        && wanted != model
    {
        bail!(
            "{} was made with {model}, and cannot go on with {wanted}: make a new store of the same \
             events",
            folder.display()
        );
    }
    let store = Durable::open(folder, move || model.engine(), options(model));
    store.with_context(|| name(folder))
}

/// The engine of a store, or the one to make it with. Neither is wrong usage.
pub(crate) fn wanted_of(folder: &Path, given: Option<Model>) -> anyhow::Result<Model> {
    match given {
        Some(model) => Ok(model),
        None if is_there(folder)? => model_of(folder),
        None => wrong_usage(format_args!(
            "there is no store {} yet: say with --engine which model it is to have",
            folder.display()
        )),
    }
}

fn is_there(folder: &Path) -> anyhow::Result<bool> {
    fs::exists(folder.join("store.redb")).with_context(|| name(folder))
}

fn model_of(folder: &Path) -> anyhow::Result<Model> {
    if !is_there(folder)? {
        bail!("there is no store in {}", folder.display());
    }
    let about = About::of_folder(folder).with_context(|| name(folder))?;
    Model::of_store(about.rule_book, &about.settings).with_context(|| name(folder))
}

fn options(model: Model) -> Options {
    Options {
        settings: model.settings(),
        ..Options::default()
    }
}

fn name(folder: &Path) -> String {
    format!("cannot open the store {}", folder.display())
}

impl Store {
    /// Calls `visit` with each entry from this number on, until it answers `false`.
    pub(crate) fn each(
        &self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut failed = None;
        self.history.entries(from, &mut |entry| {
            Ok(visit(entry).unwrap_or_else(|error| {
                failed = Some(error);
                false
            }))
        })?;
        failed.map_or(Ok(()), Err)
    }
}
