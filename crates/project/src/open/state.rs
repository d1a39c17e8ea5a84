//! [`State`]: what is kept in memory of an open store.

use std::sync::Arc;

use idmerge_engines::{Engine, Settings};
use idmerge_shared::Shared;
use idmerge_store::{Durable, ErasedIds, has_long_rows, set_long_rows};
use parking_lot::RwLock;

use crate::archive::appender::Appender;
use crate::archive::directory::Directory;
use crate::archive::index::each_user_key;
use crate::archive::reader::ArchiveReader;
use crate::archive::replaced::ReplacedEvents;
use crate::archive::tables::USER_INDEX;
use crate::error::ProjectError;
use crate::open::revision;
use crate::options::Options;
use crate::profiles::Texts;
#[cfg(test)]
use crate::simulation::hooks::{Mistake, makes};
use crate::write::near_cap::NearCap;
use crate::write::profiles::ProfileChanges;
use crate::write::repeated::Repeated;

/// An open store, and the indexes that are kept in memory. All threads share it.
///
/// Whoever waits for something else, such as a client, must not hold it meanwhile: the file is closed
/// once nobody holds it.
pub(crate) struct State {
    pub(crate) store: Shared<Durable<Engine>>,
    /// The committed blocks. Look here first and open a database transaction afterwards: then every
    /// block found here is in the transaction.
    pub(crate) directory: RwLock<Directory>,
    pub(crate) near_cap: NearCap,
    /// What names one of these IDs is refused (E-2).
    pub(crate) erased: Arc<ErasedIds>,
}

/// The state with what only the writer uses.
pub(crate) struct WriterState {
    pub(crate) shared: Arc<State>,
    pub(crate) appender: Appender,
    pub(crate) repeated: Repeated,
    pub(crate) profiles: ProfileChanges,
}

impl WriterState {
    /// Reads the indexes of a store into memory.
    pub(crate) fn read(
        store: Durable<Engine>,
        settings: &Settings,
        options: &Options,
    ) -> Result<Self, ProjectError> {
        revision::adapt(&store, options)?;
        refuse_earlier_versions(&store)?;
        let read = store.begin_read()?;
        let archive = ArchiveReader::new(&read)?;
        let indexed = USER_INDEX.until(&read)?;
        let mut directory = Directory::read(&read)?;
        directory.replaced = ReplacedEvents::open(&read)?.count()?;
        let mut appender = Appender::open(&directory, &archive, indexed)?;
        let mut unindexed = Vec::new();
        each_user_key(
            &directory,
            &archive,
            indexed + 1,
            settings,
            &mut |key, number| {
                appender.add_unindexed(key, number);
                unindexed.push((key, number));
            },
        )?;
        #[cfg(test)]
        if makes(Mistake::ForgetsIndex) {
            unindexed.clear();
        }
        directory.add_unindexed(&unindexed);
        let repeated = Repeated::open(&read)?;
        let profiles = ProfileChanges::open(&read)?;
        drop((read, archive));
        let shared = State {
            erased: store.erased().clone(),
            near_cap: NearCap::new(settings.max_cluster_ids(), &store),
            store: Shared::new(store),
            directory: RwLock::new(directory),
        };
        Ok(Self {
            shared: Arc::new(shared),
            appender,
            repeated,
            profiles,
        })
    }
}

/// Marks a store with long profiles that a version before the mark wrote.
fn refuse_earlier_versions(store: &Durable<Engine>) -> Result<(), ProjectError> {
    let read = store.begin_read()?;
    if Texts::open(&read)?.is_empty()? || has_long_rows(&read)? {
        return Ok(());
    }
    drop(read);
    store.commit_with::<ProjectError>(|write| Ok(set_long_rows(write)?))?;
    Ok(())
}
