//! [`ProfileChanges`]: profiles that are changed and not committed.

pub(crate) mod tables;
pub(crate) mod turn;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use idmerge_core::{Claim, Resolve, RuleBook};
use idmerge_engines::Settings;
use idmerge_profiles::{Fate, Limits, Profile, ProfileMerge, Side, Target, Update, after_merge};
use idmerge_store::redb::{ReadTransaction, ReadableTableMetadata, TableError, WriteTransaction};

use crate::error::ProjectError;
use crate::options::Options;
use crate::profiles::{PROFILES, ProfileKey, Texts, committed_bytes, committed_row, profile_of};
use crate::write::batch::RecordError;
use crate::write::profiles::tables::{ProfileTables, Written};
use crate::write::profiles::turn::Room;

/// Profiles that are changed and not committed. `None` is a deleted profile.
pub(crate) struct ProfileChanges {
    changed: HashMap<ProfileKey, Option<Written>>,
    /// Whether the project has any user profile. If not, merges have no profiles to move.
    has_any: bool,
    /// The bytes of the profiles that merges have copied into others since the last commit.
    copied_bytes: usize,
}

/// The updates of a batch by profile.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) profiles: Vec<ProfileUpdates>,
    /// The places of the updates for which there is no room, in order.
    pub(crate) left: Vec<usize>,
    /// The bytes of the stored profiles that have no update left.
    pub(crate) done_bytes: usize,
    /// The updates of invalid IDs, by the index of the record.
    pub(crate) refused: Vec<(usize, RecordError)>,
}

/// The updates of a batch that change one profile.
pub(crate) struct ProfileUpdates {
    key: ProfileKey,
    /// Their places in the list of updates, in order.
    updates: Vec<usize>,
}

