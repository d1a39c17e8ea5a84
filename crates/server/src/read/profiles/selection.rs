//! [`Selection`]: which profiles a query is about.

use std::io;

use idmerge_analysis::Filter;
use idmerge_project::{Project, ProjectError};

/// Which profiles a query is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    /// Those of the groups with this `$group_key`. Those of users if `None`.
    pub(crate) group_key: Option<String>,
    /// Those that it selects; all if `None`.
    pub(crate) filter: Option<Filter>,
}

impl Selection {
    /// Whether it is about all profiles of users.
    pub(crate) fn has_all_users(&self) -> bool {
        *self == Self::default()
    }

    /// Whether its filter selects a profile.
    pub(crate) fn selects(&self, json: &str) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.selects(json))
    }

    /// Calls `visit` with the ID and the JSON of each profile of its kind, in the order of the IDs and
    /// starting after an ID, until it returns `false`. The filter is left to the caller.
    pub(crate) fn each_of_kind(
        &self,
        project: &Project,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> io::Result<bool>,
    ) -> Result<(), ProjectError> {
        match &self.group_key {
            None => project.each_profile(after, visit),
            Some(group_key) => project.each_group(group_key, after, visit),
        }
    }

    /// Calls `visit` with the ID and the JSON of the profile of an ID, if there is one.
    pub(crate) fn visit(
        &self,
        project: &Project,
        id: &str,
        visit: &mut dyn FnMut(&str, &str),
    ) -> Result<(), ProjectError> {
        let Some(group_key) = &self.group_key else {
            return match project.visit_profile(id, visit) {
                // A text that is not an ID has no profile.
                Err(ProjectError::InvalidId(_)) => Ok(()),
                visited => visited,
            };
        };
        if let Some(json) = project.group(group_key, id)? {
            visit(id, &json);
        }
        Ok(())
    }
}
