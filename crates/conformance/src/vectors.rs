//! Vectors: test cases as data, each with the answer that the rules give.
//!
//! A vector belongs to a rule book, not to an engine. Those of the built-in rule books are in the
//! files of `vectors/`. The author of a custom engine brings vectors with
//! [`Suite::vectors`](crate::Suite::vectors), in the same syntax (TOML):
//!
//! ```toml
//! [[case]]
//! name = "a-second-user-does-not-take-the-device"
//! why = "devices are shared, and the first user to log in keeps the device's anonymous past"
//! rule_book = "simplified"
//! rules = ["S-7"]         # rules that apply
//! just_not = ["S-5"]      # rules that almost apply
//! # settings = { max_cluster_ids = 3 }
//! steps = [
//!   { event = '{"event":"A","properties":{"$device_id":"D","$user_id":"U1"}}', own = "U1", outcome = "merged" },
//!   { event = '{"event":"B","properties":{"$device_id":"D","$user_id":"U2"}}', own = "U2", outcome = "rejected errAnonDistinctIdAssignedAlready", says = ["D", "U1"] },
//! ]
//! resolved = { "$device:D" = "U1", "U2" = "U2" }
//! clusters = [{ canonical = "U1", members = ["U1", "$device:D"] }]
//! ```
//!
//! A step is an `event`, as JSON, or a `claim` without an event. A part that is left out is expected
//! to be absent: a step without `outcome` makes no claim. `clusters` is required, even if it is
//! empty.

mod claim;
pub(crate) mod play;
pub(crate) mod show;

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::RuleBook;
use serde::Deserialize;
use thiserror::Error;

use crate::settings::EngineSettings;

pub use claim::{OwnedClaim, outcome_text};

/// One vector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Words joined by hyphens. No two cases have the same name.
    pub name: String,
    /// Why the rules give this answer, in a sentence.
    pub why: String,
    /// The name of the rule book that gives the answer: `simplified`, `original`, `legacy`, or that of
    /// a custom one.
    pub rule_book: String,
    /// The rules that apply. A vector of a built-in rule book must cite at least one rule, here or
    /// under `just_not`.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The rules that almost apply: the case is close to them.
    #[serde(default)]
    pub just_not: Vec<String>,
    /// The settings of the engine.
    #[serde(default)]
    pub settings: EngineSettings,
    /// The events and claims, in arrival order.
    pub steps: Vec<Step>,
    /// The canonical IDs of some IDs after all steps. Both are texts as events carry them.
    #[serde(default)]
    pub resolved: BTreeMap<String, String>,
    /// All clusters after all steps, in the order of the engine.
    pub clusters: Vec<ExpectedCluster>,
}

/// A cluster that a vector expects.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCluster {
    /// The canonical distinct_id.
    pub canonical: String,
    /// The members, in the order of the engine.
    pub members: Vec<String>,
}

/// One event or claim, and the answer to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// An event as JSON. A step has either `event` or `claim`.
    pub event: Option<String>,
    /// A claim, applied without an event.
    pub claim: Option<OwnedClaim>,
    /// The event's own distinct_id; `""` if the event has no user. Leave it out for a refused event
    /// and for a claim.
    pub own: Option<String>,
    /// If the event is refused: the rule, and then the property that is at fault, if it is a
    /// property, such as `"ID-4 $user_id"`.
    pub refused: Option<String>,
    /// The outcome of the claim: `merged`, `already merged`, `ignored`, or `rejected` and the code,
    /// such as `"rejected errManyIDs"`. Leave it out if the event makes no claim.
    pub outcome: Option<String>,
    /// Words that the description of a rejection contains.
    #[serde(default)]
    pub says: Vec<String>,
    /// The event as it is written after all steps (rules W-1 to W-7). If the model attributes events
    /// at their arrival: as it is written then (rule L-3).
    pub written: Option<String>,
}

/// A file of vectors that cannot be used.
#[derive(Debug, Error)]
#[error("{file}: {what}")]
pub struct VectorError {
    file: String,
    what: String,
}

/// All vectors of the built-in rule books, each with the name of its file.
///
/// # Errors
///
/// [`VectorError`] names the file and the entry in it that is unknown, missing, contradictory or
/// duplicate.
pub fn all() -> Result<Vec<(&'static str, Case)>, VectorError> {
    load(FILES)
}

/// The vectors of one file, all of them of built-in rule books.
///
/// # Errors
///
/// As [`all`].
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, VectorError> {
    parse_for(&format!("vectors/{file}"), text, &RuleBook::BUILT_IN)
}

/// How messages name the vectors that the author of an engine brings.
const OWN: &str = "Suite::vectors";

