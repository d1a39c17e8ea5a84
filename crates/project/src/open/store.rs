//! Opens the store of a project.

use std::path::PathBuf;

use idmerge_engines::{Engine, Settings};
use idmerge_store::{Durable, LastSync, Sharing, StoreError};

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

impl OpenStore for InFolder {
    fn open(&mut self) -> Result<Durable<Engine>, StoreError> {
        let open = |text: String| {
            let settings = self.settings.clone();
            let options = idmerge_store::Options {
                settings: text,
                sharing: Sharing::Nobody,
                cache_bytes: self.cache_bytes,
                last_sync: self.last_sync.clone(),
                ..idmerge_store::Options::default()
            };
            Durable::open(&self.folder, move || settings.engine(), options)
        };
        let settings = &self.settings;
        match open(settings.to_string()) {
            // An earlier version may have written the same settings as another text.
            Err(StoreError::OtherSettings { found, .. })
                if Settings::of_store(settings.rule_book(), &found)
                    .is_ok_and(|stored| stored == *settings) =>
            {
                open(found)
            }
            result => result,
        }
    }

    fn check_room(&mut self, bytes: usize) -> Result<(), StoreError> {
        idmerge_store::check_room(&self.folder, bytes)
    }
}
