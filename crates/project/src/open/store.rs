//! Opens the store of a project.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use idmerge_engines::{Engine, Settings};
use idmerge_store::{
    Durable, Erasure, ErasureReceipt, GoOn, LastSync, Scratch, Sharing, StoreError,
};
use parking_lot::Mutex;
use tempfile::spooled_tempfile_in;

use crate::erasure::ProjectErasure;

/// A temporary file with more bytes is on the disk: the copy of a state of about 2 million UUIDs.
const SCRATCH_BYTES_IN_MEMORY: usize = 64 << 20;

/// Makes temporary files.
pub(crate) type MakeScratch = Arc<dyn Fn() -> Box<dyn Scratch> + Send + Sync>;

/// What opens the store. The writer and an erasure share it.
pub(crate) type Opener = Arc<Mutex<Box<dyn OpenStore>>>;

/// Opens the store of a project, at the start and again after a failure.
pub(crate) trait OpenStore: Send {
    /// Opens the store afresh, from what is on the disk. An earlier store that was opened may not be
    /// closed yet, if a query still reads from it: this then fails with [`StoreError::InUse`].
    fn open(&mut self) -> Result<Durable<Engine>, StoreError>;

    /// Fails if the disk has no room for this many bytes. This saves opening the store again and again
    /// while the disk is full, so it may succeed without need.
    fn check_room(&mut self, _bytes: usize) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes what the open store is to be after an erasure to another file, as [`idmerge_store::begin_erasure`] does.
    fn begin_erasure(
        &mut self,
        _: &Durable<Engine>,
        _: &Erasure,
        _: &GoOn<'_>,
    ) -> Result<ErasureReceipt, StoreError> {
        let only = "only the store of a folder can be written anew";
        Err(StoreError::Service(only.to_owned()))
    }

    /// Puts that file in the place of the store, which is closed. It may not be closed yet, if a query still reads from
    /// it: this then fails with [`StoreError::InUse`]. Returns the older files that are left.
    fn finish_erasure(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// Removes that file.
    fn discard_erasure(&mut self) {}

    /// Where temporary files are: in memory, or on the disk of the store.
    fn scratch(&self) -> MakeScratch {
        Arc::new(idmerge_store::in_memory)
    }
}

impl<F: FnMut() -> Result<Durable<Engine>, StoreError> + Send> OpenStore for F {
    fn open(&mut self) -> Result<Durable<Engine>, StoreError> {
        self()
    }
}

/// Opens the store in a folder, with the canonical text of the settings or with the text that an earlier
/// version wrote for the same settings.
pub(crate) struct InFolder {
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) cache_bytes: usize,
    pub(crate) last_sync: LastSync,
}

impl InFolder {
    /// Does something with the options of the store: with the canonical text of the settings, or with another text of
    /// the same settings that an earlier version has written.
    fn with_options<T>(
        &self,
        work: &dyn Fn(idmerge_store::Options) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let with = |text: String| {
            work(idmerge_store::Options {
                settings: text,
                sharing: Sharing::Nobody,
                cache_bytes: self.cache_bytes,
                threads: thread::available_parallelism().map_or(1, Into::into),
                last_sync: self.last_sync.clone(),
                // Nearly every commit has events, and a read would have to wait for the database after each other one.
                journal_bytes: 0,
                ..idmerge_store::Options::default()
            })
        };
        let settings = &self.settings;
        match with(settings.to_string()) {
            Err(StoreError::OtherSettings { found, .. })
                if Settings::of_store(settings.rule_book(), &found)
                    .is_ok_and(|stored| stored == *settings) =>
            {
                with(found)
            }
            result => result,
        }
    }
}

impl OpenStore for InFolder {
    fn open(&mut self) -> Result<Durable<Engine>, StoreError> {
        self.with_options(&|options| {
            let settings = self.settings.clone();
            Durable::open(&self.folder, move || settings.engine(), options)
        })
    }

    fn begin_erasure(
        &mut self,
        store: &Durable<Engine>,
        erasure: &Erasure,
        go_on: &GoOn<'_>,
    ) -> Result<ErasureReceipt, StoreError> {
        let service = ProjectErasure::new(self.settings.clone());
        idmerge_store::begin_erasure(store, &self.folder, erasure, Some(&service), go_on)
    }

    fn finish_erasure(&mut self) -> Result<Vec<String>, StoreError> {
        let replaced = idmerge_store::finish_erasure(&self.folder);
        if !matches!(replaced, Err(StoreError::InUse)) {
            // What is known of the last sync is about the old file.
            self.last_sync = LastSync::default();
        }
        replaced
    }

    fn discard_erasure(&mut self) {
        idmerge_store::discard_erasure(&self.folder);
    }

    fn check_room(&mut self, bytes: usize) -> Result<(), StoreError> {
        idmerge_store::check_room(&self.folder, bytes)
    }

    fn scratch(&self) -> MakeScratch {
        let folder = self.folder.clone();
        // Without names, so that a crash leaves none behind.
        Arc::new(move || Box::new(spooled_tempfile_in(SCRATCH_BYTES_IN_MEMORY, &folder)))
    }
}

#[cfg(test)]
mod tests {
    use idmerge_engines::Model;

    use super::*;

    fn in_folder(folder: PathBuf) -> InFolder {
        InFolder {
            folder,
            settings: Settings::of(Model::Simplified),
            cache_bytes: 1 << 20,
            last_sync: LastSync::default(),
        }
    }

    #[test]
    fn a_store_that_is_opened_again_knows_the_syncs_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut open = in_folder(folder.path().to_owned());
        let store = open.open().unwrap();
        let before = store.synced_commits();
        store.commit_with::<StoreError>(|_| Ok(())).unwrap();
        let synced = store.synced_commits();
        assert!(synced > before);
        store.close().unwrap();
        // What the last sync has left is needed to take back a commit that failed.
        assert!(open.open().unwrap().synced_commits() >= synced);
    }

    #[test]
    fn the_store_of_a_project_has_no_other_reader() {
        let folder = tempfile::tempdir().unwrap();
        let mut open = in_folder(folder.path().to_owned());
        let _store = open.open().unwrap();
        let settings = open.settings.clone();
        let options = idmerge_store::Options {
            settings: settings.to_string(),
            ..idmerge_store::Options::default()
        };
        let read = idmerge_store::Reader::open(folder.path(), move || settings.engine(), &options);
        assert!(matches!(read, Err(StoreError::InUse)));
    }

    #[test]
    fn there_is_room_in_the_folder_of_the_store_or_not() {
        let folder = tempfile::tempdir().unwrap();
        in_folder(folder.path().to_owned())
            .check_room(100_000)
            .unwrap();
        let missing = folder.path().join("missing");
        in_folder(missing).check_room(1).unwrap_err();
    }
}
