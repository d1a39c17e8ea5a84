//! The names of the newest events.

use foldhash::HashMap;

use crate::error::ProjectError;
use crate::project::Project;
use crate::read::export::ExportQuery;

/// How many events are counted, the newest ones.
const COUNTED_EVENTS: u64 = 100_000;

/// The most names that are listed.
const MAX_NAMES: usize = 1_000;

/// The most names that are counted. A sender can make any number of them; those that come after so many others are
/// left out.
const MAX_COUNTED_NAMES: usize = 20_000;

/// A name with more bytes is left out.
const MAX_NAME_BYTES: usize = 255;

/// The names of the newest events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventNames {
    /// The names, and how many events have each: the most first, and then in the order of the names.
    pub names: Vec<(String, u64)>,
    /// How many events were counted.
    pub of_events: u64,
}

impl Project {
    /// The names of the newest 100,000 events: the 1,000 that most events have. Names of more than 255 bytes are
    /// left out.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] once `may_go_on` has returned `false`, and any error of the disk.
    pub fn event_names_while(
        &self,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<EventNames, ProjectError> {
        let last = self.last_event()?;
        let query = ExportQuery {
            numbers: last.saturating_sub(COUNTED_EVENTS - 1).max(1)..=last,
            ..ExportQuery::default()
        };
        let mut counts: HashMap<String, u64> = HashMap::default();
        let mut of_events = 0;
        self.scan(&query, may_go_on, &mut |scanned| {
            of_events += 1;
            let event = scanned.event.event();
            let name = event.name;
            if let Some(count) = counts.get_mut(name) {
                *count += 1;
            } else if name.len() <= MAX_NAME_BYTES && counts.len() < MAX_COUNTED_NAMES {
                counts.insert(name.to_owned(), 1);
            }
            Ok(true)
        })?;
        let mut names: Vec<_> = counts.into_iter().collect();
        names.sort_unstable_by(|(a, a_count), (b, b_count)| (b_count, a).cmp(&(a_count, b)));
        names.truncate(MAX_NAMES);
        Ok(EventNames { names, of_events })
    }
}
