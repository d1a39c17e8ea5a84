//! Rule M-20: folds the output with the engine of the target, and compares the users that it finds with
//! those of the election.

use idmerge_core::{Claim, DistinctId};
use idmerge_engines::{Engine, Model};
use idmerge_events::JsonEvent;

use crate::people::electing::People;
use crate::people::ids::{Mark, NONE, Number};
use crate::tally::Tally;

/// The output differs from what was meant: a mistake of this program.
#[derive(Debug, thiserror::Error)]
#[error(
    "the output was checked with the engine of the target, and is wrong: {0} (M-20). This is a mistake of \
     idmerge; please report it"
)]
pub struct WrongOutput(String);

/// The engine of the target, which folds the output.
#[derive(Debug)]
pub struct Checker {
    engine: Engine,
}

impl Checker {
    /// Takes a line of the links, in their order.
    ///
    /// # Errors
    ///
    /// [`WrongOutput`] if the target refuses the line.
    pub fn add_link(&mut self, line: &str) -> Result<(), WrongOutput> {
        let wrong = |error: &dyn std::fmt::Display| WrongOutput(format!("{error}: {line}"));
        let event = JsonEvent::parse_text(line).map_err(|error| wrong(&error))?;
        let reading = self.engine.read(&event.event());
        match reading.map_err(|error| wrong(&error))?.claim {
            Some(claim) => self.apply(claim),
            None => Err(wrong(&"the line makes no claim")),
        }
    }

    fn apply(&mut self, claim: Claim<'_>) -> Result<(), WrongOutput> {
        let applied = self.engine.apply(claim);
        applied
            .map(|_outcome| ())
            .map_err(|error| WrongOutput(error.to_string()))
    }

    /// Takes the links that events carry, which come after all links, and compares.
    ///
    /// Each event was read by the rules of the target when it was written, so it is enough to compare the
    /// user of each ID.
    ///
    /// # Errors
    ///
    /// [`WrongOutput`] names the first difference.
    pub fn finish(mut self, people: &People, tally: &Tally) -> Result<Engine, WrongOutput> {
        if let Some(mistake) = tally.mistake() {
            return Err(WrongOutput(mistake.to_owned()));
        }
        let ids = &people.ids;
        if people.options.target.model() == Model::Original {
            for number in 0..ids.len() {
                self.compare_cluster(people, number)?;
            }
            return Ok(self.engine);
        }
        for number in 0..ids.len() {
            if ids.has(number, Mark::Carried) {
                let (device, user) = (ids.id(number), ids.id(ids.person(number)));
                self.apply(Claim::Link { device, user })?;
            }
        }
        for number in 0..ids.len() {
            self.compare(people, number)?;
        }
        Ok(self.engine)
    }

    /// Simplified: a device must resolve to its user, and a user to himself.
    fn compare(&self, people: &People, number: Number) -> Result<(), WrongOutput> {
        let ids = &people.ids;
        let id = ids.id(number);
        let (own, wanted) = match (ids.is_user(number), ids.row(number).person) {
            (true, _) => (DistinctId::plain(id), DistinctId::plain(id)),
            (false, NONE) => (DistinctId::device(id), DistinctId::device(id)),
            (false, user) => (DistinctId::device(id), DistinctId::plain(ids.id(user))),
        };
        let found = self.engine.resolve(own);
        match found == wanted {
            true => Ok(()),
            false => Err(WrongOutput(format!(
                "{own} belongs to {found}, and not to {wanted}"
            ))),
        }
    }

    /// Original: the members of a cluster, and no others, must be one user. Clusters over the limit are
    /// reported instead (M-23).
    fn compare_cluster(&self, people: &People, number: Number) -> Result<(), WrongOutput> {
        let ids = &people.ids;
        let own = DistinctId::plain(ids.id(number));
        if people.is_over_cap(number) {
            return Ok(());
        }
        let found = self.engine.resolve(own);
        let head = DistinctId::plain(ids.id(people.head(number)));
        let wanted = self.engine.resolve(head);
        let wanted_ids = match ids.cluster(number) {
            Some(cluster) if cluster.ids > 1 => cluster.ids as usize,
            _ => 0,
        };
        match found == wanted && self.engine.cluster_len(own) == wanted_ids {
            true => Ok(()),
            false => Err(WrongOutput(format!(
                "{own} belongs to {found}, and not to {wanted}"
            ))),
        }
    }
}

impl People {
    /// A check of the output. Give it the links first.
    pub fn checker(&self) -> Checker {
        Checker {
            engine: self.options.target.engine(),
        }
    }

    /// M-23: whether the cluster of an ID has more members than the target allows.
    pub(crate) fn is_over_cap(&self, number: Number) -> bool {
        let limit = self.options.target.max_cluster_ids();
        let cluster = self.ids.cluster(number);
        limit
            .zip(cluster)
            .is_some_and(|(limit, cluster)| cluster.ids > limit)
    }
}
