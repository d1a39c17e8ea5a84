//! Prints a failing case in the syntax of vectors, ready for a file of them.

use std::fmt::Write as _;

use idmerge_core::{Outcome, RuleBook};

use super::{OwnedClaim, outcome_text};
use crate::check::clusters_of;
use crate::oracle::oracle;
use crate::settings::EngineSettings;

/// The case with the outcomes and clusters that the oracle gives. A custom rule book has no oracle:
/// its outcomes and clusters are left empty, for its author to fill in.
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
        let (mut outcome, mut says) = (String::new(), "");
        if let Some(oracle) = &mut oracle {
            let Ok(answer) = oracle.apply(claim.as_claim()) else {
                continue;
            };
            outcome = outcome_text(&answer);
            if matches!(answer, Outcome::Rejected(_)) {
                says = ", says = [\"\"]";
            }
        }
        let claim = claim.to_toml();
        let _ok = writeln!(
            toml,
            "  {{ claim = {claim}, outcome = {outcome:?}{says} }},"
        );
    }
    toml += "]\nclusters = [\n";
    for cluster in oracle.iter().flat_map(|oracle| clusters_of(&**oracle)) {
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
    use crate::oracle::OriginalOracle;
    use crate::vectors::{self, play};

    #[test]
    fn a_failing_case_is_shown_as_a_vector() {
        let claims = [
            OwnedClaim::Merge("a".to_owned(), "b\"\\".to_owned()),
            OwnedClaim::Identify("a".to_owned(), "b".to_owned()),
            OwnedClaim::Link("a".to_owned(), "b".to_owned()),
        ];
        let settings = EngineSettings::default();
        let shown = as_vector(RuleBook::Original, &settings, &claims);
        let (_, toml) = shown.split_once("\n\n").unwrap();
        // A person fills in the rest.
        let toml = toml
            .replace("name = \"\"", "name = \"a\"")
            .replace("why = \"\"", "why = \"a\"")
            .replace("rules = []", "rules = [\"O-8\"]");
        let cases = vectors::parse("shown", &toml).unwrap();
        let played = play::play(&cases[0], &mut OriginalOracle::new(settings));
        assert_eq!(played, Ok(()));
        assert_eq!(cases[0].clusters.len(), 1);
    }
}
