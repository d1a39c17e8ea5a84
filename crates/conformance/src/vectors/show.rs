//! A failing case in the syntax of vectors, ready to be put into a file of them.

use std::fmt::Write as _;

use idmerge_core::{Outcome, RuleBook};

use super::{OwnedClaim, outcome_text};
use crate::check::clusters_of;
use crate::oracle::oracle;
use crate::settings::EngineSettings;

/// The case with the outcomes and clusters that the oracle gives.
pub(crate) fn as_vector(
    rule_book: RuleBook,
    settings: &EngineSettings,
    claims: &[OwnedClaim],
) -> String {
    let mut oracle = oracle(rule_book, settings);
    let mut toml = format!(
        "as a vector:\n\n[[case]]\nname = \"\"\nwhy = \"\"\nrule_book = \"{rule_book}\"\nrules = []\n\
         settings = {{ max_cluster_ids = {}, anon_id_format = \"{}\" }}\nsteps = [\n",
        settings.max_cluster_ids,
        settings.anon_id_format.name(),
    );
    // Writing to a string does not fail.
    for claim in claims {
        let Ok(outcome) = oracle.apply(claim.as_claim()) else {
            continue;
        };
        let says = match outcome {
            Outcome::Rejected(_) => ", says = [\"\"]",
            _ => "",
        };
        let outcome = outcome_text(&outcome);
        let claim = claim.to_toml();
        let _ok = writeln!(
            toml,
            "  {{ claim = {claim}, outcome = {outcome:?}{says} }},"
        );
    }
    toml += "]\nclusters = [\n";
    for cluster in clusters_of(&*oracle) {
        let (canonical, members) = (cluster.canonical, cluster.members);
        let _ok = writeln!(
            toml,
            "  {{ canonical = {canonical:?}, members = {members:?} }},"
        );
    }
    toml + "]\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{self, play};

    #[test]
    fn what_is_shown_is_a_vector() {
        let claims = [
            OwnedClaim::Merge("a".to_owned(), "b\"\\".to_owned()),
            OwnedClaim::Identify("a".to_owned(), "b".to_owned()),
            OwnedClaim::Link("a".to_owned(), "b".to_owned()),
        ];
        let settings = EngineSettings::default();
        let shown = as_vector(RuleBook::Original, &settings, &claims);
        let (_, toml) = shown.split_once("\n\n").unwrap();
        // All that is left to say is what a person knows.
        let toml = toml
            .replace("name = \"\"", "name = \"a\"")
            .replace("why = \"\"", "why = \"a\"")
            .replace("rules = []", "rules = [\"O-8\"]");
        let cases = vectors::parse("shown", &toml).unwrap();
        let played = play::play(&cases[0], &mut *oracle(RuleBook::Original, &settings));
        assert_eq!(played, Ok(()));
        assert_eq!(cases[0].clusters.len(), 1);
    }
}
