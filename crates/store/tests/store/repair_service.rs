//! A repair asks the service about its rows.

use std::path::Path;

use idmerge_simplified::Simplified;
use idmerge_store::redb::{ReadTransaction, TableDefinition, WriteTransaction};
use idmerge_store::{Durable, Options, Repair, ServiceCheck, StoreError, repair_with};

const TAKEN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("taken inputs");

/// A service with this damage, or one that cannot read its tables.
struct Service(Option<&'static str>);

impl ServiceCheck for Service {
    fn damage(&self, _: &ReadTransaction) -> Result<Vec<(String, String)>, StoreError> {
        let what = self.0.ok_or(StoreError::DamagedIndex)?;
        Ok(vec![("rows".to_owned(), what.to_owned())])
    }

    fn mend(&self, _: &WriteTransaction) -> Result<(), StoreError> {
        Ok(())
    }
}

fn store(folder: &Path) -> Durable<Simplified> {
    Durable::open(folder, Simplified::default, Options::default()).unwrap()
}

fn repaired(folder: &Path, service: &Service) -> Result<Repair, StoreError> {
    repair_with(folder, Some(service))
}

#[test]
fn the_damage_that_a_service_finds_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let repair = repaired(folder.path(), &Service(Some("a row is damaged"))).unwrap();
    let wanted = ("rows".to_owned(), "a row is damaged".to_owned());
    assert_eq!(repair.tables, [wanted]);
    assert!(repair.damaged_file.is_some());
}

#[test]
fn a_service_that_fails_is_an_error_unless_its_tables_are_known_to_be_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder).close().unwrap();
    let error = repaired(folder, &Service(None)).unwrap_err();
    assert!(matches!(error, StoreError::DamagedIndex), "{error}");

    let damaged = store(folder);
    let written = damaged.commit_with::<StoreError>(|write| {
        write.open_table(TAKEN)?.insert(1, &b"x"[..])?;
        Ok(())
    });
    written.unwrap();
    damaged.close().unwrap();
    let repair = repaired(folder, &Service(None)).unwrap();
    let names: Vec<_> = repair.tables.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["taken inputs and events"]);
}
