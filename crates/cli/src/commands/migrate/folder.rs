//! The folder of a migration, and what an earlier one left in it (M-22).

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use idmerge_migrate::Options;
use serde::{Deserialize, Serialize};

use crate::args::migrate::MigrateArgs;
use crate::args::migrate::choices::Source;
use crate::commands::migrate::people_options::PeopleOptions;
use crate::output::destination::Destination;
use crate::report::wrong_usage;
use crate::stream::side_file::for_each_line;

pub(super) const LINKS: &str = "links.ndjson";
pub(super) const PROFILES: &str = "profiles.ndjson";
pub(super) const MAPPING: &str = "mapping.csv";
pub(super) const CONFLICTS: &str = "conflicts.ndjson";
pub(super) const REFUSED: &str = "refused.ndjson";
pub(super) const REPORT: &str = "report.json";
pub(super) const MIGRATION: &str = "migration.json";
pub(super) const IMPORT: &str = "IMPORT.md";
pub(super) const EVENTS: &str = "events.ndjson";

/// The files of every migration, other than the events.
const FILES: [&str; 8] = [
    LINKS, PROFILES, MAPPING, CONFLICTS, REFUSED, REPORT, MIGRATION, IMPORT,
];

/// The folder that a migration writes to.
pub(super) struct Folder {
    path: PathBuf,
    source: Source,
    /// What the earlier migration in it was, if there is one.
    pub(super) earlier: Option<Migration>,
    /// The files of events of the earlier migration, in order. Without one there are none.
    earlier_events: Vec<String>,
    people: Option<PeopleOptions>,
}

/// The content of `migration.json`: what a later migration must keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) link_event: String,
    pub(super) rewrite_users: bool,
    /// The time of the links.
    pub(super) link_time_ms: i64,
    /// The time of the migration, by which events in the future are refused (M-15).
    pub(super) now_ms: i64,
    /// How many events were read. A migration of more events is at its own time.
    pub(super) events_read: u64,
    /// What decides who is who. Earlier versions did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) people: Option<PeopleOptions>,
}

impl Migration {
    fn new(from: &str, options: &Options, link_time_ms: i64, events_read: u64) -> Self {
        Self {
            version: 1,
            from: from.to_owned(),
            to: options.target.model().name().to_owned(),
            link_event: options.link_event.clone(),
            rewrite_users: options.rewrites_users,
            link_time_ms,
            now_ms: options.now_ms,
            events_read,
            people: None,
        }
    }

    /// The first option that is not what it was, with its value.
    fn difference(&self, now: &Self) -> Option<String> {
        let text = |value: &dyn ToString| value.to_string();
        let options = [
            ("--from", text(&self.from), text(&now.from)),
            ("--to", text(&self.to), text(&now.to)),
            (
                "--link-event",
                text(&self.link_event),
                text(&now.link_event),
            ),
            (
                "--link-time",
                text(&self.link_time_ms),
                text(&now.link_time_ms),
            ),
            (
                "--rewrite-users",
                text(&self.rewrite_users),
                text(&now.rewrite_users),
            ),
        ];
        let different = options.into_iter().find(|(_, before, now)| before != now);
        different.map(|(option, before, _)| format!("with {option} {before}"))
    }
}

/// Whether this is the name of a file of events.
fn is_events(name: &str) -> bool {
    let number = name
        .strip_prefix("events-")
        .and_then(|it| it.strip_suffix(".ndjson"));
    let is_number = |it: &str| it.len() >= 5 && it.bytes().all(|byte| byte.is_ascii_digit());
    name == EVENTS || number.is_some_and(is_number)
}

