//! Erasing people from a store (E-1 to E-5).
//!
//! The whole store is written anew beside the old file, without the erased IDs, and then takes its name. So a
//! crash leaves the store as it was or as it is to be, and no freed page of the database keeps an old text.

pub(crate) mod named;
mod replay;

use std::fs;
use std::path::Path;

use idmerge_core::{DistinctIdBuf, IdentityResolver, Resolve};
use idmerge_disk::STORE_FILE;
use redb::backends::FileBackend;
use redb::{ReadTransaction, StorageBackend, WriteTransaction};
use serde::Serialize;

use self::named::NamedIds;
use crate::durable::erased::{self, FOR_EVER};
use crate::durable::{Durable, intake};
use crate::error::StoreError;
use crate::history::digest::Digest;
use crate::log::about::{self, KEY_BYTES};
use crate::log::file::last_sync::LastSync;
use crate::log::file::{
    FolderLock, UNFINISHED_FILE, give_name, new_file, open_file, remove_left, sync_names,
    unpanicked,
};
use crate::log::journal::place::Place;
use crate::log::{Log, snapshots};
use crate::maintenance::service_tables::{self, Unreadable};
use crate::options::{Options, Sharing};

/// What to erase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Any members of the clusters to erase (E-1).
    pub ids: Vec<DistinctIdBuf>,
    /// Until when the erased IDs are refused, in milliseconds since 1970; `None` for ever.
    pub until_ms: Option<i64>,
    /// What happens to the events of the erased IDs.
    pub events: ErasedEvents,
    /// The key of the hashes of erased IDs, if nothing was erased from the store before. The caller takes it from
    /// a source of random numbers; nobody can guess an erased ID without it.
    pub key: [u8; KEY_BYTES],
    /// Whether only the receipt is wanted, and the store stays as it is. This takes as long.
    pub dry_run: bool,
}

/// What happens to the events of erased IDs (E-4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErasedEvents {
    /// They are erased.
    #[default]
    Erased,
    /// They stay, under no ID.
    Anonymous,
}

/// What a service has erased from the tables that it keeps in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ErasedRows {
    /// Events that were erased.
    pub events_erased: u64,
    /// Events that stay under no ID.
    pub events_made_anonymous: u64,
    /// Events of other people that named an erased ID and stay without it.
    pub events_of_others_changed: u64,
    /// Profiles that were erased.
    pub profiles_erased: u64,
}

/// What an erasure has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ErasureReceipt {
    /// Whether the store is as it was.
    pub dry_run: bool,
    /// How many IDs were named.
    pub ids_named: u64,
    /// How many IDs were erased: the clusters of those, as they were.
    pub ids_erased: u64,
    /// How many of them are devices, or have the form of a UUID. They are refused too: whoever uses such a device
    /// next is refused until it gets another ID.
    pub devices_refused: u64,
    /// Until when the erased IDs are refused, in milliseconds since 1970; absent if for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_until_ms: Option<i64>,
    /// How many entries of the log named an erased ID. Their number, kind and answer are left.
    pub entries_rewritten: u64,
    /// The number of the last entry of the log, which is what it was.
    pub last_entry: u64,
    #[serde(flatten)]
    /// What was erased from the events and profiles of a server's project.
    pub rows: ErasedRows,
    /// The digest of the state before.
    pub digest_before: String,
    /// The digest of the state now.
    pub digest_after: String,
    /// Files in the folder of the store that were made before and still have what was erased. Delete them.
    pub older_files: Vec<String>,
    /// What else to look for.
    pub note: &'static str,
}

/// What the operator has to do.
const NOTE: &str = "backups and exports that were made before still have what was erased: delete them, and \
     erase again after you restore one";

/// How far an erasure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasureProgress {
    /// What is written.
    pub stage: &'static str,
    /// How many entries or events are done in this stage.
    pub done: u64,
    /// How many there are.
    pub of: u64,
}

/// Called with the progress; `false` ends the erasure, and the store stays as it was.
pub type GoOn<'g> = dyn Fn(ErasureProgress) -> bool + 'g;

/// Erases from the tables that a service keeps in the file of a store.
pub trait ErasureService<R> {
    /// The tables that it knows. A store that has others is not erased from.
    fn tables(&self) -> Vec<String>;

    /// Writes the tables anew.
    ///
    /// # Errors
    ///
    /// Any error of the database, and [`StoreError::Service`].
    fn erase(&self, erasing: &Erasing<'_, R>) -> Result<ErasedRows, StoreError>;
}

/// What a service needs to know to erase.
pub struct Erasing<'e, R> {
    /// The tables as they were.
    pub read: &'e ReadTransaction,
    /// The state as it was.
    pub state: &'e dyn Resolve,
    /// The IDs that are erased.
    pub named: &'e NamedIds,
    /// What happens to their events.
    pub events: ErasedEvents,
    to: &'e Durable<R>,
    go_on: &'e GoOn<'e>,
}