/// The vectors of these texts, which must all be of this rule book and have different names.
pub(crate) fn parse_own(texts: &[String], rule_book: RuleBook) -> Result<Vec<Case>, VectorError> {
    let mut all: Vec<Case> = Vec::new();
    for text in texts {
        for case in parse_for(OWN, text, &[rule_book])? {
            if all.iter().any(|earlier| earlier.name == case.name) {
                return Err(duplicate(OWN, &case.name));
            }
            all.push(case);
        }
    }
    Ok(all)
}

fn load<'f>(files: &[(&'f str, &str)]) -> Result<Vec<(&'f str, Case)>, VectorError> {
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for &(file, text) in files {
        for case in parse(file, text)? {
            if !names.insert(case.name.clone()) {
                return Err(duplicate(&format!("vectors/{file}"), &case.name));
            }
            all.push((file, case));
        }
    }
    Ok(all)
}

fn duplicate(file: &str, name: &str) -> VectorError {
    VectorError {
        file: file.to_owned(),
        what: format!("two cases have the name {name}"),
    }
}

/// A file of vectors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

fn parse_for(file: &str, text: &str, rule_books: &[RuleBook]) -> Result<Vec<Case>, VectorError> {
    let error = |what| VectorError {
        file: file.to_owned(),
        what,
    };
    let File { case } = toml::from_str(text).map_err(|cause| error(cause.to_string()))?;
    for case in &case {
        case.check(rule_books)
            .map_err(|what| error(format!("{}: {what}", case.name)))?;
    }
    Ok(case)
}

impl Case {
    /// Refuses a case that says too little, or too much.
    fn check(&self, rule_books: &[RuleBook]) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(is_name) {
            return Err("a name has only lower-case letters, digits and hyphens".to_owned());
        }
        let known = rule_books.iter().find(|it| it.name() == self.rule_book);
        let Some(rule_book) = known else {
            let names: Vec<_> = rule_books.iter().map(|it| it.name()).collect();
            let (found, names) = (&self.rule_book, names.join(" or "));
            return Err(format!("the rule book is {found:?}; it must be {names}"));
        };
        let is_built_in = RuleBook::BUILT_IN.contains(rule_book);
        let cites_none = self.rules.is_empty() && self.just_not.is_empty();
        if self.why.is_empty() || is_built_in && cites_none {
            return Err(
                "it must say why, and which rules it shows, in `rules` or `just_not`".to_owned(),
            );
        }
        for (number, step) in self.steps.iter().enumerate() {
            step.check()
                .map_err(|what| format!("step {number}: {what}"))?;
        }
        Ok(())
    }
}

impl Step {
    fn check(&self) -> Result<(), &'static str> {
        let rejected = self
            .outcome
            .as_deref()
            .is_some_and(|o| o.starts_with("rejected "));
        match (&self.event, &self.claim, &self.refused) {
            (Some(_), Some(_), _) | (None, None, _) => Err("a step is either an event or a claim"),
            (Some(_), None, None) if self.own.is_none() => {
                Err("an event needs `own`, or `refused`")
            }
            (Some(_), None, Some(_))
                if self.own.is_some() || self.outcome.is_some() || self.written.is_some() =>
            {
                Err("a refused event has no `own`, `outcome` or `written`: nothing more happens")
            }
            (None, Some(_), _) if self.outcome.is_none() => Err("a claim needs `outcome`"),
            (None, Some(_), _)
                if self.own.is_some() || self.refused.is_some() || self.written.is_some() =>
            {
                Err("a step with a claim has an `outcome` and nothing else")
            }
            _ if rejected == self.says.is_empty() => {
                Err("a rejection needs `says`, and no other outcome has it")
            }
            _ => Ok(()),
        }
    }
}

/// The files of `vectors/`. They are part of the crate.
const FILES: &[(&str, &str)] = &[
    ("exports.toml", include_str!("../vectors/exports.toml")),
    ("ids.toml", include_str!("../vectors/ids.toml")),
    (
        "ids-refusal.toml",
        include_str!("../vectors/ids-refusal.toml"),
    ),
    (
        "simplified.toml",
        include_str!("../vectors/simplified.toml"),
    ),
    (
        "original-reading.toml",
        include_str!("../vectors/original-reading.toml"),
    ),
    (
        "original-guardrails.toml",
        include_str!("../vectors/original-guardrails.toml"),
    ),
    (
        "original-limit.toml",
        include_str!("../vectors/original-limit.toml"),
    ),
    (
        "original-state.toml",
        include_str!("../vectors/original-state.toml"),
    ),
    ("legacy.toml", include_str!("../vectors/legacy.toml")),
    ("events.toml", include_str!("../vectors/events.toml")),
    ("sdk.toml", include_str!("../vectors/sdk.toml")),
    ("flows.toml", include_str!("../vectors/flows.toml")),
    ("live.toml", include_str!("../vectors/live.toml")),
];

