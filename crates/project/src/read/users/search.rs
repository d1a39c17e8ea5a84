//! Finds users by a part of an ID, a name or an e-mail address.
//!
//! Nothing is indexed for it. The search reads the profiles, then the log of claims, then the events from the
//! newest one backwards, until it has enough users or no time.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use idmerge_core::{DEVICE_PREFIX, DistinctId, DistinctIdBuf};
use idmerge_store::{MayGoOn, StoreError, What};

use super::describe::Naming;
use super::page::stored_id;
use super::user::User;
use super::view::View;
use crate::error::ProjectError;
use crate::project::Project;

/// The most users that are named as near if nobody is found.
const MAX_NEAREST: usize = 3;

/// A text that is longer is near to nothing: to compare two texts takes time for the product of their lengths.
const MAX_NEAR_BYTES: usize = 320;

/// What to search for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// A part of an ID, a name or an e-mail address. The case, spaces around it and the prefix `$device:` do
    /// not matter.
    pub text: String,
    /// The most users.
    pub limit: usize,
}

/// The users that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchResult {
    /// Those that have the text: first the user with this very ID, then those where something begins with it.
    pub users: Vec<FoundUser>,
    /// If there are none: those that have something like it.
    pub nearest: Vec<FoundUser>,
    /// Whether everything was searched, or enough was found.
    pub is_complete: bool,
}

/// A user that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundUser {
    /// The user.
    pub user: User,
    /// Where the text was found.
    pub field: MatchedField,
    /// The ID, name or e-mail address.
    pub text: String,
}

/// Where a text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchedField {
    /// In an ID.
    Id,
    /// In the name.
    Name,
    /// In the e-mail address.
    Email,
}

impl MatchedField {
    /// The name in answers of the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Email => "email",
        }
    }
}

/// How well a text fits: the less, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Whole,
    Start,
    Part,
}

struct Hit {
    canonical: DistinctIdBuf,
    field: MatchedField,
    text: String,
}

impl Project {
    /// Users that have a text in an ID, the name or the e-mail address. Ends soon after `has_time` has returned
    /// `false`, with what it has found.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] once `may_go_on` has returned `false`, and any error of the disk.
    pub fn search_while(
        &self,
        query: &SearchQuery,
        has_time: &dyn Fn() -> bool,
        may_go_on: MayGoOn,
    ) -> Result<SearchResult, ProjectError> {
        let view = View::new(self, None, may_go_on)?;
        let mut search = Search {
            view: &view,
            needle: Needle::new(&query.text),
            limit: query.limit.max(1),
            has_time,
            is_complete: true,
            hits: Vec::new(),
            near: Vec::new(),
        };
        search.whole_ids(&query.text)?;
        for step in [Search::profiles, Search::claims, Search::events] {
            if search.is_over()? {
                break;
            }
            step(&mut search)?;
        }
        search.hits.sort_by_key(|(fit, _)| *fit);
        let is_found = !search.hits.is_empty();
        let hits = search.hits.into_iter().map(|(_, hit)| hit);
        let users = view.found(hits)?;
        let near = search.near.into_iter().map(|(_, hit)| hit);
        Ok(SearchResult {
            users,
            nearest: match is_found {
                true => Vec::new(),
                false => view.found(near)?,
            },
            is_complete: search.is_complete,
        })
    }
}

impl View<'_> {
    fn found(&self, hits: impl Iterator<Item = Hit>) -> Result<Vec<FoundUser>, ProjectError> {
        let mut found = Vec::new();
        for hit in hits {
            // A claim that was withdrawn, or that a claim rejected, can name an ID of which nothing is stored.
            if let Some(user) = self.user(hit.canonical.as_id())? {
                found.push(FoundUser {
                    user,
                    field: hit.field,
                    text: hit.text,
                });
            }
        }
        Ok(found)
    }
}

struct Search<'s> {
    view: &'s View<'s>,
    needle: Needle,
    limit: usize,
    has_time: &'s dyn Fn() -> bool,
    is_complete: bool,
    hits: Vec<(Fit, Hit)>,
    /// The nearest ones by the number of edits, while there is no hit.
    near: Vec<(usize, Hit)>,
}

