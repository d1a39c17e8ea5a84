//! Erases people from the events and profiles of a project (E-1 to E-5).

mod events;
mod profiles;
mod rewrite;
mod tables;

use idmerge_engines::{Engine, Settings};
use idmerge_store::redb::TableHandle;
use idmerge_store::{ErasedRows, Erasing, ErasureService, StoreError};

use crate::archive::tables::{
    BLOCK_HEADS, BLOCKS, NUMBERS, RECENT_NUMBERS, REPLACED, SEEN, USER_INDEX,
};
use crate::error::ProjectError;
use crate::privacy::table::{self, TASKS};
use crate::profiles::{GROUPS, HIDDEN, PROFILES, SOURCES, TEXTS};

/// Erases from the tables of a project, for [`idmerge_store::erase`].
#[derive(Clone, Debug)]
pub struct ProjectErasure {
    settings: Settings,
}

impl ProjectErasure {
    /// For a project with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl ErasureService<Engine> for ProjectErasure {
    fn tables(&self) -> Vec<String> {
        let [blocks, texts] = [BLOCKS, TEXTS].map(|table| table.name().to_owned());
        let [recent_numbers, replaced] =
            [RECENT_NUMBERS, REPLACED].map(|table| table.name().to_owned());
        let [profiles, hidden] = [PROFILES, HIDDEN].map(|table| table.name().to_owned());
        let [groups, sources] = [GROUPS, SOURCES].map(|table| table.name().to_owned());
        let mut all = vec![
            blocks,
            texts,
            recent_numbers,
            replaced,
            profiles,
            hidden,
            groups,
            sources,
            BLOCK_HEADS.name().to_owned(),
            TASKS.name().to_owned(),
            // What a crash has left of showing that there is room.
            "room".to_owned(),
        ];
        let runs = [USER_INDEX.tables(), NUMBERS.tables()]
            .into_iter()
            .flatten();
        all.extend(runs.chain(SEEN.tables()).map(str::to_owned));
        all
    }

    fn erase(&self, erasing: &Erasing<'_, Engine>) -> Result<ErasedRows, StoreError> {
        self.erase_all(erasing).map_err(|error| match error {
            ProjectError::Store(error) => error,
            ProjectError::Cancelled => StoreError::Cancelled,
            error => StoreError::Service(error.reason()),
        })
    }
}

impl ProjectErasure {
    fn erase_all(&self, erasing: &Erasing<'_, Engine>) -> Result<ErasedRows, ProjectError> {
        // A fingerprint has the `$insert_id` in it, so nobody can guess an ID from it.
        for table in SEEN.tables() {
            tables::copy_if_there(erasing, table)?;
        }
        let mut rows = ErasedRows::default();
        events::erase(&self.settings, erasing, &mut rows)?;
        profiles::erase(erasing, &mut rows)?;
        table::erase(&self.settings, erasing)?;
        Ok(rows)
    }
}
