//! [`Undo`]: how to undo an update that fails in the middle.

use crate::Profile;
use crate::list::RemovedValue;
use crate::properties::Property;

/// The steps of an update. A copy of the profile instead would take time for the whole profile.
#[derive(Debug, Default)]
pub(crate) struct Undo(Vec<(String, Step)>);

/// How one property was changed.
#[derive(Debug)]
enum Step {
    /// It was set or removed. This is what it was.
    Property(Option<Property>),
    /// So many values were added at the end of a list.
    Pushed(usize),
    /// These values of a list were removed.
    Removed(Vec<RemovedValue>),
    /// It is no longer taken from the profile of this ID.
    Source(String),
}

impl Undo {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn property(&mut self, name: &str, before: Option<Property>) {
        self.0.push((name.to_owned(), Step::Property(before)));
    }

    pub(crate) fn pushed(&mut self, name: &str, values: usize) {
        self.0.push((name.to_owned(), Step::Pushed(values)));
    }

    pub(crate) fn removed(&mut self, name: &str, values: Vec<RemovedValue>) {
        self.0.push((name.to_owned(), Step::Removed(values)));
    }

    pub(crate) fn source(&mut self, name: &str, source: String) {
        self.0.push((name.to_owned(), Step::Source(source)));
    }

    /// Undoes the steps, the last one first.
    pub(crate) fn carry_out(self, profile: &mut Profile) {
        let Profile {
            properties,
            sources,
        } = profile;
        for (name, step) in self.0.into_iter().rev() {
            match step {
                Step::Property(before) => properties.restore(name, before),
                Step::Pushed(values) => {
                    properties.change_list(&name, |list| list.pop(values));
                }
                Step::Removed(values) => {
                    properties.change_list(&name, |list| list.restore(&values));
                }
                Step::Source(source) => {
                    sources.insert(name, source);
                }
            }
        }
    }
}
