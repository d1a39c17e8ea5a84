//! Adapts the profiles to a log of claims that was revised while the project was closed: an entry was
//! withdrawn, or a repair lost entries.
//!
//! Nothing else that a project keeps depends on earlier canonical IDs: events and their index are
//! stored under own IDs, duplicate events are found by the events themselves, and clusters that are
//! nearly full are counted at every start.

use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::Engine;
use idmerge_profiles::{Profile, ProfileMerge};
use idmerge_store::Durable;
use idmerge_store::redb::{ReadableTable, Table, TableHandle, WriteTransaction};

use crate::error::ProjectError;
use crate::options::Options;
use crate::profiles::{HIDDEN, PROFILES, ProfileKey, SOURCES};

/// Makes the profiles fit the clusters again, if the log was revised. No profile is deleted, except one
/// that had only properties of other users.
pub(crate) fn adapt(store: &Durable<Engine>, options: &Options) -> Result<(), ProjectError> {
    if store.opened().is_revised {
        store.commit_adapted(|write| Profiles::open(write)?.adapt(store, options))?;
    }
    Ok(())
}

type ById<'t> = Table<'t, &'static str, &'static str>;

/// The tables of users' profiles.
struct Profiles<'t> {
    shown: ById<'t>,
    hidden: ById<'t>,
    sources: Table<'t, (&'static str, &'static str), &'static str>,
}

impl<'t> Profiles<'t> {
    fn open(write: &'t WriteTransaction) -> Result<Self, ProjectError> {
        Ok(Self {
            shown: write.open_table(PROFILES)?,
            hidden: write.open_table(HIDDEN)?,
            sources: write.open_table(SOURCES)?,
        })
    }

    fn adapt(mut self, engine: &impl Resolve, options: &Options) -> Result<(), ProjectError> {
        self.return_properties(engine)?;

        // An ID that is canonical again shows its own profile, which a merge had hidden.
        let mut shown = Vec::new();
        for row in self.hidden.range::<&str>(..)? {
            let id = row?.0.value().to_owned();
            if canonical(engine, &id) == id && self.shown.get(&*id)?.is_none() {
                shown.push(id);
            }
        }
        for id in shown {
            let (from, to) = (ProfileKey::Hidden(id.clone()), ProfileKey::Canonical(id));
            self.rename(&from, &to)?;
        }

        // A visible profile belongs under a canonical ID.
        let mut misplaced = Vec::new();
        for row in self.shown.range::<&str>(..)? {
            let id = row?.0.value().to_owned();
            let canonical = canonical(engine, &id);
            if canonical != id {
                misplaced.push((id, canonical));
            }
        }
        for (id, canonical) in misplaced {
            let from = ProfileKey::Canonical(id.clone());
            let user = ProfileKey::Canonical(canonical);
            if let Some(mut profile) = self.get(&user)? {
                if options.profile_merge == ProfileMerge::Fill
                    && let Some(other) = self.get(&from)?
                {
                    profile.fill(&other, &id, &options.profile_limits);
                    self.put(&user, Some(&profile))?;
                }
                self.rename(&from, &ProfileKey::Hidden(id))?;
            } else {
                self.rename(&from, &user)?;
            }
        }
        Ok(())
    }

    /// Takes properties away from the profiles that had taken them from what is another user now.
    fn return_properties(&mut self, engine: &impl Resolve) -> Result<(), ProjectError> {
        let mut keys = Vec::new();
        for row in self.sources.range::<(&str, &str)>(..)? {
            let (key, _) = row?;
            let (table, id) = key.value();
            let id = id.to_owned();
            keys.push(match table == PROFILES.name() {
                true => ProfileKey::Canonical(id),
                false => ProfileKey::Hidden(id),
            });
        }
        for key in keys {
            let (Some((_, id)), Some(mut profile)) = (key.in_sources(), self.get(&key)?) else {
                continue;
            };
            let user = canonical(engine, id);
            if profile.return_properties(|source| canonical(engine, source) == user) {
                let is_left = !profile.is_empty();
                self.put(&key, is_left.then_some(&profile))?;
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &ProfileKey, to: &ProfileKey) -> Result<(), ProjectError> {
        let profile = self.get(from)?;
        self.put(from, None)?;
        self.put(to, profile.as_ref())
    }

    fn get(&self, key: &ProfileKey) -> Result<Option<Profile>, ProjectError> {
        let json = match key {
            ProfileKey::Canonical(id) => self.shown.get(&**id)?,
            ProfileKey::Hidden(id) => self.hidden.get(&**id)?,
            ProfileKey::Group(..) => None,
        };
        let profile = json.and_then(|json| Profile::from_json(json.value()));
        let (Some(profile), Some(key)) = (profile, key.in_sources()) else {
            return Ok(None);
        };
        Ok(Some(match self.sources.get(key)? {
            Some(sources) => profile.with_sources(sources.value()),
            None => profile,
        }))
    }

    fn put(&mut self, key: &ProfileKey, profile: Option<&Profile>) -> Result<(), ProjectError> {
        let table = match key {
            ProfileKey::Hidden(_) => &mut self.hidden,
            _ => &mut self.shown,
        };
        let Some((name, id)) = key.in_sources() else {
            return Ok(());
        };
        match profile.map(Profile::to_json) {
            Some(json) => drop(table.insert(id, &*json)?),
            None => drop(table.remove(id)?),
        }
        match profile.and_then(Profile::sources_json) {
            Some(json) => drop(self.sources.insert((name, id), &*json)?),
            None => drop(self.sources.remove((name, id))?),
        }
        Ok(())
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
