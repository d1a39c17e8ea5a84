//! The arguments of `migrate`.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

pub(crate) mod choices;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use idmerge_adapters::Target;
use idmerge_core::Event;
use idmerge_engines::Settings;
use idmerge_migrate::{Options, UserRules};
use regex::Regex;

use crate::args::engine::SettingsArgs;
use crate::args::input::InputArgs;
use crate::args::input::adapt::ProductArgs;
use crate::args::input::sorting::SortingArgs;
use crate::args::migrate::choices::{Conflict, NewModel, Rules, Source, sources};
use crate::report::wrong_usage;
use crate::stream::adapt::Adapting;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge migrate export.ndjson.gz --from original --to simplified -o new
  idmerge migrate day-*.gz --from original --to simplified -o new --dry-run
  idmerge migrate export.ndjson --from legacy --to simplified -o new
  idmerge migrate segment-logs/*.gz --from segment --order-by receivedAt --to simplified -o new
  idmerge migrate logins.csv --from csv --map user=email,device=cookie,event=event,time=time \\
      --to simplified -o new
  idmerge migrate export.ndjson --from original --to simplified -o new \\
      --mapping mappings.csv --profiles profiles.ndjson --user-id '^[0-9]+$'

Writes to DIR: links.ndjson, events.ndjson, profiles.ndjson, mapping.csv, refused.ndjson, \
conflicts.ndjson with the cases that a person should decide, report.json, and IMPORT.md, which says \
how to import all of it. The output is checked with the engine of the new project before it appears.

The input is read twice. Run again over more days with the same DIR to add them: links that are there \
stay. docs/migrating.md has an example; `idmerge help rules` prints the rules (M-1 to M-23).

Exit code: 0 if done, 1 on failure, 2 on wrong usage, and 3 if --fail-on-conflict is given and there \
are conflicts.")]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// The model that the events come from, or the product whose raw records they are; auto finds out which
    /// product it is
    #[arg(long, value_name = "SOURCE", value_parser = sources())]
    pub(crate) from: Source,

    /// The model of the new project
    #[arg(long, value_name = "MODEL", value_enum)]
    to: NewModel,

    /// The folder to write to: a new or empty one, or that of an earlier migration
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    pub(crate) folder: PathBuf,

    #[command(flatten)]
    product: ProductArgs,

    #[command(flatten)]
    pub(crate) sorting: SortingArgs,

    #[command(flatten)]
    settings: SettingsArgs,

    /// The source's table of identity mappings, as further evidence: CSV or NDJSON with distinct_id
    /// and resolved_distinct_id, or PostHog's persons with distinct_id and person_id
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,

    /// An export of user profiles, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) profiles: Option<PathBuf>,

    /// Which claims of the source count
    #[arg(long, value_name = "RULES", value_enum, default_value_t = Rules::AsWas)]
    source_rules: Rules,

    /// What becomes of the devices of a person with more than one user ID
    #[arg(long, value_name = "CHOICE", value_enum, default_value_t = Conflict::Direct)]
    on_conflict: Conflict,

    /// Give the events of the other users of a conflict to the elected user; needs --on-conflict oldest,
    /// latest or most-events
    #[arg(long)]
    rewrite_users: bool,

    /// IDs that match are users; the form of an ID then says nothing
    #[arg(long, value_name = "REGEX")]
    user_id: Option<Regex>,

    /// IDs that are no users, one a line
    #[arg(long, value_name = "FILE")]
    not_users: Option<PathBuf>,

    /// The name of the events that link
    #[arg(long, value_name = "NAME", default_value = Options::LINK_EVENT)]
    link_event: String,

    /// The time of the events that link, in milliseconds since 1970 [default: the day before the first
    /// event]
    #[arg(long, value_name = "EPOCH_MS", value_parser = clap::value_parser!(i64).range(31_536_000_000..))]
    link_time: Option<i64>,

    /// Exit with code 1, and write report.json alone, if a smaller share of the events belongs to users
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) min_association: Option<f64>,

    /// Write the events to files of N lines: events-00001.ndjson and so on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) split: Option<u64>,

    /// Exit with code 3 if there are conflicts
    #[arg(long)]
    pub(crate) fail_on_conflict: bool,

    /// Then import the folder into the server at URL; the secret is read from IDMERGE_SECRET, and for
    /// profiles the token from IDMERGE_TOKEN
    #[arg(long, value_name = "URL")]
    pub(crate) to_server: Option<String>,

    /// A property with the person of each event by the source's own count, such as source_person of Amplitude;
    /// report.json says where the new project differs
    #[arg(long, value_name = "FIELD")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    compare: Option<String>,

    /// Write report.json alone
    #[arg(long, conflicts_with = "to_server")]
    pub(crate) dry_run: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("give a number from 0 to 1".to_owned()),
    }
}

/// A value as it is given.
fn name_of(value: impl ValueEnum) -> String {
    let name = value.to_possible_value();
    name.map_or_else(String::new, |value| value.get_name().to_owned())
}

impl MigrateArgs {
    /// What the arguments ask for, for a migration at this time.
    ///
    /// # Errors
    ///
    /// Some arguments do not fit together, or a file of IDs cannot be read.
    pub(crate) fn options(&self, now_ms: i64) -> anyhow::Result<Options> {
        let source = self.settings.settings(self.from.model())?;
        let target = self.target(&source)?;
        let on_conflict = self.on_conflict.on_conflict();
        if self.rewrite_users && !on_conflict.elects_one() {
            return Err(wrong_usage(format_args!(
                "--rewrite-users needs one user for each conflict: add --on-conflict oldest, latest or \
                 most-events (M-11)"
            )));
        }
        if self.link_event.trim().is_empty() || Event::named(&self.link_event).is_identity_event() {
            return Err(wrong_usage(format_args!(
                "--link-event {:?} cannot link: choose the name of an ordinary event (M-12)",
                self.link_event
            )));
        }
        if self.input.refused(None)?.is_some() {
            return Err(wrong_usage(format_args!(
                "refused lines go to refused.ndjson in the folder of --output; leave --refused out"
            )));
        }
        let options = Options {
            on_conflict,
            rewrites_users: self.rewrite_users,
            users: UserRules {
                pattern: self.user_id.clone(),
                not_users: self.not_users()?,
            },
            link_event: self.link_event.clone(),
            link_time_ms: self.link_time,
            compare: self.compare.clone(),
            anonymous_events: self.from.anonymous_events(),
            ..Options::new(source, target, now_ms)
        };
        Ok(self.source_rules.of(options))
    }

    /// The values of `--source-rules` and of `--on-conflict`.
    pub(crate) fn choices(&self) -> (String, String) {
        (name_of(self.source_rules), name_of(self.on_conflict))
    }

    /// The value of `--compare`.
    pub(crate) fn compare(&self) -> Option<&str> {
        self.compare.as_deref()
    }

    pub(crate) fn has_not_users(&self) -> bool {
        self.not_users.is_some()
    }

    /// How the records of the source become events. `None` if they are events, and nothing is left out.
    ///
    /// # Errors
    ///
    /// The arguments do not fit together.
    pub(crate) fn adapting(&self, source: &Settings) -> anyhow::Result<Option<Adapting>> {
        // The calls that products have for who is who are the claims of Original.
        let options = idmerge_adapters::Options::new(Target::Original);
        let origin = self.from.origin();
        self.product
            .adapting(origin, options, source, self.input.quiet)
    }

    /// The settings of the new project: its IDs are those of the source.
    fn target(&self, source: &Settings) -> anyhow::Result<Settings> {
        if self.to.model() == self.from.model() {
            return Ok(source.clone());
        }
        let target = Settings::of(self.to.model());
        Ok(target.with_id_rules(source.id_rules().clone()))
    }

    fn not_users(&self) -> anyhow::Result<foldhash::HashSet<String>> {
        let Some(path) = &self.not_users else {
            return Ok(Default::default());
        };
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read {} (--not-users)", path.display()))?;
        let lines = text.lines().map(|line| line.trim_start_matches('\u{feff}'));
        Ok(lines
            .filter(|line| !line.is_empty())
            .map(|line| line.trim_start_matches("$device:").to_owned())
            .collect())
    }
}
