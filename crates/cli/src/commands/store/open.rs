//! Opens a store with the engine that it was made with.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, bail};
use idmerge_engines::{Engine, Settings};
use idmerge_store::{About, Durable, Entry, History, Options, Reader, StoreError};

use crate::args::engine::how_to_choose;
use crate::report::wrong_usage;

/// A store that is open for reading.
pub(crate) struct OpenStore {
    pub(crate) settings: Settings,
    pub(crate) engine: Reader<Engine>,
    pub(crate) history: History<Engine>,
}

/// Opens a store for reading. Another process may be writing it.
pub(crate) fn open_for_reading(folder: &Path) -> anyhow::Result<OpenStore> {
    let about = about(folder)?;
    let settings = settings_in(&about, folder)?;
    let open = || {
        let settings = settings.clone();
        Reader::open(
            folder,
            move || settings.engine(),
            &options(about.settings.clone()),
        )
    };
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
        settings,
        engine,
        history,
    })
}

/// Opens a store for writing as [`open_for_writing`] does, and says whether this has made it.
pub(crate) fn open_or_make(
    folder: &Path,
    wanted: &Settings,
) -> anyhow::Result<(Durable<Engine>, NewStore)> {
    let (is_new, has_new_folder) = (!exists(folder)?, !folder.exists());
    let store = open_for_writing(folder, Some(wanted))?;
    // Only now: another process may have made it, and have it open.
    let new_store = NewStore {
        folder: is_new.then(|| folder.to_owned()),
        has_new_folder,
    };
    Ok((store, new_store))
}

/// Opens a store for writing. With settings, a missing store is created, and an existing one must have
/// been created with the same settings.
pub(crate) fn open_for_writing(
    folder: &Path,
    wanted: Option<&Settings>,
) -> anyhow::Result<Durable<Engine>> {
    let (settings, text) = match wanted {
        Some(wanted) if !exists(folder)? => (wanted.clone(), wanted.to_string()),
        _ => {
            let about = about(folder)?;
            (settings_in(&about, folder)?, about.settings)
        }
    };
    if let Some(wanted) = wanted
        && *wanted != settings
    {
        bail!(
            "the store {} was created with {}, which cannot change ({}); leave out --engine and its \
             settings, or ingest the events into a new store",
            folder.display(),
            settings.arguments(),
            settings.difference_from(wanted),
        );
    }
    let store = Durable::open(folder, move || settings.engine(), options(text));
    store.with_context(|| open_error(folder))
}

/// A store that a run has made. If the run takes nothing, it is not left behind: it would be fixed to settings that
/// were given for other events.
#[derive(Debug, Default)]
pub(crate) struct NewStore {
    /// `None` if the store is to stay.
    folder: Option<PathBuf>,
    has_new_folder: bool,
}

impl NewStore {
    /// Something was taken, or may have been.
    pub(crate) fn keep(&mut self) {
        self.folder = None;
    }
}

/// Drop it before the store, so that no other process can write the store meanwhile.
impl Drop for NewStore {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder
            && idmerge_store::discard(folder).is_ok()
            && self.has_new_folder
        {
            let _stays_if_it_is_not_empty = fs::remove_dir(folder);
        }
    }
}

/// The settings of an existing store, or the given ones to make a store with.
///
/// # Errors
///
/// There is no store, and no settings are given.
pub(crate) fn settings_for_ingest(
    folder: &Path,
    given: Option<Settings>,
) -> anyhow::Result<Settings> {
    match given {
        Some(settings) => Ok(settings),
        None if exists(folder)? => settings_of(folder),
        None => Err(wrong_usage(format_args!(
            "there is no store in {} yet; choose its engine with --engine\n\n  {}",
            folder.display(),
            how_to_choose().collect::<Vec<_>>().join("\n  ")
        ))),
    }
}

/// The settings that a store was made with.
pub(crate) fn settings_of(folder: &Path) -> anyhow::Result<Settings> {
    settings_in(&about(folder)?, folder)
}

fn settings_in(about: &About, folder: &Path) -> anyhow::Result<Settings> {
    Settings::of_store(about.rule_book, &about.settings).with_context(|| open_error(folder))
}

/// # Errors
///
/// There is no store in the folder.
pub(super) fn must_exist(folder: &Path) -> anyhow::Result<()> {
    if !exists(folder)? {
        let shown = folder.display();
        if let Some(projects) = projects_in(folder) {
            bail!(
                "there is no store in {shown}, but it has the projects of a server: name one of {projects}"
            );
        }
        bail!("there is no store in {shown}; create one with `idmerge ingest`");
    }
    Ok(())
}

/// How many projects an error names.
const PROJECTS_MAX: usize = 20;

/// The folders in this one that have a store, as the data folder of a server has them. `None` if there are none.
fn projects_in(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    let mut projects: Vec<_> = entries
        .filter(|path| idmerge_store::exists(path).unwrap_or(false))
        .map(|path| path.display().to_string())
        .collect();
    projects.sort();
    let more = projects.len().saturating_sub(PROJECTS_MAX);
    projects.truncate(PROJECTS_MAX);
    let more = (more > 0).then(|| format!(" and {more} more"));
    (!projects.is_empty()).then(|| projects.join(", ") + &more.unwrap_or_default())
}

fn about(folder: &Path) -> anyhow::Result<About> {
    must_exist(folder)?;
    About::of_folder(folder).with_context(|| open_error(folder))
}

fn exists(folder: &Path) -> anyhow::Result<bool> {
    if folder.is_file() {
        let file = folder.display();
        bail!(
            "{file} is a file, and a store is a folder; if it is a backup, `idmerge store restore \
             {file} DIR` makes a store from it"
        );
    }
    idmerge_store::exists(folder).with_context(|| open_error(folder))
}

/// A store opens only with the text of settings that it was made with.
fn options(settings: String) -> Options {
    Options {
        settings,
        threads: thread::available_parallelism().map_or(1, Into::into),
        ..Options::default()
    }
}

pub(crate) fn open_error(folder: &Path) -> String {
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
