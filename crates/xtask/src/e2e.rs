//! The server and real SDKs: what they send over HTTP, and who is who then.
//!
//! The scripts are in `tests/e2e`; here is what they need, and a server of the real program on a
//! port of this machine. What they make lies in `target/e2e`.

mod machine;
mod serving;

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use clap::ValueEnum;

use crate::failure::Failure;
use crate::program::{run, run_cargo};
use machine::{Machine, SCRIPTS};
use serving::Serving;

/// Where this is set, a machine may lack what a suite needs.
pub const MAY_SKIP: &str = "IDMERGE_E2E_MAY_SKIP";

/// The engines, and so the projects of each suite.
const ENGINES: [&str; 2] = ["simplified", "original"];

/// How many requests schemathesis makes up of each operation. It takes about 20 seconds.
const SCHEMATHESIS_EXAMPLES_MAX: &str = "200";

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// mixpanel-browser, the newest and an old one, in Chromium
    Browser,
    /// The page of the server, in Chromium
    Page,
    /// The README's page with the SDK, in Chromium
    Readme,
    /// The Node SDK
    Node,
    /// Segment's destination, as it runs in Segment's cloud
    Segment,
    /// The Python SDK and mixpanel-utils
    Python,
    /// What /openapi.json says, by schemathesis
    Api,
}

impl Suite {
    /// How its projects are called.
    fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Page => "page",
            Self::Readme => "readme",
            Self::Node => "node",
            Self::Segment => "segment",
            Self::Python => "python",
            Self::Api => "api",
        }
    }
}

/// Runs all suites, or one of them, against the server of this tree.
///
/// # Errors
///
/// The first suite that fails, and a server that does not end as it should. What a suite needs and
/// the machine lacks, except where [`MAY_SKIP`] is set in the environment.
pub fn e2e(root: &Path, suite: Option<Suite>) -> Result<(), Failure> {
    let suites = suite.map_or_else(|| Suite::value_variants().to_vec(), |suite| vec![suite]);
    let folder = root.join("target/e2e");
    fs::create_dir_all(&folder).map_err(|error| cannot("make", &folder, &error))?;

    let mut ready = Vec::new();
    let mut lacking = Vec::new();
    let mut machine = Machine::new(root, &folder);
    for suite in suites {
        match machine.prepare(suite)? {
            Ok(()) => ready.push(suite),
            Err(lack) => lacking.push(format!("{}: {lack}", suite.name())),
        }
    }
    if !lacking.is_empty() {
        let lacking = lacking.join("; ");
        if env::var_os(MAY_SKIP).is_none() {
            return Err(Failure::new(format!(
                "this machine lacks what a suite needs; {lacking}. To skip it, set {MAY_SKIP}=1"
            )));
        }
        eprintln!("\nSKIPPED, AND SO NOT TESTED: {lacking}\n");
    }
    if ready.is_empty() {
        return Ok(());
    }

    run_cargo(root, "build -p idmerge")?;
    let serving = Serving::start(root, &folder, &configuration())?;
    for suite in ready {
        run_suite(root, &folder, &machine, &serving, suite)?;
    }
    serving.stop()
}

fn run_suite(
    root: &Path,
    folder: &Path,
    machine: &Machine<'_>,
    serving: &Serving,
    suite: Suite,
) -> Result<(), Failure> {
    let script = |program: &Path, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(root.join(SCRIPTS))
            .env("IDMERGE_URL", serving.url())
            .env("IDMERGE_OUT", folder);
        if let Some(chromium) = machine.chromium() {
            command.env("CHROMIUM", chromium);
        }
        command
    };
    let node = |file: &str| {
        let node = Path::new("node");
        script(node, &["--test", "--test-reporter=spec", file])
    };
    match suite {
        Suite::Browser => run(&mut node("browser.test.mjs")),
        Suite::Page => run(&mut node("page.test.mjs")),
        Suite::Readme => run(&mut node("readme.test.mjs")),
        Suite::Node => run(&mut node("node.test.mjs")),
        Suite::Segment => run(&mut node("segment/segment.test.mjs")),
        Suite::Python => run(&mut script(&machine.python("python"), &["python_sdk.py"])),
        Suite::Api => ENGINES.iter().try_for_each(|engine| {
            let document = format!("{}/openapi.json", serving.url());
            let credential = format!("secret-of-api-{engine}:");
            let mut command = script(&machine.python("st"), &["run", &document]);
            command
                .args(["--auth", &credential])
                .args(["--max-examples", SCHEMATHESIS_EXAMPLES_MAX])
                // The same requests each time: what fails fails for everybody.
                .arg("--generation-deterministic")
                // What makes a text an ID, a day or a cursor is more than a schema can say, so
                // that some of what fits the schema is answered with 400, as it says.
                .args(["--exclude-checks", "positive_data_acceptance"])
                // It keeps what it found where it is started.
                .current_dir(folder);
            run(&mut command)
        }),
    }
}

/// A project for each suite and engine, whose credentials follow from its token; and one that
/// takes the IDs that browser SDKs made before 2025.
fn configuration() -> String {
    let suites = Suite::value_variants();
    let projects = suites.iter().flat_map(|suite| {
        ENGINES.map(|engine| project(&format!("{}-{engine}", suite.name()), engine, ""))
    });
    let old = project("sdk-ids-original", "original", "anon_id_format = \"sdk\"\n");
    projects.chain([old]).collect::<Vec<_>>().concat()
}

fn project(token: &str, engine: &str, settings: &str) -> String {
    format!(
        "[[project]]\ntoken = \"{token}\"\nengine = \"{engine}\"\n{settings}\
         secret = \"secret-of-{token}\"\n\n\
         [[project.service_account]]\nuser = \"account-of-{token}\"\n\
         secret = \"password-of-{token}\"\n\n"
    )
}

fn cannot(what: &str, path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_a_project_of_each_engine() {
        let configuration: toml::Table = configuration().parse().unwrap();
        let projects = configuration["project"].as_array().unwrap();
        for suite in Suite::value_variants() {
            for engine in ENGINES {
                let token = format!("{}-{engine}", suite.name());
                let found = projects
                    .iter()
                    .find(|project| project["token"].as_str() == Some(&token))
                    .unwrap_or_else(|| panic!("there is no {token}"));
                assert_eq!(found["engine"].as_str(), Some(engine));
                let account = &found["service_account"][0]["secret"];
                assert_eq!(account.as_str(), Some(&*format!("password-of-{token}")));
            }
        }
    }
}
