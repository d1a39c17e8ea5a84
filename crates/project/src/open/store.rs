//! Opens the store of a project.

use std::path::Path;

use idmerge_engines::{Engine, Settings};
use idmerge_store::{Durable, Sharing, StoreError};

/// Opens the store of a project afresh, from what is on its disk. An earlier store that it opened is
/// dropped before.
pub(crate) type OpenStore = Box<dyn FnMut() -> Result<Durable<Engine>, StoreError> + Send>;

/// Opens the store in a folder.
pub(crate) fn in_folder(folder: &Path, settings: &Settings, cache_bytes: usize) -> OpenStore {
    let folder = folder.to_owned();
    let settings = settings.clone();
    Box::new(move || open_in_folder(&folder, &settings, cache_bytes))
}

/// Opens the store with the canonical text of the settings, or with the text that an earlier version
/// wrote for the same settings.
fn open_in_folder(
    folder: &Path,
    settings: &Settings,
    cache_bytes: usize,
) -> Result<Durable<Engine>, StoreError> {
    let open = |text: String| {
        let settings = settings.clone();
        let options = idmerge_store::Options {
            settings: text,
            sharing: Sharing::Nobody,
            cache_bytes,
            ..idmerge_store::Options::default()
        };
        Durable::open(folder, move || settings.engine(), options)
    };
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
