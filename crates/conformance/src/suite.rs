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
use crate::vectors::{self, play};

/// The trials of one engine.
///
/// [`main`](crate::main) is all that most engines need. With a `Suite` the trials can be run by
/// hand, and an engine that cannot pass one of them can say so.
pub struct Suite {
    make: Arc<Make>,
    skips: Vec<(String, String)>,
}

impl Suite {
    /// The suite for the engines that `make` makes. Which rules they are held to, they say
    /// themselves.
    pub fn new(
        make: impl Fn(&EngineSettings) -> Box<dyn IdentityResolver> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Arc::new(make),
            skips: Vec::new(),
        }
    }

    /// Says that the engine cannot pass a trial, and why. In its stead there is a trial named
    /// `skip::` and the trial's name, which passes as long as that is so: a skip that is no
    /// longer needed fails.
    #[must_use]
    pub fn skip(mut self, trial: &str, why: &str) -> Self {
        self.skips.push((trial.to_owned(), why.to_owned()));
        self
    }

    /// All trials: the vectors of the engine's rule book, the laws, and the comparisons with the
    /// oracle.
    pub fn trials(&self) -> Vec<Trial> {
        let rule_book = (self.make)(&EngineSettings::default()).rule_book();
        let mut trials = self.vector_trials(rule_book);
        let groups = [
            ("law", laws::trials(rule_book)),
            ("oracle", compare::trials(rule_book)),
            ("exhaustive", exhaustive::trials(rule_book)),
        ];
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

    /// Runs the trials as a test program does: with its arguments, and its output and exit code.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        let trials = self
            .trials()
            .into_iter()
            .map(|trial| libtest_mimic::Trial::test(trial.name.clone(), move || Ok(trial.run()?)));
        libtest_mimic::run(&arguments, trials.collect()).exit_code()
    }

    fn vector_trials(&self, rule_book: RuleBook) -> Vec<Trial> {
        let cases = match vectors::all() {
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
            .filter(|(_, case)| case.rule_book == rule_book)
            .map(|(file, case)| {
                let make = Arc::clone(&self.make);
                let file = file.trim_end_matches(".toml");
                Trial::new(format!("vector::{file}::{}", case.name), move || {
                    play::play(&case, &mut *make(&case.settings))
                        .map_err(|what| format!("{what}since {}", case.why))
                })
            })
            .collect()
    }
}

/// Puts a trial in the place of the one with this name that passes where that one fails.
fn skip(trials: &mut Vec<Trial>, name: &str, why: &str) {
    let skip = format!("skip::{name}");
    let why = why.to_owned();
    let Some(at) = trials.iter().position(|trial| trial.name == name) else {
        return trials.push(Trial::new(skip, || {
            Err("there is no trial of this name to skip".to_owned())
        }));
    };
    let skipped = trials.remove(at);
    trials.push(Trial::new(skip, move || match skipped.run() {
        Ok(()) => Err(format!(
            "the trial passes; no need to skip it because {why:?}"
        )),
        Err(_) => Ok(()),
    }));
}

/// One trial.
pub struct Trial {
    /// Its name, such as `vector::flows::first-login` or `law::3-monotone`.
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
    /// What the engine did otherwise than it should have. An engine that panics has failed.
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
        let suite = suite().skip("law::10", "there is none");
        assert!(trial(&suite, "skip::law::10").run().is_err());
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
