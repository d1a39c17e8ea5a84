//! How the settings of a store differ from others, in words.

use std::collections::BTreeSet;
use std::fmt::Display;

use idmerge_core::IdRules;

use crate::Settings;

/// The most IDs that a difference names.
const NAMED_MAX: usize = 3;

impl Settings {
    /// Says how these settings, which a store has, differ from those that were `given` to open it.
    /// Empty if they are equal.
    ///
    /// ```
    /// use idmerge_core::IdRules;
    /// use idmerge_engines::{Model, Settings};
    ///
    /// let given = Settings::of(Model::Simplified);
    /// let stored = given.clone().with_id_rules(IdRules::new(99, ["test"]));
    /// assert_eq!(
    ///     stored.difference_from(&given),
    ///     "max_id_bytes is 99, not 255; \"test\" is blocked; \"0\", \"-1\", \"[]\" and 14 more are not blocked"
    /// );
    /// ```
    pub fn difference_from(&self, given: &Self) -> String {
        let mut parts = Vec::new();
        let mut compare =
            |name: &str, stored: Option<&dyn Display>, given: Option<&dyn Display>| {
                if let (Some(stored), Some(given)) = (stored, given) {
                    let (stored, given) = (stored.to_string(), given.to_string());
                    if stored != given {
                        parts.push(format!("{name} is {stored}, not {given}"));
                    }
                }
            };
        compare("engine", Some(&self.model()), Some(&given.model()));
        let rules = [self, given].map(Self::id_rules);
        let [stored_bytes, given_bytes] = rules.map(IdRules::max_id_bytes);
        compare("max_id_bytes", Some(&stored_bytes), Some(&given_bytes));
        if let (Self::Original(stored), Self::Original(given)) = (self, given) {
            let (stored_max, given_max) = (stored.max_cluster_ids, given.max_cluster_ids);
            compare("max_cluster_ids", Some(&stored_max), Some(&given_max));
            let (stored, given) = (stored.anon_id_format, given.anon_id_format);
            compare("anon_id_format", Some(&stored), Some(&given));
        }
        let values = rules.map(IdRules::blocked_values);
        let [only_stored, only_given] = only_in_one(values);
        parts.extend(named(&only_stored, "blocked"));
        parts.extend(named(&only_given, "not blocked"));
        parts.join("; ")
    }
}

/// The values that only the first list has, and those that only the second has.
fn only_in_one<'a>(lists: [impl Iterator<Item = &'a str>; 2]) -> [Vec<&'a str>; 2] {
    let [first, second] = lists.map(Iterator::collect::<Vec<_>>);
    let only = |list: &[&'a str], other: &[&'a str]| {
        let other: BTreeSet<_> = other.iter().collect();
        let mut list = list.to_vec();
        list.retain(|value| !other.contains(value));
        list
    };
    [only(&first, &second), only(&second, &first)]
}

/// Names some of these values.
fn named(values: &[&str], state: &str) -> Option<String> {
    let names: Vec<_> = values
        .iter()
        .take(NAMED_MAX)
        .map(|v| format!("{v:?}"))
        .collect();
    let (last, others) = match values.len().checked_sub(NAMED_MAX) {
        Some(more @ 1..) => (format!("{more} more"), &names[..]),
        _ => (names.last()?.clone(), &names[..names.len() - 1]),
    };
    let are = if values.len() == 1 { "is" } else { "are" };
    Some(match others {
        [] => format!("{last} {are} {state}"),
        others => format!("{} and {last} {are} {state}", others.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnonIdFormat, Model};

    #[test]
    fn each_setting_that_differs_is_named() {
        let original = |max_cluster_ids, anon_id_format, blocked: &[&str]| {
            Settings::from(idmerge_original::Settings {
                id_rules: IdRules::new(9, blocked),
                max_cluster_ids,
                anon_id_format,
            })
        };
        let stored = original(500, AnonIdFormat::UuidV4, &["a", "b"]);
        assert_eq!(stored.difference_from(&stored), "");
        let same = original(500, AnonIdFormat::UuidV4, &["B", "A", "a"]);
        assert_eq!(stored.difference_from(&same), "");
        for (given, difference) in [
            (
                original(501, AnonIdFormat::UuidV4, &["a", "b"]),
                "max_cluster_ids is 500, not 501",
            ),
            (
                original(500, AnonIdFormat::Sdk, &["a", "b"]),
                "anon_id_format is uuid_v4, not sdk",
            ),
            (
                original(500, AnonIdFormat::UuidV4, &["a"]),
                "\"b\" is blocked",
            ),
            (
                original(500, AnonIdFormat::UuidV4, &["a", "b", "c", "d"]),
                "\"c\" and \"d\" are not blocked",
            ),
            (
                original(500, AnonIdFormat::UuidV4, &[]),
                "\"a\" and \"b\" are blocked",
            ),
            (
                Settings::of(Model::Simplified).with_id_rules(IdRules::new(9, ["a", "b"])),
                "engine is original, not simplified",
            ),
        ] {
            assert_eq!(stored.difference_from(&given), difference);
        }
    }
}
