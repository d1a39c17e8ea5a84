//! The options of a migration that decide who is who, which a later one in the same folder must have too (M-22).

use idmerge_migrate::{Options, UserRules};
use serde::{Deserialize, Serialize};

use crate::args::migrate::MigrateArgs;

/// The options that decide who is who. Of files, the hash of what is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeopleOptions {
    source_rules: String,
    on_conflict: String,
    user_id: Option<String>,
    not_users: Option<String>,
    mapping: Option<String>,
    /// The settings of the source.
    settings: String,
}

impl PeopleOptions {
    /// `mapping` is the hash of the file of mappings.
    pub(super) fn of(args: &MigrateArgs, options: &Options, mapping: Option<String>) -> Self {
        let (source_rules, on_conflict) = args.choices();
        Self {
            source_rules,
            on_conflict,
            user_id: options.users.pattern.as_ref().map(ToString::to_string),
            not_users: args.has_not_users().then(|| hash_of(&options.users)),
            mapping,
            settings: options.source.to_string(),
        }
    }

    /// The first option that is not what it was, in words.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        for (option, before, now) in [
            ("--source-rules", &self.source_rules, &now.source_rules),
            ("--on-conflict", &self.on_conflict, &now.on_conflict),
        ] {
            if before != now {
                return Some(format!("with {option} {before}"));
            }
        }
        if self.user_id != now.user_id {
            return Some(match &self.user_id {
                Some(pattern) => format!("with --user-id '{pattern}'"),
                None => "without --user-id".to_owned(),
            });
        }
        for (option, before, now) in [
            ("--not-users", &self.not_users, &now.not_users),
            ("--mapping", &self.mapping, &now.mapping),
        ] {
            if before != now {
                return Some(match before {
                    Some(_) if now.is_some() => {
                        format!("whose file of {option} had another content")
                    }
                    Some(_) => format!("with {option}"),
                    None => format!("without {option}"),
                });
            }
        }
        let settings = "with other settings of the source (--max-cluster-ids, --anon-id-format, --max-id-bytes or \
                        --blocked-ids)";
        (self.settings != now.settings).then(|| settings.to_owned())
    }
}

/// The hash of the IDs that are no users, in whatever order the file has them.
fn hash_of(users: &UserRules) -> String {
    let mut ids: Vec<_> = users.not_users.iter().map(String::as_str).collect();
    ids.sort_unstable();
    blake3::hash(ids.join("\n").as_bytes()).to_hex().to_string()
}
