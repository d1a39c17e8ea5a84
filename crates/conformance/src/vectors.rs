//! Vectors: cases written down as data, each with what the rules make of it.
//!
//! A vector belongs to a rule book and to no engine. It lives in a file of `vectors/`:
//!
//! ```toml
//! [[case]]
//! name = "a-second-user-does-not-take-the-device"
//! why = "a device is shared, and whoever logs in first keeps its anonymous past"
//! rule_book = "simplified"
//! rules = ["S-7"]         # rules that it shows to apply
//! just_not = ["S-5"]      # rules that it shows to apply only just not
//! # settings = { max_cluster_ids = 3 }
//! steps = [
//!   { event = '{"event":"A","properties":{"$device_id":"D","$user_id":"U1"}}', own = "U1", outcome = "merged" },
//!   { event = '{"event":"B","properties":{"$device_id":"D","$user_id":"U2"}}', own = "U2", outcome = "rejected errAnonDistinctIdAssignedAlready", says = ["D", "U1"] },
//! ]
//! resolved = { "$device:D" = "U1", "U2" = "U2" }
//! clusters = [{ canonical = "U1", members = ["U1", "$device:D"] }]
//! ```
//!
//! A step is an `event`, as JSON, or a `claim` made by hand. What is left out is expected not to
//! be there: a step without `outcome` makes no claim, and a case without `clusters` is not read.

mod claim;
pub(crate) mod play;
pub(crate) mod show;

use std::collections::{BTreeMap, BTreeSet};

use idmerge_core::RuleBook;
use serde::Deserialize;
use thiserror::Error;

use crate::settings::EngineSettings;

pub use claim::{OwnedClaim, outcome_text};

/// The files of `vectors/`, so that they travel with the crate.
const FILES: &[(&str, &str)] = &[
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
    ("events.toml", include_str!("../vectors/events.toml")),
    ("sdk.toml", include_str!("../vectors/sdk.toml")),
    ("flows.toml", include_str!("../vectors/flows.toml")),
];

/// A file of vectors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// One vector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Words joined by hyphens, different from any other case's.
    pub name: String,
    /// Why the answer is what it is, in a sentence.
    pub why: String,
    /// Whose rules give the answer.
    #[serde(deserialize_with = "rule_book")]
    pub rule_book: RuleBook,
    /// The rules that apply.
    #[serde(default)]
    pub rules: Vec<String>,
    /// The rules that only just do not apply.
    #[serde(default)]
    pub just_not: Vec<String>,
    /// The settings of the engine.
    #[serde(default)]
    pub settings: EngineSettings,
    /// What happens, in arrival order.
    pub steps: Vec<Step>,
    /// Of some IDs, as they are written: what they resolve to in the end.
    #[serde(default)]
    pub resolved: BTreeMap<String, String>,
    /// All clusters in the end, in order.
    pub clusters: Vec<ExpectedCluster>,
}

/// A cluster as a vector expects it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCluster {
    /// The canonical distinct_id.
    pub canonical: String,
    /// The members, in order.
    pub members: Vec<String>,
}

/// One event or claim, and what is expected of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// An event as JSON. Of `event` and `claim` there is one.
    pub event: Option<String>,
    /// A claim made by hand.
    pub claim: Option<OwnedClaim>,
    /// The event's own distinct_id; `""` where it is no user's. Left out for a refused event and
    /// for a claim.
    pub own: Option<String>,
    /// Where the event is refused: the rule, then the property, if it is one's fault.
    pub refused: Option<String>,
    /// What becomes of the claim: `merged`, `already merged`, `ignored`, or `rejected` and the
    /// code. Left out where there is no claim.
    pub outcome: Option<String>,
    /// Words that the description of a rejection has in it.
    #[serde(default)]
    pub says: Vec<String>,
    /// The event as it is written in the end (rules W-1 to W-7).
    pub written: Option<String>,
}

/// A file of vectors that cannot be used.
#[derive(Debug, Error)]
#[error("vectors/{file}: {what}")]
pub struct VectorError {
    file: String,
    what: String,
}

/// All vectors of the suite, each with the name of its file.
///
/// # Errors
///
/// [`VectorError`] names the file, and what is unknown, missing, contradictory or twice in it.
pub fn all() -> Result<Vec<(&'static str, Case)>, VectorError> {
    load(FILES)
}

fn load<'f>(files: &[(&'f str, &str)]) -> Result<Vec<(&'f str, Case)>, VectorError> {
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for &(file, text) in files {
        for case in parse(file, text)? {
            if !names.insert(case.name.clone()) {
                return Err(VectorError {
                    file: file.to_owned(),
                    what: format!("the name {} stands twice", case.name),
                });
            }
            all.push((file, case));
        }
    }
    Ok(all)
}

/// The vectors of one file.
///
/// # Errors
///
/// As [`all`].
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, VectorError> {
    let error = |what| VectorError {
        file: file.to_owned(),
        what,
    };
    let File { case } = toml::from_str(text).map_err(|cause| error(cause.to_string()))?;
    for case in &case {
        case.check()
            .map_err(|what| error(format!("{}: {what}", case.name)))?;
    }
    Ok(case)
}

impl Case {
    /// A case that says too little, or too much, is a mistake.
    fn check(&self) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(is_name) {
            return Err("a name has lower-case letters, digits and hyphens".to_owned());
        }
        if self.why.is_empty() || self.rules.is_empty() && self.just_not.is_empty() {
            return Err("it must say why, and which rules it shows".to_owned());
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
            (Some(_), Some(_), _) | (None, None, _) => Err("it is an event or a claim"),
            (Some(_), None, None) if self.own.is_none() => {
                Err("an event needs `own`, or `refused`")
            }
            (Some(_), None, Some(_))
                if self.own.is_some() || self.outcome.is_some() || self.written.is_some() =>
            {
                Err("of a refused event nothing more is expected")
            }
            (None, Some(_), _) if self.outcome.is_none() => Err("a claim needs `outcome`"),
            (None, Some(_), _)
                if self.own.is_some() || self.refused.is_some() || self.written.is_some() =>
            {
                Err("a claim has an `outcome` and nothing else")
            }
            _ if rejected == self.says.is_empty() => {
                Err("a rejection, and nothing else, needs `says`")
            }
            _ => Ok(()),
        }
    }
}

fn rule_book<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<RuleBook, D::Error> {
    let name = String::deserialize(deserializer)?;
    RuleBook::BUILT_IN
        .into_iter()
        .find(|book| book.name() == name)
        .ok_or_else(|| serde::de::Error::custom(format!("there is no rule book {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_name_stands_once_over_all_files() {
        assert_eq!(load(&[("a.toml", CASE)]).unwrap().len(), 1);
        let error = load(&[("a.toml", CASE), ("b.toml", CASE)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "vectors/b.toml: the name a-name stands twice"
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
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
        // What is not said is refused too.
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
