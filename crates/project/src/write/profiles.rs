//! [`ProfileChanges`]: profiles that are changed and not committed.

use foldhash::{HashMap, HashMapExt};
use idmerge_core::{Resolve, RuleBook};
use idmerge_engines::Settings;
use idmerge_profiles::{Fate, Limits, Profile, ProfileMerge, Side, Target, Update, after_merge};
use idmerge_store::redb::{ReadTransaction, ReadableTableMetadata, TableError, WriteTransaction};

use crate::error::ProjectError;
use crate::options::Options;
use crate::profiles::{GROUPS, HIDDEN, PROFILES, ProfileKey, SOURCES, committed};
use crate::write::batch::RecordError;

/// Profiles that are changed and not committed. `None` is a deleted profile.
pub(crate) struct ProfileChanges {
    changed: HashMap<ProfileKey, Option<Profile>>,
    /// Whether the project has any user profile. If not, merges have no profiles to move.
    has_any: bool,
}

/// A claim that merged two clusters, or changed the canonical ID of one.
pub(crate) struct Merge {
    /// The canonical IDs of the two sides before the claim.
    pub(crate) before: [String; 2],
    /// The canonical ID of both since the claim.
    pub(crate) after: String,
    /// The two IDs that the claim names.
    pub(crate) named: [String; 2],
}

impl ProfileChanges {
    pub(crate) fn open(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let has_any = match read.open_table(PROFILES) {
            Err(TableError::TableDoesNotExist(_)) => false,
            table => !table?.is_empty()?,
        };
        Ok(Self {
            changed: HashMap::new(),
            has_any,
        })
    }