/// The profiles of users that merges read.
#[derive(Default)]
pub(crate) struct WeighedMerges(HashSet<String>);

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
            copied_bytes: 0,
        })
    }

    pub(crate) fn has_any(&self) -> bool {
        self.has_any
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    fn has_profile(&self, key: &ProfileKey, read: &ReadTransaction) -> Result<bool, ProjectError> {
        Ok(match self.changed.get(key) {
            Some(profile) => profile.is_some(),
            None => committed_bytes(read, key)?.is_some(),
        })
    }

    /// Takes a profile, to put it at its new place. It is then deleted at the old one.
    fn take(
        &mut self,
        key: ProfileKey,
        read: &ReadTransaction,
    ) -> Result<Option<Written>, ProjectError> {
        let profile = match self.changed.remove(&key) {
            Some(profile) => profile,
            None => committed_row(read, &key)?.map(Written::Row),
        };
        self.changed.insert(key, None);
        Ok(profile)
    }

    /// The bytes of the stored profiles that updates change.
    pub(crate) fn weigh(
        &self,
        updates: &[(usize, Update)],
        settings: &Settings,
        engine: &impl Resolve,
        read: &ReadTransaction,
    ) -> Result<usize, ProjectError> {
        let mut bytes = 0;
        let mut keys = HashSet::new();
        for (_, update) in updates {
            if let Ok(key) = target_key(update.target(), settings, engine)
                && !keys.contains(&key)
            {
                bytes += self.unread_bytes(&key, read)?;
                keys.insert(key);
            }
        }
        Ok(bytes)
    }

    /// The bytes of a profile, if it must be read to be changed.
    fn unread_bytes(
        &self,
        key: &ProfileKey,
        read: &ReadTransaction,
    ) -> Result<usize, ProjectError> {
        Ok(match self.changed.contains_key(key) {
            true => 0,
            false => committed_bytes(read, key)?.unwrap_or(0),
        })
    }

    /// Finds the profiles that updates change: P-1, those of the current canonical IDs. It leaves out the
    /// profiles that have no room to be read, with all later ones, and everything from the first update on
    /// that has no room to be carried out.
    ///
    /// An update of an invalid ID is an error.
    pub(crate) fn plan(
        &self,
        updates: &[(usize, Update)],
        settings: &Settings,
        engine: &impl Resolve,
        read: &ReadTransaction,
        room: &mut Room<'_>,
    ) -> Result<Plan, ProjectError> {
        let mut plan = Plan::default();
        // The place of each profile, and the bytes to be read for it.
        let mut places: HashMap<ProfileKey, (usize, usize)> = HashMap::new();
        let mut is_full = false;
        let mut is_over = false;
        for (at, (index, update)) in updates.iter().enumerate() {
            let key = match target_key(update.target(), settings, engine) {
                Ok(key) => key,
                Err(error) => {
                    plan.refused.push((*index, error));
                    continue;
                }
            };
            let planned = places.get_mut(&key);
            let mut bytes = 0;
            if planned.is_none() && !is_full && !is_over {
                bytes = self.unread_bytes(&key, read)?;
                is_full = !room.take_profile(bytes);
            }
            let has_profile = planned.is_some() || !is_full;
            is_over = is_over || has_profile && !room.take_update(update.members());
            if is_over || !has_profile {
                // A profile that has an update left is read again.
                plan.done_bytes -= planned.map_or(0, |(_, bytes)| std::mem::take(bytes));
                plan.left.push(at);
            } else if let Some((place, _)) = planned {
                plan.profiles[*place].updates.push(at);
            } else {
                plan.done_bytes += bytes;
                places.insert(key.clone(), (plan.profiles.len(), bytes));
                plan.profiles.push(ProfileUpdates {
                    key,
                    updates: vec![at],
                });
            }
        }
        Ok(plan)
    }

    /// Carries out the updates of one profile. Calls `answer` with the result of each, and its index in
    /// `updates`.
    pub(crate) fn update(
        &mut self,
        planned: ProfileUpdates,
        updates: &[(usize, Update)],
        limits: &Limits,
        read: &ReadTransaction,
        answer: &mut dyn FnMut(usize, Result<(), RecordError>),
    ) -> Result<(), ProjectError> {
        let ProfileUpdates {
            key,
            updates: places,
        } = planned;
        let earlier = self.changed.remove(&key);
        let mut has_changed = earlier.is_some();
        let stored = match earlier {
            Some(changed) => changed,
            None => committed_row(read, &key)?.map(Written::Row),
        };
        let mut profile = match stored {
            Some(stored) => open(stored, read)?,
            None => None,
        };
        for at in places {
            let (index, update) = &updates[at];
            let result = update.apply(&mut profile, limits);
            has_changed |= result.as_ref().is_ok_and(|has_changed| *has_changed);
            answer(*index, result.map(drop).map_err(RecordError::from));
        }
        if has_changed {
            self.has_any |= matches!(key, ProfileKey::Canonical(_));
            self.changed.insert(key, profile.map(Written::Profile));
        }
        Ok(())
    }

    /// Whether merges read profiles, to fill one from another. Otherwise they only move them.
    pub(crate) fn may_fill(&self, rule_book: RuleBook, options: &Options) -> bool {
        // LP-2: the profile of an alias stays what it was.
        self.has_any && options.profile_merge == ProfileMerge::Fill && rule_book != RuleBook::Legacy
    }

    /// Whether merges can copy more bytes of profiles than they read: a chain of merges of users copies one
    /// profile again and again. In Simplified two users never merge.
    pub(crate) fn may_copy(&self, rule_book: RuleBook, options: &Options) -> bool {
        self.may_fill(rule_book, options) && rule_book != RuleBook::Simplified
    }

    /// Whether a merge may copy a profile before the next commit. Each copy stays in memory until then.
    pub(crate) fn has_room_to_copy(&self, options: &Options) -> bool {
        self.copied_bytes < options.max_commit_profile_bytes
    }

    /// The most bytes of profiles that a claim reads, in addition to those that earlier ones read.
    pub(crate) fn weigh_merge(
        &self,
        claim: Claim<'_>,
        engine: &impl Resolve,
        read: &ReadTransaction,
        weighed: &mut WeighedMerges,
    ) -> Result<usize, ProjectError> {
        let users = claim.ids().map(|id| engine.resolve(id));
        let mut bytes = 0;
        if users[0] == users[1] {
            return Ok(0);
        }
        for user in users.map(|user| user.to_string()) {
            let key = ProfileKey::Canonical(user.clone());
            if weighed.0.insert(user) {
                bytes += self.unread_bytes(&key, read)?;
            }
        }
        Ok(bytes)
    }

    /// P-2, P-3 and LP-2: moves, hides or deletes the profiles of the two sides of a merge.
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
        let mut has_profile = [self.has_profile(&canonical(&before[0]), read)?, false];
        if !is_one_cluster {
            has_profile[1] = self.has_profile(&canonical(&before[1]), read)?;
        }
        let sides = [0, 1].map(|side| {
            let is_canonical = before[side] == *after;
            // An ID that becomes canonical is one that the claim names.
            let has_canonical = is_canonical || named[side] == *after;
            Side {
                is_canonical,
                has_canonical: has_canonical || is_one_cluster && side == 0,
                has_profile: has_profile[side],
            }
        });
        if self.may_fill(rule_book, options)
            && let Some(other) = sides.iter().position(|side| !side.has_canonical)
        {
            return self.fill(merge, other, &options.profile_limits, read);
        }
        let fates = after_merge(rule_book, sides);
        let mut moved = Vec::new();
        for ((id, side), fate) in before.iter().zip(sides).zip(fates) {
            if side.has_profile && fate != Fate::Stays {
                let key = match fate {
                    Fate::Hidden => Some(ProfileKey::Hidden(id.clone())),
                    Fate::Moves => Some(canonical(after)),
                    Fate::Gone | Fate::Stays => None,
                };
                let profile = self.take(canonical(id), read)?;
                moved.extend(key.map(|key| (key, profile)));
            }
        }
        self.changed.extend(moved);
        Ok(())
    }

    /// The profile that remains takes the properties that it lacks from the `other` one, which is
    /// hidden.
    fn fill(
        &mut self,
        merge: &Merge,
        other: usize,
        limits: &Limits,
        read: &ReadTransaction,
    ) -> Result<(), ProjectError> {
        let canonical = |id: &str| ProfileKey::Canonical(id.to_owned());
        let (remains_id, other_id) = (&merge.before[1 - other], &merge.before[other]);
        let has_other = self.has_profile(&canonical(other_id), read)?;
        if !has_other && remains_id == &merge.after {
            return Ok(());
        }
        let mut after = self.take(canonical(remains_id), read)?;
        if let Some(other) = self.take(canonical(other_id), read)? {
            // A row that stays as it is need not be written, however long the profile is.
            let row = match &other {
                Written::Row(row) => Some(Written::Row(row.clone())),
                Written::Profile(_) => None,
            };
            let other = open(other, read)?.unwrap_or_default();
            self.copied_bytes += other.json_bytes();
            let remains = match after {
                Some(remains) => open(remains, read)?,
                None => None,
            };
            let mut filled = remains.unwrap_or_default();
            filled.fill(&other, other_id, limits);
            after = Some(Written::Profile(filled));
            let hidden = ProfileKey::Hidden(other_id.clone());
            self.changed
                .insert(hidden, Some(row.unwrap_or(Written::Profile(other))));
        }
        if after.is_some() {
            self.changed.insert(canonical(&merge.after), after);
        }
        Ok(())
    }

    /// Writes the changes to the database.
    pub(crate) fn write(&mut self, write: &WriteTransaction) -> Result<(), ProjectError> {
        let mut tables = ProfileTables::open(write)?;
        // Equal changes give equal bytes on the disk: a seed of the simulator is one schedule.
        let mut changed: Vec<_> = self.changed.drain().collect();
        changed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (key, profile) in changed {
            tables.put(&key, profile)?;
        }
        self.copied_bytes = 0;
        tables.finish()
    }
}

/// The profile that is stored so. `None` if the stored text is not a profile.
fn open(stored: Written, read: &ReadTransaction) -> Result<Option<Profile>, ProjectError> {
    match stored {
        Written::Profile(profile) => Ok(Some(profile)),
        Written::Row(row) => {
            let json = Texts::open(read)?.json(&row.text)?;
            Ok(json.and_then(|json| profile_of(&json, row.sources.as_deref())))
        }
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