impl Search<'_> {
    /// Whether the search has ended: it has enough, or no time.
    fn is_over(&mut self) -> Result<bool, ProjectError> {
        self.view.check()?;
        if self.hits.len() >= self.limit {
            return Ok(true);
        }
        if !(self.has_time)() {
            self.is_complete = false;
        }
        Ok(!self.is_complete)
    }

    /// The users that have the text as an ID, as it is or with the prefix of a device.
    fn whole_ids(&mut self, text: &str) -> Result<(), ProjectError> {
        let text = text.trim();
        let device = format!("{DEVICE_PREFIX}{text}");
        for text in [text, &device] {
            let Ok(id) = self.view.project.inner.settings.read_id(text) else {
                continue;
            };
            if self.view.user(id)?.is_some() {
                self.add(Fit::Whole, self.view.canonical(id), MatchedField::Id, text);
            }
        }
        Ok(())
    }

    fn profiles(&mut self) -> Result<(), ProjectError> {
        let project = self.view.project;
        let mut failed = None;
        project.each_profile(None, &mut |id, json| {
            let naming = Naming::of_profile(json);
            let name = naming
                .name
                .as_deref()
                .map(|name| (MatchedField::Name, name));
            let email = naming
                .email
                .as_deref()
                .map(|email| (MatchedField::Email, email));
            let texts = [name, email, Some((MatchedField::Id, id))];
            let mut texts = texts.into_iter().flatten().collect::<Vec<_>>().into_iter();
            let user = project.inner.settings.read_id(id);
            if let Ok(user) = user {
                let is_taken = |(field, text)| self.look(user, field, text).is_break();
                let _is_found = texts.any(is_taken);
            }
            match self.is_over() {
                Ok(is_over) => Ok(!is_over),
                Err(error) => {
                    failed = Some(error);
                    Ok(false)
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn claims(&mut self) -> Result<(), ProjectError> {
        let history = self.view.project.history()?;
        let mut failed = None;
        history.entries(1, &mut |entry| {
            if let What::Claim { claim, .. } = entry.what {
                for id in claim.ids() {
                    let _is_hit = self.look(id, MatchedField::Id, &id.text());
                }
            }
            // The clock is not read for each entry.
            if entry.sequence.is_multiple_of(256) || self.hits.len() >= self.limit {
                return Ok::<_, StoreError>(match self.is_over() {
                    Ok(is_over) => !is_over,
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                });
            }
            Ok(true)
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// The IDs of the events, which may be in no claim.
    fn events(&mut self) -> Result<(), ProjectError> {
        let view = self.view;
        let mut newest = view.last;
        while newest > 0
            && let Some(head) = view.block_from(newest)
        {
            let mut ids = BTreeSet::new();
            let block = view.archive()?.shown_block(&head, view.last)?;
            block.each(&mut |stored| {
                ids.extend(stored_id(view.project, &stored)?);
                Ok(true)
            })?;
            drop(block);
            for id in &ids {
                let id = id.as_id();
                let _is_hit = self.look(id, MatchedField::Id, &id.text());
            }
            if self.is_over()? {
                break;
            }
            newest = head.first - 1;
        }
        Ok(())
    }

    /// Takes the user with an ID if a text of it fits, and breaks then.
    fn look(&mut self, id: DistinctId<'_>, field: MatchedField, text: &str) -> ControlFlow<()> {
        if let Some(fit) = self.needle.fit(text) {
            if self.hits.len() < self.limit {
                self.add(fit, self.view.canonical(id), field, text);
            }
            return ControlFlow::Break(());
        }
        if self.hits.is_empty()
            && let Some(edits) = self.needle.edits(text)
            && (self.near.len() < MAX_NEAREST || self.near.iter().any(|(other, _)| edits < *other))
        {
            let canonical = self.view.canonical(id);
            let same = self
                .near
                .iter()
                .position(|(_, hit)| hit.canonical == canonical);
            match same {
                Some(at) if self.near[at].0 <= edits => return ControlFlow::Continue(()),
                Some(at) => drop(self.near.remove(at)),
                None => {}
            }
            let text = text.to_owned();
            let hit = Hit {
                canonical,
                field,
                text,
            };
            self.near.push((edits, hit));
            self.near.sort_by_key(|(edits, _)| *edits);
            self.near.truncate(MAX_NEAREST);
        }
        ControlFlow::Continue(())
    }

    fn add(&mut self, fit: Fit, canonical: DistinctIdBuf, field: MatchedField, text: &str) {
        if self.hits.iter().all(|(_, hit)| hit.canonical != canonical) {
            let text = text.to_owned();
            self.hits.push((
                fit,
                Hit {
                    canonical,
                    field,
                    text,
                },
            ));
        }
    }
}

/// The text that is searched for, in lower case and without the prefix of a device.
struct Needle {
    text: String,
    chars: usize,
}

impl Needle {
    fn new(text: &str) -> Self {
        let text = lower(text);
        // The prefix alone finds devices.
        let bare = text.strip_prefix(DEVICE_PREFIX);
        let text = match bare.filter(|bare| !bare.is_empty()) {
            Some(bare) => bare.to_owned(),
            None => text,
        };
        Self {
            chars: text.chars().count(),
            text,
        }
    }

    fn fit(&self, text: &str) -> Option<Fit> {
        let text = lower(text);
        let bare = text.strip_prefix(DEVICE_PREFIX).unwrap_or(&text);
        if bare == self.text {
            return Some(Fit::Whole);
        }
        if bare.starts_with(&self.text) || text.starts_with(&self.text) {
            return Some(Fit::Start);
        }
        text.contains(&self.text).then_some(Fit::Part)
    }

    /// In how many places a text differs, or its first word, if they are few enough for a slip.
    fn edits(&self, text: &str) -> Option<usize> {
        if text.len() > MAX_NEAR_BYTES || self.text.len() > MAX_NEAR_BYTES {
            return None;
        }
        let text = lower(text);
        let bare = text.strip_prefix(DEVICE_PREFIX).unwrap_or(&text);
        let whole = self.edits_within(bare, (self.chars / 2).max(2));
        // The first name, or an e-mail address before its domain: so short a text is near only if it is nearer.
        let word = bare.split([' ', '@']).next().filter(|word| *word != bare);
        let word = word.and_then(|word| self.edits_within(word, self.chars / 3));
        whole.into_iter().chain(word).min()
    }

    fn edits_within(&self, text: &str, most: usize) -> Option<usize> {
        if text.chars().count().abs_diff(self.chars) > most {
            return None;
        }
        let edits = strsim::levenshtein(&self.text, text);
        (edits <= most).then_some(edits)
    }
}

fn lower(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_spaces_and_the_prefix_do_not_matter() {
        for (needle, text, wanted) in [
            (" MARA ", "mara@example.com", Some(Fit::Start)),
            ("mara", "Mara", Some(Fit::Whole)),
            ("D1", "$device:d1", Some(Fit::Whole)),
            ("$device:D1", "d1", Some(Fit::Whole)),
            ("$device:", "$device:d1", Some(Fit::Start)),
            ("$device:", "d1", None),
            ("ZOË", "Maria Zoë", Some(Fit::Part)),
            ("😀", "a😀b", Some(Fit::Part)),
            ("mara", "tobi", None),
        ] {
            assert_eq!(Needle::new(needle).fit(text), wanted, "{needle} {text}");
        }
    }

    /// The distances were counted by hand.
    #[test]
    fn what_differs_in_a_few_places_is_near() {
        for (needle, text, wanted) in [
            ("mara", "mata", Some(1)),
            ("mara", "marra", Some(1)),
            ("ab", "cd", Some(2)),
            ("abc", "xyz", None),
            ("mara quill", "mara quail", Some(2)),
            ("tobias", "thomas", Some(3)),
            ("tobias", "ulrike", None),
            ("D1", "$device:d2", Some(1)),
            ("marra", "Mara Quill", Some(1)),
            ("marra", "mara@example.com", Some(1)),
            ("marra", "tora@example.com", None),
            ("mo", "mae brown", None),
        ] {
            assert_eq!(Needle::new(needle).edits(text), wanted, "{needle} {text}");
        }
        assert_eq!(
            Needle::new(&"a".repeat(1_000)).edits(&"a".repeat(999)),
            None
        );
    }
}
