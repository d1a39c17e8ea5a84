//! The folder of a store with a journal.

use std::fs;
use std::path::Path;

pub(crate) const JOURNAL: &str = "store.redb.journal";

/// The names of the files in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

/// Copies the files of a store that is open, as a process that is killed would leave them.
pub(crate) fn as_if_killed(folder: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(folder) {
        if fs::metadata(folder.join(&name)).unwrap().is_file() {
            fs::copy(folder.join(&name), to.join(&name)).unwrap();
        }
    }
}
