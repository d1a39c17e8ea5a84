//! The suite: all trials that an engine must pass, by name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use idmerge_core::{IdentityResolver, RuleBook};
use libtest_mimic::Arguments;

use crate::check::Make;
use crate::compare::{self, exhaustive};
use crate::laws;
use crate::settings::EngineSettings;
use crate::vectors::{self, Case, VectorError, play};

/// The trials of one engine.
///
/// Most engines of a built-in rule book need only [`main`](crate::main). With a `Suite` an engine
/// brings vectors of its own, names the trials that it cannot pass, or runs trials by hand.
pub struct Suite {
    make: Arc<Make>,
    vectors: Vec<String>,
    skips: Vec<(String, String)>,
}

impl Suite {
    /// The suite for the engines that `make` creates. `make` returns an engine with the given settings
    /// and no state. The engine's [`rule_book`](idmerge_core::Resolve::rule_book) selects the trials.
    pub fn new(
        make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Arc::new(make),
            vectors: Vec::new(),
            skips: Vec::new(),
        }
    }

    /// Adds vectors: TOML in the syntax of [`vectors`](crate::vectors). The `rule_book` of each must
    /// be the name of the engine's rule book. Their trials are called `vector::own::` and the name.
    ///
    /// Vectors are how a custom engine states its rules. Text that is not a file of vectors becomes
    /// a trial that fails and says what is wrong.
    #[must_use]
    pub fn vectors(mut self, toml: &str) -> Self {
        self.vectors.push(toml.to_owned());
        self
    }

    /// States that the engine cannot pass a trial, and why. A trial named `skip::` and the trial's
    /// name takes its place, which passes while that is so: a skip that is no longer needed fails.
    #[must_use]
    pub fn skip(mut self, trial: &str, why: &str) -> Self {
        self.skips.push((trial.to_owned(), why.to_owned()));
        self
    }

    /// All trials: the vectors of the engine's rule book, the laws, and, for a built-in rule book,
    /// the comparisons with the oracle.
    pub fn trials(&self) -> Vec<Trial> {
        let rule_book = self.rule_book();
        let mut trials = self.vector_trials(rule_book);
        let mut groups = vec![
            ("law", laws::trials(rule_book)),
            ("exhaustive", exhaustive::law_trials(rule_book)),
        ];
        if is_built_in(rule_book) {
            groups.push(("oracle", compare::trials(rule_book)));
            groups.push(("exhaustive", exhaustive::trials(rule_book)));
        }
        for (group, members) in groups {
            for (name, check) in members {
                let make = Arc::clone(&self.make);
                trials.push(Trial::new(format!("{group}::{name}"), move || {
                    check(&*make)
                }));
            }
        }
        for (name, why) in &self.skips {
            skip(&mut trials, name, why);
        }
        trials
    }

    /// The trials of the built-in rule books that the suite leaves out for an engine of a custom
    /// one. [`main`](Self::main) lists them as ignored tests.
    pub fn left_out(&self) -> Vec<LeftOut> {
        let rule_book = self.rule_book();
        if is_built_in(rule_book) {
            return Vec::new();
        }
        let laws = laws::NOT_FOR_CUSTOM;
        let mut all: Vec<_> = laws
            .map(|(name, why)| LeftOut {
                trial: format!("law::{name}"),
                why: why.to_owned(),
            })
            .into();
        for trial in ["oracle", "exhaustive"] {
            let why = format!("the suite has no oracle of {rule_book}");
            let trial = trial.to_owned();
            all.push(LeftOut { trial, why });
        }
        if self.vectors.is_empty() {
            let why = format!("the suite has no vectors of {rule_book}: bring them");
            let trial = "vector".to_owned();
            all.push(LeftOut { trial, why });
        }
        all
    }

    /// Runs the trials like a test program: with its arguments, output and exit code.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        let trials = self
            .trials()
            .into_iter()
            .map(|trial| libtest_mimic::Trial::test(trial.name.clone(), move || Ok(trial.run()?)));
        let left_out = self.left_out().into_iter().map(|left_out| {
            libtest_mimic::Trial::test(left_out.trial, || Ok(()))
                .with_kind(format!("left out, {}", left_out.why))
                .with_ignored_flag(true)
        });
        let trials = trials.chain(left_out).collect();
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    fn rule_book(&self) -> RuleBook {
        (self.make)(&EngineSettings::default()).rule_book()
    }

    fn vector_trials(&self, rule_book: RuleBook) -> Vec<Trial> {
        let cases = match self.cases(rule_book) {
            Ok(cases) => cases,
            Err(error) => {
                let error = error.to_string();
                return vec![Trial::new("vector::load".to_owned(), move || {
                    Err(error.clone())
                })];
            }
        };
        cases
            .into_iter()
            .map(|(file, case)| {
                let make = Arc::clone(&self.make);
                let file = file.trim_end_matches(".toml");
                Trial::new(format!("vector::{file}::{}", case.name), move || {
                    play::play(&case, &mut *make(&case.settings))
                        .map_err(|what| format!("{what}because {}", case.why))
                })
            })
            .collect()
    }

    /// The vectors of the rule book, if it is built in, and those that the engine brings.
    fn cases(&self, rule_book: RuleBook) -> Result<Vec<(&'static str, Case)>, VectorError> {
        let mut cases = Vec::new();
        if is_built_in(rule_book) {
            cases = vectors::all()?;
            cases.retain(|(_, case)| case.rule_book == rule_book.name());
        }
        let own = vectors::parse_own(&self.vectors, rule_book)?;
        cases.extend(own.into_iter().map(|case| ("own", case)));
        Ok(cases)
    }
}

