//! Adapts the profiles to a log of claims that was revised: an entry was withdrawn, or a repair lost
//! entries.
//!
//! Nothing else that a project keeps depends on earlier canonical IDs: events and their index are stored
//! under own IDs, duplicate events are found by the events themselves, and clusters that are nearly full are
//! counted at every start. In Legacy, events and their index also have the ID of their arrival, which stays
//! what it was (L-3).

use std::collections::BTreeSet;

use idmerge_core::{Attribution, DistinctId, Resolve};
use idmerge_engines::Engine;
use idmerge_profiles::ProfileMerge;
use idmerge_store::redb::{ReadableTable, TableHandle, WriteTransaction};
use idmerge_store::{Change, Durable};

use crate::error::ProjectError;
use crate::options::Options;
use crate::profiles::{PROFILES, ProfileKey};
use crate::write::profiles::tables::{ProfileTables, Written};

/// Makes the profiles fit the clusters again, if the log was revised while the project was closed. No
/// profile is deleted, except one that had only properties of other users.
pub(crate) fn adapt(store: &Durable<Engine>, options: &Options) -> Result<(), ProjectError> {
    if store.opened().is_revised {
        store.commit_adapted(|write| Profiles::open(write, None)?.adapt(store, options))?;
    }
    Ok(())
}

/// Makes the profiles fit the clusters again, after a retraction made these changes while the project is
/// open. Batches wait for it, so it reads only the profiles of the users that changed.
pub(crate) fn adapt_changed(
    store: &Durable<Engine>,
    changes: &[Change],
    options: &Options,
) -> Result<(), ProjectError> {
    let changed = members_of_changed(store, changes);
    store.commit_adapted(|write| Profiles::open(write, Some(changed))?.adapt(store, options))?;
    Ok(())
}

/// The IDs that changed, and the other members of their clusters: a profile is in the way of another one
/// or has taken properties from it only if both are of one user, before or after.
fn members_of_changed(engine: &impl Resolve, changes: &[Change]) -> BTreeSet<String> {
    let mut ids: BTreeSet<String> = changes.iter().map(|it| it.id.to_string()).collect();
    let users: BTreeSet<_> = changes
        .iter()
        .flat_map(|change| [change.from.as_id(), change.to.as_id()])
        .map(|id| engine.resolve(id))
        .collect();
    for user in users {
        ids.insert(user.to_string());
        if let Some(cluster) = engine.cluster(user) {
            ids.extend(cluster.members.iter().map(ToString::to_string));
        }
    }
    ids
}

/// The tables of users' profiles.
struct Profiles<'t> {
    tables: ProfileTables<'t>,
    /// The IDs to look at; `None` for all.
    ids: Option<BTreeSet<String>>,
}

impl<'t> Profiles<'t> {
    fn open(
        write: &'t WriteTransaction,
        ids: Option<BTreeSet<String>>,
    ) -> Result<Self, ProjectError> {
        let tables = ProfileTables::open(write)?;
        Ok(Self { tables, ids })
    }

    fn adapt(mut self, engine: &impl Resolve, options: &Options) -> Result<(), ProjectError> {
        self.return_properties(engine)?;

        // An ID that is canonical again shows its own profile, which a merge had hidden.
        let shown = self.keys(&self.tables.hidden, |id| {
            Ok(canonical(engine, id) == id && self.tables.shown.get(id)?.is_none())
        })?;
        for id in shown {
            let (from, to) = (ProfileKey::Hidden(id.clone()), ProfileKey::Canonical(id));
            self.rename(&from, &to)?;
        }

        // A visible profile belongs under a canonical ID.
        let misplaced = self.keys(&self.tables.shown, |id| Ok(canonical(engine, id) != id))?;
        for id in misplaced {
            let user = ProfileKey::Canonical(canonical(engine, &id));
            let from = ProfileKey::Canonical(id.clone());
            // LP-2
            if engine.attribution() == Attribution::AtArrival {
                self.rename(&from, &ProfileKey::Hidden(id))?;
                continue;
            }
            if let Some(mut profile) = self.tables.profile(&user)? {
                if options.profile_merge == ProfileMerge::Fill
                    && let Some(other) = self.tables.profile(&from)?
                {
                    profile.fill(&other, &id, &options.profile_limits);
                    self.tables.put(&user, Some(Written::Profile(profile)))?;
                }
                self.rename(&from, &ProfileKey::Hidden(id))?;
            } else {
                self.rename(&from, &user)?;
            }
        }
        self.tables.finish()
    }

    /// The IDs to look at that have a row in a table for which `is_meant` is true, in order.
    fn keys(
        &self,
        table: &impl ReadableTable<&'static str, &'static str>,
        is_meant: impl Fn(&str) -> Result<bool, ProjectError>,
    ) -> Result<Vec<String>, ProjectError> {
        let mut keys = Vec::new();
        let mut look_at = |id: &str| {
            if is_meant(id)? {
                keys.push(id.to_owned());
            }
            Ok::<_, ProjectError>(())
        };
        match &self.ids {
            None => {
                for row in table.range::<&str>(..)? {
                    look_at(row?.0.value())?;
                }
            }
            Some(ids) => {
                for id in ids {
                    if table.get(&**id)?.is_some() {
                        look_at(id)?;
                    }
                }
            }
        }
        Ok(keys)
    }

    /// The profiles to look at that have taken properties from others.
    fn with_sources(&self) -> Result<Vec<ProfileKey>, ProjectError> {
        let sources = &self.tables.sources;
        let mut keys = Vec::new();
        match &self.ids {
            None => {
                for row in sources.range::<(&str, &str)>(..)? {
                    let (key, _) = row?;
                    let (table, id) = key.value();
                    let id = id.to_owned();
                    keys.push(match table == PROFILES.name() {
                        true => ProfileKey::Canonical(id),
                        false => ProfileKey::Hidden(id),
                    });
                }
            }
            Some(ids) => {
                for id in ids {
                    for key in [
                        ProfileKey::Canonical(id.clone()),
                        ProfileKey::Hidden(id.clone()),
                    ] {
                        if let Some(row) = key.in_sources()
                            && sources.get(row)?.is_some()
                        {
                            keys.push(key);
                        }
                    }
                }
            }
        }
        Ok(keys)
    }

    /// Takes properties away from the profiles that had taken them from what is another user now.
    fn return_properties(&mut self, engine: &impl Resolve) -> Result<(), ProjectError> {
        for key in self.with_sources()? {
            let (Some((_, id)), Some(mut profile)) = (key.in_sources(), self.tables.profile(&key)?)
            else {
                continue;
            };
            let user = canonical(engine, id);
            if profile.return_properties(|source| canonical(engine, source) == user) {
                let is_left = !profile.is_empty();
                let left = is_left.then_some(Written::Profile(profile));
                self.tables.put(&key, left)?;
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &ProfileKey, to: &ProfileKey) -> Result<(), ProjectError> {
        let row = self.tables.row(from)?;
        self.tables.put(from, None)?;
        self.tables.put(to, row.map(Written::Row))
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