impl Folder {
    /// Opens the folder, and makes it if it does not exist. The time of the links is that of an earlier
    /// migration.
    pub(super) fn open(args: &MigrateArgs, options: &mut Options) -> anyhow::Result<Self> {
        let path = args.folder.clone();
        let shown = path.display().to_string();
        fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {shown}"))?;
        let mut earlier_events = Vec::new();
        let entries = fs::read_dir(&path).with_context(|| format!("cannot read {shown}"))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {shown}"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_events(&name) {
                earlier_events.push(name);
            } else if !FILES.contains(&&*name) && !name.starts_with(".idmerge-") {
                return Err(wrong_usage(format_args!(
                    "the folder {shown} has {name}, which is not of a migration: choose a new or an \
                     empty folder (--output)"
                )));
            }
        }
        earlier_events.sort_by_key(|name| (name.len(), name.clone()));
        let mut folder = Self {
            path,
            source: args.from,
            earlier: None,
            earlier_events,
            people: None,
        };
        folder.earlier = folder.read_earlier()?;
        if folder.earlier.is_none() && !folder.earlier_events.is_empty() {
            bail!(
                "the folder {shown} has events and no {MIGRATION}, so it is not of a migration that ended: \
                 choose a new or an empty folder (--output)"
            );
        }
        folder.keep_options(options)?;
        Ok(folder)
    }

    fn read_earlier(&self) -> anyhow::Result<Option<Migration>> {
        let path = self.path.join(MIGRATION);
        let shown = path.display();
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
        let mut earlier: Migration = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is damaged: choose another folder (--output)"))?;
        // It had no records, so it did not find out which product they are of.
        if earlier.from == Source::Auto.name() {
            self.source.name().clone_into(&mut earlier.from);
        }
        Ok(Some(earlier))
    }

    fn keep_options(&self, options: &mut Options) -> anyhow::Result<()> {
        let Some(earlier) = &self.earlier else {
            return Ok(());
        };
        let link_time_ms = options.link_time_ms.unwrap_or(earlier.link_time_ms);
        let now = Migration::new(self.source(), options, link_time_ms, 0);
        if let Some(difference) = earlier.difference(&now) {
            return Err(self.other_option(&difference));
        }
        options.link_time_ms = Some(link_time_ms);
        Ok(())
    }

    /// Keeps the options that decide who is who.
    ///
    /// # Errors
    ///
    /// The earlier migration had others.
    pub(super) fn keep_people(&mut self, now: PeopleOptions) -> anyhow::Result<()> {
        let earlier = self.earlier.as_ref();
        let before = earlier.and_then(|earlier| earlier.people.as_ref());
        if let Some(difference) = before.and_then(|before| before.difference(&now)) {
            return Err(self.other_option(&difference));
        }
        self.people = Some(now);
        Ok(())
    }

    /// What to keep of this migration for a later one.
    pub(super) fn migration(
        &self,
        options: &Options,
        link_time_ms: i64,
        events_read: u64,
    ) -> Migration {
        Migration {
            people: self.people.clone(),
            ..Migration::new(self.source(), options, link_time_ms, events_read)
        }
    }

    fn other_option(&self, difference: &str) -> anyhow::Error {
        wrong_usage(format_args!(
            "the folder {} has an earlier migration {difference}: use the same, or another folder (M-22)",
            self.path.display()
        ))
    }

    /// Sets the source, once it is known.
    ///
    /// # Errors
    ///
    /// It is not that of the earlier migration.
    pub(super) fn settle_source(&mut self, source: Source) -> anyhow::Result<()> {
        self.source = source;
        match &self.earlier {
            Some(earlier) if ![source.name(), Source::Auto.name()].contains(&&*earlier.from) => {
                Err(self.other_option(&format!("with --from {}", earlier.from)))
            }
            _ => Ok(()),
        }
    }

    /// The name of the source: that of the earlier migration, until the first record shows it.
    pub(super) fn source(&self) -> &str {
        match &self.earlier {
            Some(earlier) if self.source == Source::Auto => &earlier.from,
            _ => self.source.name(),
        }
    }

    /// The time of this migration: that of the earlier one if it read as many events, so that it gives
    /// the same answers.
    pub(super) fn now_ms(&self, events_read: u64, now_ms: i64) -> i64 {
        match &self.earlier {
            Some(earlier) if earlier.events_read == events_read => earlier.now_ms,
            _ => now_ms,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> anyhow::Result<Destination> {
        Destination::of(Some(&self.path.join(name)))
    }

    /// The files that a migration may replace or remove.
    pub(super) fn files_to_write(&self) -> impl Iterator<Item = anyhow::Result<Destination>> {
        let events = self.earlier_events.iter().map(String::as_str);
        let names = FILES.into_iter().chain([EVENTS]).chain(events);
        names.map(|name| self.file(name))
    }

    /// The files of events of the earlier migration that this one does not replace.
    pub(super) fn remove_events_except(&self, written: &[String]) -> anyhow::Result<()> {
        for name in self
            .earlier_events
            .iter()
            .filter(|name| !written.contains(name))
        {
            let path = self.path.join(name);
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Visits the lines of the earlier events.
    pub(super) fn for_each_earlier_event(
        &self,
        mut visit: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for name in &self.earlier_events {
            self.for_each_line(name, &mut visit)?;
        }
        Ok(())
    }

    /// Visits the lines of the earlier links, with their line breaks.
    pub(super) fn for_each_earlier_link(
        &self,
        mut visit: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self.earlier {
            Some(_) => self.for_each_line(LINKS, &mut visit),
            None => Ok(()),
        }
    }

    fn for_each_line(
        &self,
        name: &str,
        visit: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let shown = path.display().to_string();
        let file = fs::File::open(&path).with_context(|| {
            format!(
                "cannot read {shown} of the earlier migration: choose another folder (--output)"
            )
        })?;
        for_each_line(&shown, &mut BufReader::new(file), |line, _| visit(line))
    }
}
