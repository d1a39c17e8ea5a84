//! A reader in another place answers as the store whose file it reads.

use std::sync::Arc;

use idmerge_core::{DistinctId, DistinctIdBuf, Id, IdentityResolver as _, Resolve};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable, Options, Reader};

use crate::support::Engine;
use crate::support::workload::claims;

fn a_reader_answers_as_its_store<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let claims = claims::<E>(3, 300, 90);
    let mut store = Durable::open(folder.path(), E::empty, Options::default()).unwrap();
    for claim in &claims {
        store.apply(claim.as_claim()).unwrap();
    }
    store.commit().unwrap();
    let reader = Reader::open(folder.path(), E::empty, &Options::default()).unwrap();
    assert!(store.clustered_ids() > 20);
    assert_eq!(reader.clustered_ids(), store.clustered_ids());
    let nobody = DistinctId::plain(Id::new("nobody").unwrap());
    let ids = claims.iter().flat_map(|claim| claim.as_claim().ids());
    for id in ids.chain([nobody]) {
        assert_eq!(reader.resolve(id), store.resolve(id), "{id}");
        assert_eq!(reader.is_clustered(id), store.is_clustered(id), "{id}");
        assert_eq!(reader.cluster_len(id), store.cluster_len(id), "{id}");
        let part = |engine: &dyn Resolve| -> Option<Vec<DistinctIdBuf>> {
            let members = engine.members_after(id, None, 3)?;
            Some(members.into_iter().map(DistinctIdBuf::from).collect())
        };
        assert_eq!(part(&reader), part(&store), "{id}");
    }
    assert!(!reader.is_clustered(nobody));
}

/// What the concurrent reader of an engine answers; `None` if it has none.
fn answer(engine: &dyn Resolve, id: DistinctId<'_>) -> Option<DistinctIdBuf> {
    let mut answer = None;
    engine.concurrent_reader()?.resolve(&id, &mut |canonical| {
        answer = Some(DistinctIdBuf::from(*canonical));
    });
    answer
}

fn threads_resolve_while_a_reader_is_refreshed<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let claims = claims::<E>(3, 300, 90);
    let mut store = Durable::open(folder.path(), E::empty, Options::default()).unwrap();
    store.commit().unwrap();
    let mut reader = Reader::open(folder.path(), E::empty, &Options::default()).unwrap();
    let before = reader.concurrent_reader().unwrap().clone();
    for claim in &claims {
        store.apply(claim.as_claim()).unwrap();
    }
    store.commit().unwrap();
    reader.refresh().unwrap();
    let now = reader.concurrent_reader().unwrap().clone();
    assert!(Arc::ptr_eq(&before, &now));
    let mut merged = 0;
    for id in claims.iter().flat_map(|claim| claim.as_claim().ids()) {
        let canonical = store.resolve(id);
        assert_eq!(answer(&reader, id), Some(canonical.into()), "{id}");
        merged += u32::from(canonical != id);
    }
    assert!(merged > 20);
    let entries = 1..=store.history().unwrap().last();
    for entry in entries.take(3) {
        store
            .retract(entry, "who", "why", Cause::default())
            .unwrap();
    }
    store.commit().unwrap();
    reader.refresh().unwrap();
    for id in claims.iter().flat_map(|claim| claim.as_claim().ids()) {
        let found = answer(&reader, id);
        assert!(
            found.is_none_or(|found| found == DistinctIdBuf::from(store.resolve(id))),
            "{id}"
        );
    }
}

#[test]
fn threads_resolve_while_a_reader_of_simplified_is_refreshed() {
    threads_resolve_while_a_reader_is_refreshed::<Simplified>();
}

#[test]
fn threads_resolve_while_a_reader_of_original_is_refreshed() {
    threads_resolve_while_a_reader_is_refreshed::<Original>();
}

#[test]
fn a_reader_of_simplified_answers_as_its_store() {
    a_reader_answers_as_its_store::<Simplified>();
}

#[test]
fn a_reader_of_original_answers_as_its_store() {
    a_reader_answers_as_its_store::<Original>();
}
