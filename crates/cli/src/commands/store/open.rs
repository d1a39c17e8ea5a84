//! Opens a store with the engine that it was made with.

use std::path::Path;

use anyhow::{Context, bail};
use idmerge_core::IdentityResolver;
use idmerge_store::{About, Durable, Entry, History, Options, Reader, StoreError};

use crate::args::engine::Model;
use crate::report::wrong_usage;

type BoxedEngine = Box<dyn IdentityResolver>;

/// A store that is open for reading.
pub(crate) struct OpenStore {
    pub(crate) model: Model,
    pub(crate) engine: Reader<BoxedEngine>,
    pub(crate) history: History<BoxedEngine>,
}

/// Opens a store for reading. Another process may be writing it.
pub(crate) fn open_for_reading(folder: &Path) -> anyhow::Result<OpenStore> {
    let model = model_of(folder)?;
    let open = || Reader::open(folder, move || model.engine(), &options(model));
    let engine = match open() {
        // The process that wrote it last has crashed. Opening it for writing recovers it.
        Err(StoreError::NotClosed) => {
            open_for_writing(folder, None)?.close()?;
            open()
        }
        engine => engine,
    };
    let engine = engine.with_context(|| open_error(folder))?;
    let history = engine.history()?;
    Ok(OpenStore {
        model,
        engine,
        history,
    })
}

/// Opens a store for writing. With a model, a missing store is made, and an existing one must have been
/// made with that model.
pub(crate) fn open_for_writing(
    folder: &Path,
    wanted: Option<Model>,
) -> anyhow::Result<Durable<BoxedEngine>> {
    let model = match wanted {
        Some(wanted) if !store_exists(folder)? => wanted,
        _ => model_of(folder)?,
    };
    if let Some(wanted) = wanted
        && wanted != model
    {
        bail!(
            "{} was made with {model} and keeps that engine: leave {wanted} out, or ingest the same \
             events into a new store",
            folder.display()
        );
    }
    let store = Durable::open(folder, move || model.engine(), options(model));
    store.with_context(|| open_error(folder))
}

/// The model of an existing store, or the given one to make a store with.
///
/// # Errors
///
/// There is no store and no model is given.
pub(crate) fn model_for_ingest(folder: &Path, given: Option<Model>) -> anyhow::Result<Model> {
    match given {
        Some(model) => Ok(model),
        None if store_exists(folder)? => model_of(folder),
        None => Err(wrong_usage(format_args!(
            "there is no store in {} yet: choose its model with --engine",
            folder.display()
        ))),
    }
}

fn store_exists(folder: &Path) -> anyhow::Result<bool> {
    idmerge_store::exists(folder).with_context(|| open_error(folder))
}

fn model_of(folder: &Path) -> anyhow::Result<Model> {
    if !store_exists(folder)? {
        bail!("there is no store in {}", folder.display());
    }
    let about = About::of_folder(folder).with_context(|| open_error(folder))?;
    Model::of_store(about.rule_book, &about.settings).with_context(|| open_error(folder))
}

fn options(model: Model) -> Options {
    Options {
        settings: model.settings(),
        ..Options::default()
    }
}

fn open_error(folder: &Path) -> String {
    format!("cannot open the store {}", folder.display())
}

impl OpenStore {
    /// Calls `visit` with each entry from this number on, until it returns `false`.
    pub(crate) fn each_entry(
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
