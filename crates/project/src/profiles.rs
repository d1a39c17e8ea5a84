//! The profiles of a project.

use foldhash::{HashMap, HashMapExt};
use idmerge_core::{DistinctId, IdentityResolver, IdentityResolverExt, RuleBook};
use idmerge_profiles::{Fate, Limits, Profile, Side, Target, Update, after_merge};
use idmerge_store::redb::{
    ReadTransaction, ReadableTableMetadata, TableDefinition, TableError, WriteTransaction,
};

use crate::batch::RecordError;
use crate::{Project, ProjectError};

type Texts = TableDefinition<'static, &'static str, &'static str>;

/// Profiles by the canonical distinct_id.
const PROFILES: Texts = TableDefinition::new("profiles");
/// Profiles that a merge has hidden, and others of IDs that are not canonical.
const HIDDEN: Texts = TableDefinition::new("profiles_hidden");
/// Profiles of groups.
const GROUPS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("groups");

/// Where a profile is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Seen(String),
    Hidden(String),
    Group(String, String),
}

/// What is not committed.
#[derive(Default)]
pub(crate) struct ProfileChanges {
    changed: HashMap<Place, Option<Profile>>,
    /// Whether there is any profile, which most merges need to know and no more.
    is_any: bool,
}

/// The canonical IDs of the two sides of a claim before it was weighed, and of the claim after.
pub(crate) struct Merge<'m> {
    pub(crate) before: [&'m str; 2],
    pub(crate) after: &'m str,
    /// The two IDs themselves.
    pub(crate) named: [&'m str; 2],
}

impl ProfileChanges {
    pub(crate) fn open(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let is_any = match read.open_table(PROFILES) {
            Err(TableError::TableDoesNotExist(_)) => false,
            table => !table?.is_empty()?,
        };
        Ok(Self {
            changed: HashMap::new(),
            is_any,
        })
    }

    pub(crate) fn is_any(&self) -> bool {
        self.is_any
    }

    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    fn profile(
        &self,
        place: &Place,
        read: &ReadTransaction,
    ) -> Result<Option<Profile>, ProjectError> {
        if let Some(profile) = self.changed.get(place) {
            return Ok(profile.clone());
        }
        let json = match place {
            Place::Seen(id) => text_of(read, PROFILES, id)?,
            Place::Hidden(id) => text_of(read, HIDDEN, id)?,
            Place::Group(key, id) => match read.open_table(GROUPS) {
                Err(TableError::TableDoesNotExist(_)) => None,
                table => {
                    let found = table?.get((&**key, &**id))?;
                    found.map(|json| json.value().to_owned())
                }
            },
        };
        Ok(json.and_then(|json| Profile::from_json(&json)))
    }

    /// P-1: carries an update out on the profile of the canonical ID of now.
    pub(crate) fn update(
        &mut self,
        update: &Update,
        engine: &impl IdentityResolver,
        read: &ReadTransaction,
        limits: &Limits,
    ) -> Result<Result<(), RecordError>, ProjectError> {
        let place = match update.target() {
            Target::Group { key, id } => Place::Group(key.clone(), id.clone()),
            Target::User {
                distinct_id,
                ignores_alias,
            } => {
                let id = match engine.read_id(distinct_id) {
                    Ok(id) => id,
                    Err(refused) => return Ok(Err(refused.into())),
                };
                let canonical = engine.resolve(id);
                if *ignores_alias && canonical != id {
                    Place::Hidden(id.to_string())
                } else {
                    Place::Seen(canonical.to_string())
                }
            }
        };
        let before = self.profile(&place, read)?;
        match update.apply(before, limits) {
            Ok(after) => {
                self.is_any |= matches!(place, Place::Seen(_));
                self.changed.insert(place, after);
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// P-2 and P-3: what a merge does to the profiles of both sides.
    pub(crate) fn merged(
        &mut self,
        rule_book: RuleBook,
        merge: &Merge<'_>,
        read: &ReadTransaction,
    ) -> Result<(), ProjectError> {
        let [first, second] = merge.before;
        if !self.is_any || first == merge.after && second == merge.after {
            return Ok(());
        }
        let mut places = merge.before.map(|id| Some(Place::Seen(id.to_owned())));
        if first == second {
            places[1] = None;
        }
        let mut profiles = [None, None];
        for (place, profile) in places.iter().zip(&mut profiles) {
            if let Some(place) = place {
                *profile = self.profile(place, read)?;
            }
        }
        let mut sides = [0, 1].map(|side| Side {
            is_canonical: merge.before[side] == merge.after,
            // What becomes canonical without having been so is what the claim names and marks.
            has_canonical: merge.before[side] == merge.after || merge.named[side] == merge.after,
            has_profile: profiles[side].is_some(),
        });
        if first == second {
            sides[0].has_canonical = true;
        }
        let fates = after_merge(rule_book, sides);
        for ((place, profile), fate) in places.into_iter().zip(profiles).zip(fates) {
            let (Some(place), Some(profile)) = (place, profile) else {
                continue;
            };
            match (fate, place) {
                (Fate::Stays, _) => continue,
                (Fate::Moves, _) => {
                    let place = Place::Seen(merge.after.to_owned());
                    self.changed.insert(place, Some(profile));
                }
                (Fate::Hidden, Place::Seen(id)) => {
                    self.changed.insert(Place::Hidden(id), Some(profile));
                }
                _ => {}
            }
        }
        for (before, fate) in merge.before.into_iter().zip(fates) {
            if fate != Fate::Stays {
                self.changed.insert(Place::Seen(before.to_owned()), None);
            }
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, write: &WriteTransaction) -> Result<(), ProjectError> {
        let mut profiles = write.open_table(PROFILES)?;
        let mut hidden = write.open_table(HIDDEN)?;
        let mut groups = write.open_table(GROUPS)?;
        for (place, profile) in self.changed.drain() {
            let json = profile.map(|profile| profile.to_json());
            match (place, json) {
                (Place::Seen(id), Some(json)) => drop(profiles.insert(&*id, &*json)?),
                (Place::Seen(id), None) => drop(profiles.remove(&*id)?),
                (Place::Hidden(id), Some(json)) => drop(hidden.insert(&*id, &*json)?),
                (Place::Hidden(id), None) => drop(hidden.remove(&*id)?),
                (Place::Group(key, id), Some(json)) => drop(groups.insert((&*key, &*id), &*json)?),
                (Place::Group(key, id), None) => drop(groups.remove((&*key, &*id))?),
            }
        }
        Ok(())
    }
}

fn text_of(read: &ReadTransaction, table: Texts, id: &str) -> Result<Option<String>, ProjectError> {
    match read.open_table(table) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(table?.get(id)?.map(|json| json.value().to_owned())),
    }
}

/// A profile as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProfile {
    /// The canonical distinct_id that it is under.
    pub distinct_id: String,
    /// Its properties as the text of a JSON object.
    pub json: String,
}

/// Some profiles, in the order of their IDs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfilePage {
    /// The profiles.
    pub profiles: Vec<StoredProfile>,
    /// How many there are in all.
    pub total: u64,
    /// What to ask for the next page with; `None` on the last.
    pub next: Option<String>,
}

impl Project {
    /// The profile of the user who has this ID. What a merge has hidden is not seen.
    ///
    /// # Errors
    ///
    /// [`ProjectError::NotAnId`], and where the disk fails.
    pub fn profile(&self, distinct_id: &str) -> Result<Option<StoredProfile>, ProjectError> {
        let store = self.shared.store.read();
        let id: DistinctId<'_> = store.read_id(distinct_id)?;
        let canonical = store.resolve(id).to_string();
        let read = store.begin_read()?;
        drop(store);
        Ok(
            text_of(&read, PROFILES, &canonical)?.map(|json| StoredProfile {
                distinct_id: canonical,
                json,
            }),
        )
    }

    /// The profile of a group.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn group(&self, key: &str, id: &str) -> Result<Option<String>, ProjectError> {
        let read = self.shared.store.read().begin_read()?;
        let place = Place::Group(key.to_owned(), id.to_owned());
        let profile = ProfileChanges::default().profile(&place, &read)?;
        Ok(profile.map(|profile| profile.to_json()))
    }

    /// All profiles that are seen, page by page: those after the ID that the page before came with
    /// as [`next`](ProfilePage::next).
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn profiles(&self, after: Option<&str>, limit: usize) -> Result<ProfilePage, ProjectError> {
        use std::ops::Bound::{Excluded, Unbounded};

        let read = self.shared.store.read().begin_read()?;
        let table = match read.open_table(PROFILES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(ProfilePage::default()),
            table => table?,
        };
        let mut page = ProfilePage {
            total: table.len()?,
            ..ProfilePage::default()
        };
        let from = after.map_or(Unbounded, Excluded);
        for row in table.range::<&str>((from, Unbounded))? {
            if page.profiles.len() == limit {
                page.next = page.profiles.last().map(|last| last.distinct_id.clone());
                break;
            }
            let (id, json) = row?;
            page.profiles.push(StoredProfile {
                distinct_id: id.value().to_owned(),
                json: json.value().to_owned(),
            });
        }
        Ok(page)
    }
}
