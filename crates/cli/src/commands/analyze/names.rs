//! The names of the events of an input, to say which name was meant.

use foldhash::HashSet;
use idmerge_analysis::Step;
use idmerge_core::quote;

use crate::output::figure::shown;
use crate::report::say;

/// More names are not kept: an event with an ID in its name has as many names as IDs.
const NAMES_MAX: usize = 10_000;

/// How many of the nearest names are shown.
const SHOWN: usize = 3;

/// Names that are less alike are not shown.
const LIKENESS_MIN: f64 = 0.6;

/// The names of events.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Box<str>>);

impl Names {
    pub(super) fn add(&mut self, name: &str) {
        if !self.0.contains(name) && self.0.len() < NAMES_MAX {
            self.0.insert(name.into());
        }
    }

    pub(super) fn extend(&mut self, others: Self) {
        for name in others.0 {
            if self.0.len() < NAMES_MAX {
                self.0.insert(name);
            }
        }
    }

    /// Says on stderr that no event has the name of this step, and which names are like it. Returns whether it
    /// said so.
    pub(super) fn say_if_missing(&self, step: &Step, hint: &str) -> bool {
        let name = step.name();
        if self.0.contains(name) || self.0.len() >= NAMES_MAX {
            return false;
        }
        let hint = match step.not_conditions() {
            Some(why) => {
                &format!(" (what is in the brackets is not a condition, because {why}; F-7)")
            }
            None => hint,
        };
        let nearest = self.nearest(name);
        let did_you_mean = match nearest.is_empty() {
            true => String::new(),
            false => format!("; did you mean {}?", nearest.join(" or ")),
        };
        say(format_args!(
            "no event has the name {}{did_you_mean}{hint}",
            quote(name)
        ));
        true
    }

    /// The names that are like this one, the nearest first.
    fn nearest(&self, name: &str) -> Vec<String> {
        let plain = |name: &str| name.to_lowercase().replace(['_', '-', ' '], "");
        let wanted = plain(name);
        let likeness = |other: &str| strsim::jaro_winkler(&wanted, &plain(other));
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|other| (likeness(other), other))
            .collect();
        all.retain(|(likeness, _)| *likeness >= LIKENESS_MIN);
        all.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then_with(|| a_name.cmp(b_name)));
        let nearest = all.iter().take(SHOWN);
        nearest
            .map(|(_, name)| format!("'{}'", shown(name)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_8_the_nearest_names_are_found() {
        let mut names = Names::default();
        for name in ["Page View", "Product View", "Sign Up", "🍎 Purchase"] {
            names.add(name);
        }
        assert_eq!(names.nearest("page_view")[0], "'Page View'");
        assert_eq!(names.nearest("Signup"), ["'Sign Up'"]);
        assert_eq!(names.nearest("Purchase")[0], "'🍎 Purchase'");
        assert!(names.nearest("zzz").is_empty());
    }
}
