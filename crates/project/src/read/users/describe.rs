//! Makes a [`User`] of an ID.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::{DEVICE_PREFIX, DistinctId, DistinctIdBuf, IdForm, Resolve};
use idmerge_events::visit_members;
use idmerge_store::MayGoOn;

use super::device::{Device, Label};
use super::facts::Facts;
use super::user::User;
use super::view::{IdFigures, UserFigures, View};
use crate::error::ProjectError;
use crate::project::Project;

/// The most devices of a user that are listed.
const MAX_DEVICES: usize = 8;

/// The most characters of a name or an e-mail address: a profile may have any text there.
const MAX_NAME_CHARS: usize = 200;

/// A user whose events are counted.
pub(super) struct Counted {
    pub(super) canonical: DistinctIdBuf,
    pub(super) figures: UserFigures,
}

/// What a profile says about the person.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Naming {
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    place: Option<String>,
}

impl Naming {
    /// Reads the JSON of a profile.
    pub(crate) fn of_profile(json: &str) -> Self {
        let mut found: [Option<String>; 6] = Default::default();
        visit_members(json, |key, value| {
            let place = match key {
                b"$name" => 0,
                b"$first_name" => 1,
                b"$last_name" => 2,
                b"$email" => 3,
                b"$city" => 4,
                b"$country_code" => 5,
                _ => return,
            };
            let text = value.string();
            let text = text.map(|text| text.trim().chars().take(MAX_NAME_CHARS).collect());
            found[place] = text.filter(|text: &String| !text.is_empty());
        });
        let [name, first, last, email, city, country] = found;
        let joined = |parts: [Option<String>; 2], by: &str| {
            let parts: Vec<_> = parts.into_iter().flatten().collect();
            Some(parts.join(by)).filter(|text| !text.is_empty())
        };
        Self {
            name: name.or_else(|| joined([first, last], " ")),
            email,
            place: joined([city, country], ", "),
        }
    }
}

impl Project {
    /// The user with this ID. `None` if nothing is stored of it: no event, no other ID and no profile.
    ///
    /// # Errors
    ///
    /// [`ProjectError::InvalidId`], [`ProjectError::Cancelled`] once `may_go_on` has returned `false`, and
    /// any error of the disk.
    pub fn user_while(&self, id: &str, may_go_on: MayGoOn) -> Result<Option<User>, ProjectError> {
        let id = self.inner.settings.read_id(id)?;
        let view = View::new(self, None, may_go_on)?;
        view.user(id)
    }

    /// If nothing is stored of an ID: the ID that differs from it only by the prefix `$device:`, and of which
    /// something is stored.
    ///
    /// # Errors
    ///
    /// Those of [`user_while`](Self::user_while).
    pub fn user_meant_while(
        &self,
        id: &str,
        may_go_on: MayGoOn,
    ) -> Result<Option<String>, ProjectError> {
        let other = match id.strip_prefix(DEVICE_PREFIX) {
            Some(bare) => bare.to_owned(),
            None => format!("{DEVICE_PREFIX}{id}"),
        };
        // Where users and devices have one namespace, it is the same ID.
        let Ok(other) = self.inner.settings.read_id(&other) else {
            return Ok(None);
        };
        let view = View::new(self, None, may_go_on)?;
        Ok(view.user(other)?.map(|_| other.to_string()))
    }

    /// What the profile of a user says about the person.
    pub(crate) fn naming(&self, canonical: &str) -> Result<Naming, ProjectError> {
        let mut naming = Naming::default();
        self.visit_profile(canonical, &mut |_, json| naming = Naming::of_profile(json))?;
        Ok(naming)
    }
}