#[cfg(test)]
mod tests {
    use idmerge_core::{IdentityResolver, IdentityResolverExt, Resolve};
    use idmerge_events::JsonEvent;

    use super::*;
    use crate::oracle::OriginalOracle;

    const CASE: &str = r#"
[[case]]
name = "a-name"
why = "it is so"
rule_book = "simplified"
rules = ["S-1"]
steps = [{ event = '{}', own = "U" }]
clusters = []
"#;

    fn error_of(from: &str, to: &str) -> String {
        assert!(CASE.contains(from), "{from}");
        let error = parse("file.toml", &CASE.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("vectors/file.toml: "), "{error}");
        error
    }

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "the test looks at the folder itself"
    )]
    fn every_file_of_the_folder_is_loaded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let loaded: BTreeSet<String> = FILES.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(there, loaded, "add the file to FILES");
        assert!(all().unwrap().len() >= 180);
    }

    /// The users that have events after a case.
    fn unique_users(case: &Case, settings: EngineSettings) -> usize {
        let mut oracle = OriginalOracle::new(settings);
        let mut owners = BTreeSet::new();
        for step in &case.steps {
            if let Some(claim) = &step.claim {
                oracle.apply(claim.as_claim()).unwrap();
            }
            if let Some(json) = &step.event {
                let event = JsonEvent::parse(json.as_bytes()).unwrap();
                let (reading, _) = oracle.apply_event(&event.event()).unwrap();
                owners.insert(reading.distinct_id.unwrap().to_string());
            }
        }
        let canonical = |own: &String| oracle.resolve(oracle.read_id(own).unwrap()).to_string();
        owners.iter().map(canonical).collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn the_live_scenarios_of_original_have_the_unique_users_of_the_live_service() {
        let cases = parse("live.toml", include_str!("../vectors/live.toml")).unwrap();
        let is_original = |case: &&Case| case.rule_book == "original";
        let scenarios: Vec<_> = cases.iter().filter(is_original).collect();
        let found = scenarios
            .iter()
            .map(|case| unique_users(case, case.settings.clone()));
        let measured = [1, 1, 1, 1, 1, 1, 11, 2, 1, 1, 1, 1, 1, 1, 1];
        assert_eq!(found.collect::<Vec<_>>(), measured);
        // The default is the documented limit of 500.
        assert_eq!(unique_users(scenarios[6], EngineSettings::default()), 12);
    }

    #[test]
    fn no_two_cases_of_any_files_have_one_name() {
        assert_eq!(load(&[("a.toml", CASE)]).unwrap().len(), 1);
        let error = load(&[("a.toml", CASE), ("b.toml", CASE)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "vectors/b.toml: two cases have the name a-name"
        );
    }

    #[test]
    fn an_unknown_or_missing_field_is_refused() {
        for (from, to) in [
            ("why =", "because = \"\"\nwhy ="),
            ("own =", "owner = \"U\", own ="),
            ("steps =", "settings = { limit = 3 }\nsteps ="),
            ("\"simplified\"", "\"simple\""),
            (
                "clusters = []",
                "clusters = [{ canonical = \"U\", members = [], size = 0 }]",
            ),
            (
                "event = '{}', own = \"U\"",
                "claim = { split = [\"A\", \"B\"] }, outcome = \"merged\"",
            ),
        ] {
            error_of(from, to);
        }
        // So is a missing field.
        for said in [
            "name = \"a-name\"\n",
            "rule_book = \"simplified\"\n",
            "clusters = []\n",
        ] {
            assert!(error_of(said, "").contains("missing field"), "{said}");
        }
    }

    #[test]
    fn a_case_that_says_too_little_or_too_much_is_refused() {
        let claim = "claim = { link = [\"D\", \"U\"] }";
        for (from, to, what) in [
            ("a-name", "A name", "lower-case"),
            ("it is so", "", "why"),
            ("rules = [\"S-1\"]", "", "which rules"),
            (", own = \"U\"", "", "needs `own`"),
            (
                "own = \"U\"",
                "own = \"U\", refused = \"ID-4 $user_id\"",
                "nothing more",
            ),
            (
                "own = \"U\"",
                &format!("own = \"U\", {claim}"),
                "an event or a claim",
            ),
            ("event = '{}', ", "", "an event or a claim"),
            ("event = '{}', own = \"U\"", claim, "needs `outcome`"),
            (
                "event = '{}'",
                &format!("{claim}, outcome = \"merged\""),
                "nothing else",
            ),
            (
                "own = \"U\"",
                "own = \"U\", outcome = \"rejected errSameIDs\"",
                "needs `says`",
            ),
            (
                "own = \"U\"",
                "own = \"U\", outcome = \"merged\", says = [\"U\"]",
                "needs `says`",
            ),
        ] {
            let error = error_of(from, to);
            assert!(error.contains(what), "{to}: {error}");
        }
    }
}
