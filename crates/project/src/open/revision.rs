//! Adapts the profiles to a log of claims that was revised while the project was closed: an entry was
//! withdrawn, or a repair lost entries.
//!
//! Nothing else that a project keeps depends on earlier canonical IDs: events and their index are
//! stored under own IDs, duplicate events are found by the events themselves, and clusters that are
//! nearly full are counted at every start.

use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::Engine;
use idmerge_profiles::ProfileMerge;
use idmerge_store::Durable;
use idmerge_store::redb::{ReadableTable, TableHandle, WriteTransaction};

use crate::error::ProjectError;
use crate::options::Options;
use crate::profiles::{PROFILES, ProfileKey};
use crate::write::profiles::tables::{ProfileTables, Written};

/// Makes the profiles fit the clusters again, if the log was revised. No profile is deleted, except one
/// that had only properties of other users.
pub(crate) fn adapt(store: &Durable<Engine>, options: &Options) -> Result<(), ProjectError> {
    if store.opened().is_revised {
        store.commit_adapted(|write| Profiles::open(write)?.adapt(store, options))?;
    }
    Ok(())
}

/// Makes the profiles fit the clusters again, after a retraction while the project is open.
pub(crate) fn adapt_now(store: &Durable<Engine>, options: &Options) -> Result<(), ProjectError> {
    store.commit_adapted(|write| Profiles::open(write)?.adapt(store, options))?;
    Ok(())
}

/// The tables of users' profiles.
struct Profiles<'t>(ProfileTables<'t>);

impl<'t> Profiles<'t> {
    fn open(write: &'t WriteTransaction) -> Result<Self, ProjectError> {
        ProfileTables::open(write).map(Self)
    }

    fn adapt(mut self, engine: &impl Resolve, options: &Options) -> Result<(), ProjectError> {
        self.return_properties(engine)?;

        // An ID that is canonical again shows its own profile, which a merge had hidden.
        let mut shown = Vec::new();
        for row in self.0.hidden.range::<&str>(..)? {
            let id = row?.0.value().to_owned();
            if canonical(engine, &id) == id && self.0.shown.get(&*id)?.is_none() {
                shown.push(id);
            }
        }
        for id in shown {
            let (from, to) = (ProfileKey::Hidden(id.clone()), ProfileKey::Canonical(id));
            self.rename(&from, &to)?;
        }

        // A visible profile belongs under a canonical ID.
        let mut misplaced = Vec::new();
        for row in self.0.shown.range::<&str>(..)? {
            let id = row?.0.value().to_owned();
            let canonical = canonical(engine, &id);
            if canonical != id {
                misplaced.push((id, canonical));
            }
        }
        for (id, canonical) in misplaced {
            let from = ProfileKey::Canonical(id.clone());
            let user = ProfileKey::Canonical(canonical);
            if let Some(mut profile) = self.0.profile(&user)? {
                if options.profile_merge == ProfileMerge::Fill
                    && let Some(other) = self.0.profile(&from)?
                {
                    profile.fill(&other, &id, &options.profile_limits);
                    self.0.put(&user, Some(Written::Profile(profile)))?;
                }
                self.rename(&from, &ProfileKey::Hidden(id))?;
            } else {
                self.rename(&from, &user)?;
            }
        }
        self.0.finish()
    }

    /// Takes properties away from the profiles that had taken them from what is another user now.
    fn return_properties(&mut self, engine: &impl Resolve) -> Result<(), ProjectError> {
        let mut keys = Vec::new();
        for row in self.0.sources.range::<(&str, &str)>(..)? {
            let (key, _) = row?;
            let (table, id) = key.value();
            let id = id.to_owned();
            keys.push(match table == PROFILES.name() {
                true => ProfileKey::Canonical(id),
                false => ProfileKey::Hidden(id),
            });
        }
        for key in keys {
            let (Some((_, id)), Some(mut profile)) = (key.in_sources(), self.0.profile(&key)?)
            else {
                continue;
            };
            let user = canonical(engine, id);
            if profile.return_properties(|source| canonical(engine, source) == user) {
                let is_left = !profile.is_empty();
                let left = is_left.then_some(Written::Profile(profile));
                self.0.put(&key, left)?;
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &ProfileKey, to: &ProfileKey) -> Result<(), ProjectError> {
        let row = self.0.row(from)?;
        self.0.put(from, None)?;
        self.0.put(to, row.map(Written::Row))
    }
}

/// The canonical ID of the ID with this text.
fn canonical(engine: &impl Resolve, text: &str) -> String {
    match DistinctId::try_from(text) {
        Ok(id) => engine.resolve(id).to_string(),
        // The keys of profiles were IDs when they were written.
        Err(_) => text.to_owned(),
    }
}