impl View<'_> {
    /// The user with this ID, if anything is stored of it.
    pub(super) fn user(&self, id: DistinctId<'_>) -> Result<Option<User>, ProjectError> {
        let canonical = self.canonical(id);
        let figures = self.user_figures(canonical.as_id())?;
        // The lock is taken once at a time: a claim may wait for it between two locks of one thread.
        let has_others = self.state.store.read().is_clustered(canonical.as_id());
        let is_known = has_others || figures.all.events > 0;
        if !is_known && !self.has_profile(&canonical.to_string())? {
            return Ok(None);
        }
        Ok(self.describe(vec![Counted { canonical, figures }])?.pop())
    }

    fn has_profile(&self, canonical: &str) -> Result<bool, ProjectError> {
        let mut has_profile = false;
        let project = self.project;
        project.visit_profile(canonical, &mut |_, _| has_profile = true)?;
        Ok(has_profile)
    }

    /// Makes a [`User`] of each counted one, in the same order.
    pub(super) fn describe(&self, users: Vec<Counted>) -> Result<Vec<User>, ProjectError> {
        let wanted = users.iter().flat_map(|user| {
            let UserFigures { all, devices, .. } = &user.figures;
            let devices = devices.iter().map(|device| device.figures);
            devices
                .flat_map(|figures| [figures.first, figures.last])
                .chain([all.first, all.last])
        });
        let wanted: BTreeSet<u64> = wanted.collect();
        let facts = self.facts(&wanted)?;
        let users = users.into_iter();
        users.map(|user| self.describe_one(&user, &facts)).collect()
    }

    fn describe_one(
        &self,
        user: &Counted,
        facts: &BTreeMap<u64, Facts>,
    ) -> Result<User, ProjectError> {
        self.check()?;
        let Counted { canonical, figures } = user;
        let distinct_id = canonical.to_string();
        let naming = self.project.naming(&distinct_id)?;
        let [first, last] = [figures.all.first, figures.all.last].map(|number| facts.get(&number));
        let ids = self
            .state
            .store
            .read()
            .cluster_len(canonical.as_id())
            .max(1);
        let has_user_id = match self.has_one_namespace() {
            false => !canonical.as_id().is_device(),
            true => ids > 1 || !last.is_some_and(|last| last.says_device(&distinct_id)),
        };
        let own: Vec<&Facts> = [last, first].into_iter().flatten().collect();
        let devices = figures.devices.iter();
        let devices = devices.filter_map(|device| self.device(device, facts, &own));
        Ok(User {
            name: naming.name,
            email: naming.email,
            has_user_id,
            ids,
            events: figures.is_complete.then_some(figures.all.events),
            first_seen_ms: first
                .filter(|_| figures.is_complete)
                .map(|first| first.time_ms),
            last_seen_ms: last.map(|last| last.time_ms),
            place: last.and_then(|last| last.place.clone()).or(naming.place),
            devices: devices.take(MAX_DEVICES).collect(),
            distinct_id,
        })
    }

    /// The device with this ID, if it is one. `others` are facts of events of the same user: those that a user
    /// sent from the device are not stored under the device's own ID.
    pub(super) fn device(
        &self,
        counted: &IdFigures,
        facts: &BTreeMap<u64, Facts>,
        others: &[&Facts],
    ) -> Option<Device> {
        let id = counted.id.as_id();
        let text = id.id().text();
        let own = facts.get(&counted.figures.last);
        let first = facts.get(&counted.figures.first);
        let is_device = match (first, own) {
            _ if !self.has_one_namespace() => id.is_device(),
            // In Legacy the events of the user are attributed to the device too.
            (Some(first), Some(last)) => first.says_device(&text) || last.says_device(&text),
            _ => matches!(id.id().form(), IdForm::Uuid(_)),
        };
        if !is_device {
            return None;
        }
        let sent_by_it = |facts: &&&Facts| facts.device_id.as_deref() == Some(&text);
        let label = own.and_then(|own| own.label.clone());
        let label = label.or_else(|| {
            let mut sent = others.iter().filter(sent_by_it);
            sent.find_map(|facts| facts.label.clone())
        });
        let label = label.unwrap_or_else(Label::unknown);
        Some(Device {
            distinct_id: id.to_string(),
            label: label.text,
            kind: label.kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_called_by_the_name_in_the_profile_or_by_its_parts() {
        let json = r#"{"$first_name":"Mara","$last_name":"Quill","$email":" mara@example.com ","$city":"Ghent"}"#;
        let wanted = Naming {
            name: Some("Mara Quill".to_owned()),
            email: Some("mara@example.com".to_owned()),
            place: Some("Ghent".to_owned()),
        };
        assert_eq!(Naming::of_profile(json), wanted);
        let named = Naming::of_profile(r#"{"$name":"M","$first_name":"Mara","$email":7}"#);
        assert_eq!((named.name.as_deref(), named.email), (Some("M"), None));
        let long = format!(r#"{{"$name":"{}"}}"#, "é".repeat(10_000));
        assert_eq!(
            Naming::of_profile(&long).name.unwrap().chars().count(),
            MAX_NAME_CHARS
        );
    }
}