    pub(crate) fn has_any(&self) -> bool {
        self.has_any
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    fn profile(
        &self,
        key: &ProfileKey,
        read: &ReadTransaction,
    ) -> Result<Option<Profile>, ProjectError> {
        if let Some(profile) = self.changed.get(key) {
            return Ok(profile.clone());
        }
        committed(read, key)
    }

    /// P-1: carries an update out on the profile of the current canonical ID.
    ///
    /// The inner result is an error if the update is invalid; the outer one if the disk fails.
    pub(crate) fn update(
        &mut self,
        update: &Update,
        settings: &Settings,
        engine: &impl Resolve,
        read: &ReadTransaction,
        limits: &Limits,
    ) -> Result<Result<(), RecordError>, ProjectError> {
        let key = match target_key(update.target(), settings, engine) {
            Ok(key) => key,
            Err(error) => return Ok(Err(error)),
        };
        let before = self.profile(&key, read)?;
        match update.apply(before, limits) {
            Ok(after) => {
                self.has_any |= matches!(key, ProfileKey::Canonical(_));
                self.changed.insert(key, after);
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// P-2 and P-3: moves, hides or deletes the profiles of the two sides of a merge.
    pub(crate) fn merge(
        &mut self,
        rule_book: RuleBook,
        merge: &Merge,
        options: &Options,
        read: &ReadTransaction,
    ) -> Result<(), ProjectError> {
        let Merge {
            before,
            after,
            named,
        } = merge;
        if !self.has_any || before.iter().all(|id| id == after) {
            return Ok(());
        }
        // One cluster has changed its canonical ID: it has one profile, on the first side.
        let is_one_cluster = before[0] == before[1];
        let canonical = |id: &str| ProfileKey::Canonical(id.to_owned());
        let mut profiles = [self.profile(&canonical(&before[0]), read)?, None];
        if !is_one_cluster {
            profiles[1] = self.profile(&canonical(&before[1]), read)?;
        }
        let sides = [0, 1].map(|side| {
            let is_canonical = before[side] == *after;
            // An ID that becomes canonical is one that the claim names.
            let has_canonical = is_canonical || named[side] == *after;
            Side {
                is_canonical,
                has_canonical: has_canonical || is_one_cluster && side == 0,
                has_profile: profiles[side].is_some(),
            }
        });
        let is_fill = options.profile_merge == ProfileMerge::Fill;
        if is_fill && let Some(other) = sides.iter().position(|side| !side.has_canonical) {
            self.fill(merge, profiles, other, &options.profile_limits);
            return Ok(());
        }
        let fates = after_merge(rule_book, sides);
        for ((id, profile), fate) in before.iter().zip(profiles).zip(fates) {
            if let Some(profile) = profile {
                match fate {
                    Fate::Moves => self.changed.insert(canonical(after), Some(profile)),
                    Fate::Hidden => {
                        let hidden = ProfileKey::Hidden(id.clone());
                        self.changed.insert(hidden, Some(profile))
                    }
                    Fate::Stays | Fate::Gone => None,
                };
            }
        }
        for (id, fate) in before.iter().zip(fates) {
            if fate != Fate::Stays {
                self.changed.insert(canonical(id), None);
            }
        }
        Ok(())
    }

    /// The profile that remains takes the properties that it lacks from the `other` one, which is
    /// hidden.
    fn fill(
        &mut self,
        merge: &Merge,
        mut profiles: [Option<Profile>; 2],
        other: usize,
        limits: &Limits,
    ) {
        let canonical = |id: &str| ProfileKey::Canonical(id.to_owned());
        let (remains_id, other_id) = (&merge.before[1 - other], &merge.before[other]);
        let remains = profiles[1 - other].take();
        let after = match profiles[other].take() {
            None => remains,
            Some(other) => {
                let mut filled = remains.unwrap_or_default();
                filled.fill(&other, other_id, limits);
                self.changed
                    .insert(ProfileKey::Hidden(other_id.clone()), Some(other));
                self.changed.insert(canonical(other_id), None);
                Some(filled)
            }
        };
        if let Some(after) = after {
            self.changed.insert(canonical(remains_id), None);
            self.changed.insert(canonical(&merge.after), Some(after));
        }
    }

    /// Writes the changes to the database.
    pub(crate) fn write(&mut self, write: &WriteTransaction) -> Result<(), ProjectError> {
        use ProfileKey::{Canonical, Group, Hidden};

        let mut profiles = write.open_table(PROFILES)?;
        let mut hidden = write.open_table(HIDDEN)?;
        let mut groups = write.open_table(GROUPS)?;
        let mut sources = write.open_table(SOURCES)?;
        for (key, profile) in self.changed.drain() {
            if let Some(key) = key.in_sources() {
                match profile.as_ref().and_then(Profile::sources_json) {
                    Some(json) => drop(sources.insert(key, &*json)?),
                    None => drop(sources.remove(key)?),
                }
            }
            let json = profile.map(|profile| profile.to_json());
            match (key, json) {
                (Canonical(id), Some(json)) => drop(profiles.insert(&*id, &*json)?),
                (Canonical(id), None) => drop(profiles.remove(&*id)?),
                (Hidden(id), Some(json)) => drop(hidden.insert(&*id, &*json)?),
                (Hidden(id), None) => drop(hidden.remove(&*id)?),
                (Group(key, id), Some(json)) => drop(groups.insert((&*key, &*id), &*json)?),
                (Group(key, id), None) => drop(groups.remove((&*key, &*id))?),
            }
        }
        Ok(())
    }
}

fn target_key(
    target: &Target,
    settings: &Settings,
    engine: &impl Resolve,
) -> Result<ProfileKey, RecordError> {
    match target {
        Target::Group { key, id } => Ok(ProfileKey::Group(key.clone(), id.clone())),
        Target::User {
            distinct_id,
            ignores_alias,
        } => {
            let id = settings.read_id(distinct_id)?;
            let canonical = engine.resolve(id);
            Ok(if *ignores_alias && canonical != id {
                ProfileKey::Hidden(id.to_string())
            } else {
                ProfileKey::Canonical(canonical.to_string())
            })
        }
    }
}
