//! Adapts the profiles to a log of claims that was revised while the project was closed: an entry was
//! withdrawn, or a repair lost entries.
//!
//! Nothing else that a project keeps depends on earlier canonical IDs: events and their index are
//! stored under own IDs, repeated events are found by the events themselves, and clusters that are
//! nearly full are counted at every start.

use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::Engine;
use idmerge_store::Durable;
use idmerge_store::redb::{ReadableTable, WriteTransaction};

use crate::error::ProjectError;
use crate::profiles::{HIDDEN, PROFILES};

/// Makes the profiles fit the clusters again, if the log was revised. No profile is deleted.
pub(crate) fn adapt(store: &Durable<Engine>) -> Result<(), ProjectError> {
    if store.opened().is_revised {
        store.commit_adapted(|write| adapt_profiles(store, write))?;
    }
    Ok(())
}

fn adapt_profiles(engine: &impl Resolve, write: &WriteTransaction) -> Result<(), ProjectError> {
    let mut profiles = write.open_table(PROFILES)?;
    let mut hidden = write.open_table(HIDDEN)?;

    // An ID that is canonical again shows its own profile (P-3 had hidden it).
    let mut shown = Vec::new();
    for row in hidden.range::<&str>(..)? {
        let (id, json) = row?;
        if canonical(engine, id.value()) == id.value() && profiles.get(id.value())?.is_none() {
            shown.push((id.value().to_owned(), json.value().to_owned()));
        }
    }
    for (id, json) in shown {
        hidden.remove(&*id)?;
        profiles.insert(&*id, &*json)?;
    }

    // A visible profile belongs under a canonical ID.
    let mut misplaced = Vec::new();
    for row in profiles.range::<&str>(..)? {
        let (id, json) = row?;
        let canonical = canonical(engine, id.value());
        if canonical != id.value() {
            misplaced.push((id.value().to_owned(), canonical, json.value().to_owned()));
        }
    }
    for (id, canonical, json) in misplaced {
        profiles.remove(&*id)?;
        if profiles.get(&*canonical)?.is_none() {
            profiles.insert(&*canonical, &*json)?;
        } else {
            hidden.insert(&*id, &*json)?;
        }
    }
    Ok(())
}

/// The canonical ID of the ID with this text.
fn canonical(engine: &impl Resolve, text: &str) -> String {
    match DistinctId::try_from(text) {
        Ok(id) => engine.resolve(id).to_string(),
        // The keys of profiles were IDs when they were written.
        Err(_) => text.to_owned(),
    }
}
