//! Adapts the profiles to a log of claims that was revised: an entry was withdrawn, or a repair lost
//! entries.
//!
//! Nothing else that a project keeps depends on earlier canonical IDs: events and their index are stored
//! under own IDs, duplicate events are found by the events themselves, and clusters that are nearly full are
//! counted at every start. In Legacy, events and their index also have the ID of their arrival, which stays
//! what it was (L-3).

use std::collections::BTreeSet;
use std::vec;

use idmerge_core::{Attribution, DistinctId, Resolve};
use idmerge_engines::Engine;
use idmerge_profiles::{Profile, ProfileMerge};
use idmerge_store::redb::{ReadableTable, TableHandle};
use idmerge_store::{Change, Durable, clear_revised};

use crate::error::ProjectError;
use crate::options::Options;
use crate::profiles::{PROFILES, ProfileKey};
use crate::write::profiles::tables::{ProfileTables, Written};

/// Makes the profiles fit the clusters again, if the log was revised while the project was closed. No
/// profile is deleted, except one that had only properties of other users.
pub(crate) fn adapt(store: &Durable<Engine>, options: &Options) -> Result<(), ProjectError> {
    match store.opened().is_revised {
        true => adapt_some(store, None, options),
        false => Ok(()),
    }
}

/// Makes the profiles fit the clusters again, after a retraction made these changes while the project is
/// open. Batches wait for it, so it reads only the profiles of the users that changed.
pub(crate) fn adapt_changed(
    store: &Durable<Engine>,
    changes: &[Change],
    options: &Options,
) -> Result<(), ProjectError> {
    let changed = members_of_changed(store, changes);
    adapt_some(store, Some(&changed), options)
}

/// Adapts the profiles of some IDs, or all. A commit has memory for as many bytes of profiles as the merges of a
/// commit, and one profile more, so this may take several. After a crash between two, the next opening adapts all.
fn adapt_some(
    store: &Durable<Engine>,
    ids: Option<&BTreeSet<String>>,
    options: &Options,
) -> Result<(), ProjectError> {
    let mut left = Left::All;
    while !matches!(left, Left::Nothing) {
        store.commit_with(|write| {
            let mut profiles = Profiles {
                tables: ProfileTables::open(write)?,
                ids,
                bytes: 0,
            };
            while profiles.bytes < options.max_commit_profile_bytes
                && !matches!(left, Left::Nothing)
            {
                left.adapt_next(&mut profiles, store, options)?;
            }
            profiles.tables.finish()?;
            if matches!(left, Left::Nothing) {
                clear_revised(write)?;
            }
            Ok::<_, ProjectError>(())
        })?;
    }
    Ok(())
}

/// What is left to do.
enum Left {
    All,
    /// To return the properties of other users from these profiles, and then the rest.
    Return(vec::IntoIter<ProfileKey>),
    /// To show the profiles of these IDs, and then the rest.
    Show(vec::IntoIter<String>),
    /// To put the profiles of these IDs where they belong.
    Place(vec::IntoIter<String>),
    Nothing,
}

impl Left {
    fn adapt_next(
        &mut self,
        profiles: &mut Profiles<'_>,
        engine: &impl Resolve,
        options: &Options,
    ) -> Result<(), ProjectError> {
        *self = match self {
            Self::All => Self::Return(profiles.with_sources()?.into_iter()),
            Self::Return(keys) => match keys.next() {
                Some(key) => return profiles.return_properties(&key, engine),
                None => Self::Show(profiles.hidden_of_users(engine)?.into_iter()),
            },
            Self::Show(ids) => match ids.next() {
                Some(id) => return profiles.show(id),
                None => Self::Place(profiles.misplaced(engine)?.into_iter()),
            },
            Self::Place(ids) => match ids.next() {
                Some(id) => return profiles.place(&id, engine, options),
                None => Self::Nothing,
            },
            Self::Nothing => Self::Nothing,
        };
        Ok(())
    }
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
    ids: Option<&'t BTreeSet<String>>,
    /// The bytes of profiles that were read.
    bytes: usize,
}

impl Profiles<'_> {
    /// The IDs that are canonical again and show nothing. Their own profiles were hidden by a merge.
    fn hidden_of_users(&self, engine: &impl Resolve) -> Result<Vec<String>, ProjectError> {
        self.keys(&self.tables.hidden, |id| {
            Ok(canonical(engine, id) == id && self.tables.shown.get(id)?.is_none())
        })
    }

    fn show(&mut self, id: String) -> Result<(), ProjectError> {
        let (from, to) = (ProfileKey::Hidden(id.clone()), ProfileKey::Canonical(id));
        self.rename(&from, &to)
    }

    /// The IDs that are not canonical any more and show a profile.
    fn misplaced(&self, engine: &impl Resolve) -> Result<Vec<String>, ProjectError> {
        self.keys(&self.tables.shown, |id| Ok(canonical(engine, id) != id))
    }

    /// A visible profile belongs under a canonical ID.
    fn place(
        &mut self,
        id: &str,
        engine: &impl Resolve,
        options: &Options,
    ) -> Result<(), ProjectError> {
        let user = ProfileKey::Canonical(canonical(engine, id));
        let from = ProfileKey::Canonical(id.to_owned());
        let hidden = ProfileKey::Hidden(id.to_owned());
        // LP-2
        if engine.attribution() == Attribution::AtArrival {
            return self.rename(&from, &hidden);
        }
        let Some(mut profile) = self.profile(&user)? else {
            return self.rename(&from, &user);
        };
        if options.profile_merge == ProfileMerge::Fill
            && let Some(other) = self.profile(&from)?
        {
            profile.fill(&other, id, &options.profile_limits);
            self.tables.put(&user, Some(Written::Profile(profile)))?;
        }
        self.rename(&from, &hidden)
    }

    /// Reads a profile.
    fn profile(&mut self, key: &ProfileKey) -> Result<Option<Profile>, ProjectError> {
        let profile = self.tables.profile(key)?;
        self.bytes += profile.as_ref().map_or(0, Profile::json_bytes);
        Ok(profile)
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
        match self.ids {
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
        match self.ids {
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

    /// Takes properties away from a profile that had taken them from what is another user now.
    fn return_properties(
        &mut self,
        key: &ProfileKey,
        engine: &impl Resolve,
    ) -> Result<(), ProjectError> {
        let (Some((_, id)), Some(mut profile)) = (key.in_sources(), self.profile(key)?) else {
            return Ok(());
        };
        let user = canonical(engine, id);
        if profile.return_properties(|source| canonical(engine, source) == user) {
            let is_left = !profile.is_empty();
            let left = is_left.then_some(Written::Profile(profile));
            self.tables.put(key, left)?;
        }
        Ok(())
    }

    fn rename(&mut self, from: &ProfileKey, to: &ProfileKey) -> Result<(), ProjectError> {
        let row = self.tables.row(from)?;
        self.bytes += row.as_ref().map_or(0, |row| row.text.len());
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