impl<R: IdentityResolver> Erasing<'_, R> {
    /// The state as it is from now on.
    pub fn state_after(&self) -> &dyn Resolve {
        self.to
    }

    /// Writes some rows of the new tables. There can be many such commits.
    ///
    /// # Errors
    ///
    /// Those of `rows`, and if the disk fails.
    pub fn commit<E: From<StoreError>>(
        &self,
        rows: impl FnOnce(&WriteTransaction) -> Result<(), E>,
    ) -> Result<(), E> {
        self.to.commit_with(rows).map(drop)
    }

    /// Copies a table as it is.
    ///
    /// # Errors
    ///
    /// If a row cannot be read, or the disk fails.
    pub fn copy(&self, table: &str) -> Result<(), StoreError> {
        service_tables::copy(self.read, table, &self.to.database, Unreadable::Fail)
    }

    /// Tells how far the service is. Call it often.
    ///
    /// # Errors
    ///
    /// [`StoreError::Cancelled`] if the erasure is not to go on.
    pub fn progress(&self, stage: &'static str, done: u64, of: u64) -> Result<(), StoreError> {
        go_on(self.go_on, stage, done, of)
    }
}

impl<R> std::fmt::Debug for Erasing<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasing").finish_non_exhaustive()
    }
}

fn go_on(go_on: &GoOn<'_>, stage: &'static str, done: u64, of: u64) -> Result<(), StoreError> {
    match go_on(ErasureProgress { stage, done, of }) {
        true => Ok(()),
        false => Err(StoreError::Cancelled),
    }
}

/// Erases people from the store in a folder (E-1 to E-5). The arguments before `erasure` are those of
/// [`Durable::open`]. Nobody else may have the store open.
///
/// The log, the index, the snapshot and the tables of the service are written to a new file, which then takes the
/// place of the old one in one step. So a crash leaves either all of it or nothing, and the disk needs room for the
/// store twice. Two engines are in memory meanwhile.
///
/// # Errors
///
/// [`StoreError::NotFromClaims`] if a snapshot was loaded into the store, [`StoreError::NotErasable`] if it has a
/// table that `service` does not know, [`StoreError::InUse`], [`StoreError::Cancelled`], those of
/// [`Durable::open`], and if the disk fails. The store is then as it was.
pub fn erase<R: IdentityResolver + 'static>(
    folder: impl AsRef<Path>,
    fresh: impl Fn() -> R + Send + Sync + 'static,
    options: &Options,
    erasure: &Erasure,
    service: Option<&dyn ErasureService<R>>,
    go_on: &GoOn<'_>,
) -> Result<ErasureReceipt, StoreError> {
    let folder = folder.as_ref();
    fs::metadata(folder.join(STORE_FILE))?;
    let _lock = FolderLock::take(folder)?;
    // This also removes a journal that a process has left.
    let old = Durable::open(folder, fresh, options.clone())?;
    let receipt = begin_erasure(&old, folder, erasure, service, go_on)?;
    match erasure.dry_run {
        true => discard_erasure(folder),
        false => give_name(folder)?,
    }
    Ok(ErasureReceipt {
        older_files: older_files(folder)?,
        ..receipt
    })
}

/// Writes a new file in the folder of an open store: the store as it is to be after an erasure. Writes nothing to the
/// database of the store but what is in its journal. The new file is synced when this returns. [`finish_erasure`] then puts
/// it in the place of the store, so whatever is committed to the store after this began is lost. The receipt names no older
/// files.
///
/// # Errors
///
/// Those of [`erase`]. No such file is left then.
pub fn begin_erasure<R: IdentityResolver + 'static>(
    old: &Durable<R>,
    folder: &Path,
    erasure: &Erasure,
    service: Option<&dyn ErasureService<R>>,
    go_on: &GoOn<'_>,
) -> Result<ErasureReceipt, StoreError> {
    let unfinished = folder.join(UNFINISHED_FILE);
    remove_left(&unfinished)?;
    let written = unpanicked(|| {
        let new = new_file(&unfinished)?;
        let to = FileBackend::new(new.try_clone()?)?;
        let fresh = old.fresh();
        let receipt = erase_into(
            old,
            to,
            move || fresh(),
            old.options(),
            erasure,
            service,
            go_on,
        )?;
        new.sync_all()?;
        Ok(receipt)
    });
    written.inspect_err(|_| discard_erasure(folder))
}

/// Puts the file of [`begin_erasure`] in the place of the store, in one step. Returns the other files of the folder, such as
/// backups, which still have what was erased.
///
/// # Errors
///
/// [`StoreError::InUse`] if somebody has the store open, and if the disk fails.
pub fn finish_erasure(folder: &Path) -> Result<Vec<String>, StoreError> {
    let _lock = FolderLock::take(folder)?;
    let alone = Options {
        sharing: Sharing::Nobody,
        ..Options::default()
    };
    // While this has the store open, nobody else can open it.
    let _old = unpanicked(|| open_file(&folder.join(STORE_FILE), &alone))?;
    give_name(folder)?;
    // It was of the old file, and has what was erased. A crash before this leaves it to the next opening.
    Place::Folder(folder.to_owned()).remove();
    sync_names(folder)?;
    older_files(folder)
}