fn is_built_in(rule_book: RuleBook) -> bool {
    RuleBook::BUILT_IN.contains(&rule_book)
}

/// A trial, or a group of trials, that does not apply to a custom rule book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The name of the trial or of the group, such as `law::5-bounded` or `oracle`.
    pub trial: String,
    /// The reason.
    pub why: String,
}

/// Replaces the trial with this name by one that passes if that one fails.
fn skip(trials: &mut Vec<Trial>, name: &str, why: &str) {
    let skip = format!("skip::{name}");
    let why = why.to_owned();
    let Some(at) = trials.iter().position(|trial| trial.name == name) else {
        return trials.push(Trial::new(
            skip,
            || Err("no trial has this name".to_owned()),
        ));
    };
    let skipped = trials.remove(at);
    trials.push(Trial::new(skip, move || match skipped.run() {
        Ok(()) => Err(format!(
            "the trial passes, so remove the skip with the reason {why:?}"
        )),
        Err(_) => Ok(()),
    }));
}

/// One trial.
pub struct Trial {
    /// The name, such as `vector::flows::a-long-chain-of-merges-is-one-user` or `law::3-monotone`.
    pub name: String,
    check: Box<dyn Fn() -> Result<(), String> + Send>,
}

impl Trial {
    fn new(name: String, check: impl Fn() -> Result<(), String> + Send + 'static) -> Self {
        Self {
            name,
            check: Box::new(check),
        }
    }

    /// Runs the trial.
    ///
    /// # Errors
    ///
    /// The differences between the rules and the engine, as text. An engine that panics fails.
    pub fn run(&self) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| (self.check)())).unwrap_or_else(|panic| {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("the engine panicked: {}", message.unwrap_or("?")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::SimplifiedOracle;

    fn suite() -> Suite {
        Suite::new(|settings| Box::new(SimplifiedOracle::new(settings.clone())))
    }

    fn trial(suite: &Suite, name: &str) -> Trial {
        let trials = suite.trials();
        let found = trials.into_iter().find(|trial| trial.name == name);
        found.unwrap_or_else(|| panic!("there is no trial {name}"))
    }

    #[test]
    fn trials_have_names_of_their_own() {
        let names: Vec<String> = suite().trials().into_iter().map(|t| t.name).collect();
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        for group in ["vector::simplified::", "law::", "oracle::", "exhaustive::"] {
            assert!(names.iter().any(|name| name.starts_with(group)), "{group}");
        }
    }

    #[test]
    fn a_skip_holds_as_long_as_the_trial_fails() {
        let name = "vector::simplified::a-second-user-does-not-take-the-device";
        let skipped = format!("skip::{name}");
        let right = suite().skip(name, "it was hard once");
        let error = trial(&right, &skipped).run().unwrap_err();
        assert!(error.contains("it was hard once"), "{error}");
        assert!(right.trials().iter().all(|trial| trial.name != name));

        let wrong = Suite::new(|_| Box::new(SimplifiedOracle::new(settings_that_block_all())));
        assert!(trial(&wrong, name).run().is_err());
        assert_eq!(
            trial(&wrong.skip(name, "it blocks all"), &skipped).run(),
            Ok(())
        );
    }

    fn settings_that_block_all() -> EngineSettings {
        EngineSettings {
            max_id_bytes: 1,
            ..EngineSettings::default()
        }
    }

    #[test]
    fn a_skip_of_nothing_fails() {
        let suite = suite().skip("law::11", "there is none");
        assert!(trial(&suite, "skip::law::11").run().is_err());
    }

    #[test]
    fn an_engine_that_panics_has_failed() {
        let trial = Trial::new("a".to_owned(), || panic!("{} gave up", "it"));
        assert_eq!(
            trial.run(),
            Err("the engine panicked: it gave up".to_owned())
        );
    }
}
