//! Opens a store with the engine that it was made with.

use std::path::Path;

use idmerge_core::Resolve;
use idmerge_engines::{Engine, Settings};
use idmerge_store::{About, Durable, History, Options, Reader, StoreError};
use pyo3::prelude::*;

use crate::errors::{store_error, store_failed};

pub(super) enum State {
    Writing(Box<Durable<Engine>>),
    Reading(Box<Reader<Engine>>),
    /// Why.
    Closed(&'static str),
}

pub(super) const CLOSED: &str = "the store is closed; open it again with idmerge.Store(path)";
pub(super) const FAILED: &str = "the store was closed when a write failed; what was committed before stays: open it again with \
                      idmerge.Store(path)";

impl State {
    pub(super) fn engine(&self) -> PyResult<&dyn Resolve> {
        match self {
            Self::Writing(store) => Ok(&**store),
            Self::Reading(store) => Ok(&**store),
            Self::Closed(why) => Err(store_error(why)),
        }
    }

    pub(super) fn history(&self) -> PyResult<History<Engine>> {
        match self {
            Self::Writing(store) => store.history(),
            Self::Reading(store) => store.history(),
            Self::Closed(why) => return Err(store_error(why)),
        }
        .map_err(|error| store_failed(&error))
    }

    pub(super) fn writing(&mut self) -> PyResult<&mut Durable<Engine>> {
        match self {
            Self::Writing(store) => Ok(store),
            Self::Reading(_) => Err(store_error(
                "the store is open with read_only=True; open it without that to write it",
            )),
            Self::Closed(why) => Err(store_error(why)),
        }
    }
}

/// Opens the store in a folder, or makes one with the given settings.
pub(super) fn open(
    folder: &Path,
    given: Option<Settings>,
    is_read: bool,
) -> PyResult<(Settings, State)> {
    let failed = |error: StoreError| store_failed(&error);
    let shown = folder.display();
    if folder.is_file() {
        return Err(store_error(format!(
            "{shown} is a file, and a store is a folder"
        )));
    }
    let (settings, text) = if idmerge_store::exists(folder)? {
        let about = About::of_folder(folder).map_err(failed)?;
        let settings = Settings::of_store(about.rule_book, &about.settings);
        (settings.map_err(store_error)?, about.settings)
    } else {
        match given.clone() {
            Some(settings) if !is_read => (settings.clone(), settings.to_string()),
            _ => {
                return Err(store_error(format!(
                    "there is no store in {shown}; engine=\"simplified\", \"original\" or \"legacy\" makes one, \
                     without read_only"
                )));
            }
        }
    };
    if let Some(given) = given.filter(|given| *given != settings) {
        return Err(store_error(format!(
            "the store {shown} was created with {}, which cannot change ({}); leave out engine and its settings, or \
             make another store",
            settings.arguments(),
            settings.difference_from(&given)
        )));
    }
    let options = Options {
        settings: text,
        ..Options::default()
    };
    let engine = settings.clone();
    let fresh = move || engine.engine();
    let state = match is_read {
        false => State::Writing(Box::new(
            Durable::open(folder, fresh, options).map_err(failed)?,
        )),
        true => State::Reading(Box::new(
            open_for_reading(folder, fresh, &options).map_err(failed)?,
        )),
    };
    Ok((settings, state))
}

fn open_for_reading(
    folder: &Path,
    fresh: impl Fn() -> Engine + Clone + Send + Sync + 'static,
    options: &Options,
) -> Result<Reader<Engine>, StoreError> {
    match Reader::open(folder, fresh.clone(), options) {
        // The process that wrote it last has crashed. Opening it for writing recovers it.
        Err(StoreError::NotClosed) => {
            Durable::open(folder, fresh.clone(), options.clone())?.close()?;
            Reader::open(folder, fresh, options)
        }
        opened => opened,
    }
}
