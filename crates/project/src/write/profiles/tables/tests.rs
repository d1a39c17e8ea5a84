//! The texts of long profiles are there as long as a row names them.

use idmerge_store::backends::InMemoryBackend;
use idmerge_store::redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _};

use super::*;

fn long(letter: char) -> Written {
    let text = letter.to_string().repeat(LONG_BYTES);
    Written::Profile(profile_of(&format!(r#"{{"text":"{text}"}}"#), None).unwrap())
}

#[test]
fn a_long_text_that_is_replaced_in_its_own_commit_is_removed() {
    let backend = InMemoryBackend::new();
    let database = Database::builder().create_with_backend(backend).unwrap();
    let key = ProfileKey::Canonical("U".to_owned());
    let write = database.begin_write().unwrap();
    let mut tables = ProfileTables::open(&write).unwrap();
    for letter in ['a', 'b'] {
        tables.put(&key, Some(long(letter))).unwrap();
    }
    let profile = tables.profile(&key).unwrap().unwrap();
    assert!(profile.to_json().contains("bbb"));
    tables.finish().unwrap();
    write.commit().unwrap();
    let texts = || {
        let read = database.begin_read().unwrap();
        read.open_table(TEXTS).unwrap().len().unwrap()
    };
    assert_eq!(texts(), 1);

    // Without a row there is no text.
    let write = database.begin_write().unwrap();
    let mut tables = ProfileTables::open(&write).unwrap();
    tables.put(&key, None).unwrap();
    tables.finish().unwrap();
    write.commit().unwrap();
    assert_eq!(texts(), 0);
}
