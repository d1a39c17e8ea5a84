//! `resolve --mapping`: a table of who is who. Its rows are claims after those of all events, because they are
//! evidence of a lower rank (M-6).

use anyhow::anyhow;
use foldhash::HashMap;
use idmerge_core::{Claim, DistinctId, UuidText};
use idmerge_engines::{Engine, Model, Settings};
use idmerge_migrate::ConflictKind;

use crate::output::conflicts::{ConflictsWriter, RejectedClaim};
use crate::output::summary::Outcomes;
use crate::report::wrong_usage;
use crate::stream::input::Input;
use crate::stream::side_file::mapping::{Mapped, for_each_mapping};

/// The state to which the rows are applied.
pub(super) struct MappedState<'s> {
    pub(super) settings: &'s Settings,
    pub(super) engine: &'s mut Engine,
    pub(super) outcomes: &'s mut Outcomes,
    pub(super) conflicts: Option<&'s mut ConflictsWriter>,
}

/// The IDs that a table gives to one person, each with its line. The line of the first one is that of the second.
struct Person {
    ids: Vec<(String, u64)>,
    is_of_table_of_persons: bool,
}

/// # Errors
///
/// In the model of these settings nothing moves past events.
pub(super) fn check(settings: &Settings) -> anyhow::Result<()> {
    match settings.model() {
        Model::Legacy => Err(wrong_usage(format_args!(
            "--mapping joins IDs after all events, and in Legacy nothing moves past events: leave it out, or \
             choose another --engine"
        ))),
        _ => Ok(()),
    }
}

impl MappedState<'_> {
    /// Applies the rows of a table.
    ///
    /// # Errors
    ///
    /// The table cannot be read, or has an ID that is none.
    pub(super) fn apply(mut self, table: &mut Input) -> anyhow::Result<()> {
        let name = table.name.clone();
        match self.settings.model() {
            Model::Simplified => {
                let mut persons = Persons::default();
                for_each_mapping(table, |row, line| {
                    persons.add(&row, line);
                    Ok(())
                })?;
                persons
                    .all
                    .iter()
                    .try_for_each(|person| self.link(person, &name))
            }
            _ => for_each_mapping(table, |row, line| self.merge(&row, &name, line)),
        }
    }

    fn merge(&mut self, row: &Mapped<'_>, file: &str, line: u64) -> anyhow::Result<()> {
        let read = |text| read_id(self.settings, text, file, line);
        let [first, second] = [read(row.head)?.id(), read(row.id)?.id()];
        match first == second {
            // It says nothing, and is no claim for a person to look at.
            true => Ok(()),
            false => self.claim(Claim::Merge { first, second }, file, line),
        }
    }

    /// Gives the devices of a person to the user, if there is one user.
    fn link(&mut self, person: &Person, file: &str) -> anyhow::Result<()> {
        let mut ids = Vec::with_capacity(person.ids.len());
        for (text, line) in &person.ids {
            ids.push((read_id(self.settings, text, file, *line)?, text, *line));
        }
        let is_device = |id: &DistinctId<'_>, text: &str| {
            id.is_device() || person.is_of_table_of_persons && UuidText::new(text).is_some()
        };
        let (devices, users): (Vec<_>, Vec<_>) = ids
            .into_iter()
            .partition(|(id, text, _)| is_device(id, text));
        let Some((user, ..)) = users.first() else {
            return Ok(());
        };
        // A table can have several rows of one ID.
        let other = users.iter().find(|(other, ..)| other != user);
        match (other, &mut self.conflicts) {
            (None, _) => devices.iter().try_for_each(|(device, _, line)| {
                let (device, user) = (device.id(), user.id());
                self.claim(Claim::Link { device, user }, file, *line)
            }),
            (Some((other, _, line)), Some(conflicts)) => {
                let users = [user, other].map(|id| id.id().text().into_owned());
                conflicts.add_row(file, *line, ConflictKind::TwoUsers, users)
            }
            (Some(_), None) => Ok(()),
        }
    }

    fn claim(&mut self, claim: Claim<'_>, file: &str, line: u64) -> anyhow::Result<()> {
        let outcome = self.engine.apply(claim)?;
        self.outcomes.count(&outcome);
        let rejected = RejectedClaim::of(0, claim, &outcome);
        match (&mut self.conflicts, rejected) {
            (Some(conflicts), Some(rejected)) => conflicts.add_rejected_row(file, line, &rejected),
            _ => Ok(()),
        }
    }
}

/// The persons of a table, in the order of their first rows.
#[derive(Default)]
struct Persons {
    all: Vec<Person>,
    by_head: HashMap<String, usize>,
}

impl Persons {
    fn add(&mut self, row: &Mapped<'_>, line: u64) {
        let number = match self.by_head.get(row.head) {
            Some(number) => *number,
            None => {
                self.by_head.insert(row.head.to_owned(), self.all.len());
                self.all.push(Person {
                    ids: vec![(row.head.to_owned(), line)],
                    is_of_table_of_persons: row.is_of_person,
                });
                self.all.len() - 1
            }
        };
        self.all[number].ids.push((row.id.to_owned(), line));
    }
}

fn read_id<'t>(
    settings: &Settings,
    text: &'t str,
    file: &str,
    line: u64,
) -> anyhow::Result<DistinctId<'t>> {
    let read = settings.read_id(text);
    read.map_err(|error| anyhow!("{file}, line {line}: {error}"))
}