/// Removes the file of [`begin_erasure`].
pub fn discard_erasure(folder: &Path) {
    // It may not exist at all, so ignore an error.
    drop(fs::remove_file(folder.join(UNFINISHED_FILE)));
}

/// Writes what a store is to be after an erasure to an empty file, and nothing to the database of the store but what is in
/// its journal. The file is synced when this returns. [`erase`] then gives it the name of the store. The receipt names no
/// older files.
///
/// # Errors
///
/// Those of [`erase`]. The new file may have a part of it then.
pub fn erase_into<R: IdentityResolver>(
    old: &Durable<R>,
    to: impl StorageBackend,
    fresh: impl Fn() -> R + Send + Sync + 'static,
    options: &Options,
    erasure: &Erasure,
    service: Option<&dyn ErasureService<R>>,
    go_on: &GoOn<'_>,
) -> Result<ErasureReceipt, StoreError> {
    let work = Work {
        old,
        erasure,
        service,
        go_on,
    };
    work.write(to, fresh, options)
}

/// Files that a repair has put aside, and backups in the folder.
fn older_files(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut older = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_file() && name != STORE_FILE {
            older.push(entry.path().display().to_string());
        }
    }
    older.sort_unstable();
    Ok(older)
}

/// The parts of an erasure.
struct Work<'w, R> {
    old: &'w Durable<R>,
    erasure: &'w Erasure,
    service: Option<&'w dyn ErasureService<R>>,
    go_on: &'w GoOn<'w>,
}

impl<R: IdentityResolver> Work<'_, R> {
    /// Writes the new file.
    fn write(
        &self,
        to: impl StorageBackend,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: &Options,
    ) -> Result<ErasureReceipt, StoreError> {
        let Self { old, erasure, .. } = self;
        let read = old.begin_read()?;
        if let Some(base) = snapshots::all(&read)?.iter().rfind(|it| it.is_base) {
            return Err(StoreError::NotFromClaims {
                sequence: base.sequence,
            });
        }
        let log = Log::committed(&read, old.committed());
        let named = NamedIds::of(*old, &erasure.ids);
        let options = Options {
            // Nobody else opens the file before it has its name.
            sharing: Sharing::Nobody,
            last_sync: LastSync::default(),
            ..options.clone()
        };
        let mut new = Durable::open_backend(to, fresh, options)?;
        self.copy_about(&new, &read, &named)?;
        let entries_rewritten = new.replay(log, &named, self.go_on)?;
        let rows = self.write_tables(&new, &read, &named)?;
        new.snapshot()?;
        new.image()?;
        let receipt = ErasureReceipt {
            dry_run: erasure.dry_run,
            ids_named: erasure.ids.len() as u64,
            ids_erased: named.len() as u64,
            devices_refused: named.devices(),
            refused_until_ms: erasure.until_ms,
            entries_rewritten,
            last_entry: new.committed(),
            rows,
            digest_before: digest(old)?,
            digest_after: digest(&new)?,
            older_files: Vec::new(),
            note: NOTE,
        };
        new.close()?;
        Ok(receipt)
    }

    fn copy_about(
        &self,
        new: &Durable<R>,
        read: &ReadTransaction,
        named: &NamedIds,
    ) -> Result<(), StoreError> {
        let key = self.old.erased().key_or(self.erasure.key);
        erased::copy(read, &new.database)?;
        new.commit_with(|write| {
            about::copy_rows(read, write)?;
            about::set_erasure_key(write, &key)?;
            let until_ms = self.erasure.until_ms.unwrap_or(FOR_EVER);
            erased::add(write, &key, named.iter(), until_ms)
        })?;
        Ok(())
    }

    /// Writes the tables of `ingest` and of the service.
    fn write_tables(
        &self,
        new: &Durable<R>,
        read: &ReadTransaction,
        named: &NamedIds,
    ) -> Result<ErasedRows, StoreError> {
        let known = self.service.map(ErasureService::tables).unwrap_or_default();
        let mut has_rows = false;
        for name in service_tables::names(read)? {
            if intake::NAMES.contains(&&*name) {
                service_tables::copy(read, &name, &new.database, Unreadable::Fail)?;
            } else if known.contains(&name) {
                has_rows = true;
            } else {
                return Err(StoreError::NotErasable { name });
            }
        }
        match self.service {
            Some(service) if has_rows => service.erase(&Erasing {
                read,
                state: self.old,
                named,
                events: self.erasure.events,
                to: new,
                go_on: self.go_on,
            }),
            _ => Ok(ErasedRows::default()),
        }
    }
}

/// The digest of the state of a store, all of which is committed.
fn digest<R: IdentityResolver>(store: &Durable<R>) -> Result<String, StoreError> {
    let read = store.begin_read()?;
    let log = Log::committed(&read, store.committed());
    let digest = Digest::written_by(|sink| store.state.write_engine(sink, log))?;
    Ok(digest.to_string())
}
