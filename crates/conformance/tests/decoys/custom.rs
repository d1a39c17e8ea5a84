//! Mistakes in an engine of a model that the suite does not know.

pub(crate) mod mistakes;
mod posthog;

use idmerge_conformance::Suite;
use idmerge_core::RuleBook;

pub(crate) use posthog::PostHog;

use crate::decoy::Decoy;
use mistakes::NoMistake;

const VECTOR: &str = r#"
[[case]]
name = "a-login-merges"
why = "the past of the browser is the user's"
rule_book = "posthog"
steps = [
  { event = '{"event":"$identify","properties":{"distinct_id":"U","$anon_distinct_id":"A"}}', own = "U", outcome = "merged" },
]
resolved = { "A" = "U" }
clusters = [{ canonical = "U", members = ["U", "A"] }]
"#;

fn suite() -> Suite {
    Suite::new(|settings| Box::new(Decoy::<NoMistake>::new(settings)))
}

/// The result of a trial of this suite.
fn run(suite: &Suite, name: &str) -> Result<(), String> {
    let trials = suite.trials();
    let trial = trials.iter().find(|trial| trial.name == name);
    trial.unwrap_or_else(|| panic!("no trial {name}")).run()
}

#[test]
fn a_custom_engine_brings_vectors() {
    let name = "vector::own::a-login-merges";
    assert_eq!(run(&suite().vectors(VECTOR), name), Ok(()));

    let wrong = VECTOR.replace("\"A\" = \"U\"", "\"A\" = \"A\"");
    let error = run(&suite().vectors(&wrong), name).unwrap_err();
    assert!(error.contains("\"A\" resolves to"), "{error}");
}

#[test]
fn vectors_of_another_rule_book_or_with_one_name_are_an_error() {
    let other = VECTOR.replace("\"posthog\"", "\"simplified\"");
    let error = run(&suite().vectors(&other), "vector::load").unwrap_err();
    assert!(error.contains("it must be posthog"), "{error}");

    let twice = suite().vectors(VECTOR).vectors(VECTOR);
    let error = run(&twice, "vector::load").unwrap_err();
    assert!(error.contains("two cases have the name"), "{error}");
}

#[test]
fn a_custom_engine_is_held_to_no_trial_of_the_built_in_rule_books() {
    let suite = suite().vectors(VECTOR);
    let left_out = suite.left_out();
    let built_in = [
        "law::5-bounded",
        "law::6-one-user-per-device",
        "law::8-agreement",
    ];
    for name in built_in.into_iter().chain(["oracle", "exhaustive"]) {
        let reason = left_out
            .iter()
            .find(|it| it.trial == name)
            .map(|it| &it.why);
        assert!(reason.is_some_and(|why| !why.is_empty()), "{name}");
        assert!(
            suite
                .trials()
                .iter()
                .all(|trial| !trial.name.starts_with(name))
        );
    }
    let vectors = suite.trials();
    let vectors = vectors.iter().filter(|it| it.name.starts_with("vector::"));
    assert_eq!(vectors.count(), 1);
    assert_eq!(posthog::RULE_BOOK, RuleBook::Custom("posthog"));
}

#[test]
fn a_custom_engine_without_vectors_is_told() {
    assert!(suite().left_out().iter().any(|it| it.trial == "vector"));
    let with = suite().vectors(VECTOR);
    assert!(with.left_out().iter().all(|it| it.trial != "vector"));
}
