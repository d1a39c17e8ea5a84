//! Many damaged profiles: the first ones are named, and the others are counted.

use idmerge_engines::{Model, Settings};
use idmerge_project::ProfileCheck;
use idmerge_store::redb::TableDefinition;
use idmerge_store::{Durable, Options, ServiceCheck, StoreError};

const PROFILES: TableDefinition<'_, &str, &str> = TableDefinition::new("profiles");
const TEXTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("profile_texts");

/// What is found in a store with one profile whose text is damaged, and others whose rows are.
fn found(others: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let fresh = move || settings.engine();
    let store = Durable::open(folder.path(), fresh, Options::default()).unwrap();
    let written = store.commit_with(|write| {
        let mut profiles = write.open_table(PROFILES)?;
        // As earlier versions wrote it, without a checksum.
        profiles.insert("A", "@1:1")?;
        write.open_table(TEXTS)?.insert(1, &b"{"[..])?;
        for other in 0..others {
            profiles.insert(&*format!("U{other:03}"), "{")?;
        }
        Ok::<_, StoreError>(())
    });
    written.unwrap();
    let damage = ProfileCheck.damage(&store.begin_read().unwrap()).unwrap();
    let texts = damage.into_iter().map(|(table, what)| {
        assert_eq!(table, "profiles");
        what
    });
    texts.collect()
}

#[test]
fn a_hundred_damaged_profiles_are_named_and_the_others_are_counted() {
    let all = found(99);
    assert_eq!(all.len(), 100);
    let says = |who: &str, what| format!("the profile of \"{who}\" cannot be read, because {what}");
    assert_eq!(all[0], says("A", "its text is damaged"));
    assert_eq!(all[99], says("U098", "its row is damaged"));
    let more = found(102);
    assert_eq!(more[..100], all);
    assert_eq!(more[100..], ["3 more profiles cannot be read"]);
}
