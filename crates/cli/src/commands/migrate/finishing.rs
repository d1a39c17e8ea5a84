//! What a migration writes, and the last steps: links, profiles, the check, cases and the report.

use std::collections::BTreeMap;
use std::io;

use anyhow::{Context, bail};
use idmerge_migrate::{Checker, Counted, People, ProfileLine, Report, Tally, link_time_ms};
use serde::Serialize;

use crate::args::migrate::MigrateArgs;
use crate::commands::migrate::folder::{
    CONFLICTS, EVENTS, Folder, IMPORT, LINKS, MAPPING, MIGRATION, PROFILES, REFUSED, REPORT,
};
use crate::commands::migrate::side_files::SideFiles;
use crate::output::destination::Output;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::report::say;

/// The result of a migration.
pub(super) struct Finished {
    pub(super) report: Report,
    /// The names of the files of events, in order.
    pub(super) event_files: Vec<String>,
    /// How many lines of `--profiles` were left out.
    pub(super) profiles_refused: u64,
}

/// The files that are written, or nothing in a dry run.
pub(super) struct Outputs {
    events: Option<EventFiles>,
    pub(super) refused: RefusedWriter,
}

/// The events, in one file or in files of some lines each.
struct EventFiles {
    folder: std::path::PathBuf,
    split: Option<u64>,
    names: Vec<String>,
    files: Vec<Output>,
    /// How many lines the last file has.
    lines: u64,
}

impl EventFiles {
    fn create(folder: &Folder, split: Option<u64>) -> anyhow::Result<Self> {
        let mut files = Self {
            folder: folder.path().to_owned(),
            split,
            names: Vec::new(),
            files: Vec::new(),
            lines: 0,
        };
        files.next()?;
        Ok(files)
    }

    fn next(&mut self) -> anyhow::Result<()> {
        let name = match self.split {
            None => EVENTS.to_owned(),
            Some(_) => format!("events-{:05}.ndjson", self.names.len() + 1),
        };
        let path = self.folder.join(&name);
        let destination = crate::output::destination::Destination::of(Some(&path))?;
        self.files.push(Output::create(destination)?);
        self.names.push(name);
        self.lines = 0;
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> anyhow::Result<()> {
        let Some(split) = self.split else {
            return self.last()?.write(lines);
        };
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            if self.lines == split {
                self.next()?;
            }
            self.last()?.write(line)?;
            self.lines += 1;
        }
        Ok(())
    }

    fn last(&mut self) -> anyhow::Result<&mut Output> {
        self.files.last_mut().context("there is no file of events")
    }
}

/// The writer of the lines that are refused, also while the input is sorted.
pub(super) fn refused_writer(args: &MigrateArgs, folder: &Folder) -> anyhow::Result<RefusedWriter> {
    let file = (!args.dry_run).then(|| folder.file(REFUSED)).transpose()?;
    let mut refused = RefusedWriter::new(file, args.input.max_refused())?;
    refused.silence();
    Ok(refused)
}

impl Outputs {
    pub(super) fn create(
        args: &MigrateArgs,
        folder: &Folder,
        refused: RefusedWriter,
    ) -> anyhow::Result<Self> {
        let events = (!args.dry_run).then(|| EventFiles::create(folder, args.split));
        Ok(Self {
            events: events.transpose()?,
            refused,
        })
    }

    pub(super) fn write_events(&mut self, lines: &[u8]) -> anyhow::Result<()> {
        match &mut self.events {
            Some(events) => events.write(lines),
            None => Ok(()),
        }
    }

    /// Writes all other files, and lets all appear once the check has passed.
    pub(super) fn finish(
        self,
        args: &MigrateArgs,
        folder: &Folder,
        people: &mut People,
        tally: &mut Tally,
        mut side_files: SideFiles,
        events_read: u64,
    ) -> anyhow::Result<Finished> {
        self.refused.excess(NOTHING_WRITTEN)?;
        let options = people.options();
        let link_time = options.link_time_ms;
        let link_time = link_time.unwrap_or_else(|| link_time_ms(tally.earliest_ms()));
        let migration = folder.migration(options, link_time, events_read);
        let mut others = Others::new(folder, args.dry_run);
        let (links, checker) = write_links(&mut others, folder, people, link_time)?;
        let engine = checker.finish(people, tally)?;
        let (profiles, profiles_refused) = write_profiles(&mut others, people, &mut side_files)?;
        others.with(MAPPING, |out| people.write_mapping(&engine, out))?;
        drop(engine);
        let conflicts = write_conflicts(&mut others, people, &side_files)?;
        let counted = Counted {
            links,
            profiles,
            conflicts,
        };
        let report = Report::new(people, tally, counted).context("cannot read a temporary file")?;
        others.with(MIGRATION, |out| write_json(&migration, out))?;
        if let Some(events) = &self.events {
            let text = people.instructions(&events.names, args.profiles.is_some());
            others.with(IMPORT, |out| out.write_all(text.as_bytes()))?;
        }
        let mut report_file = Output::create(folder.file(REPORT)?)?;
        report_file.write_with(|out| write_json(&report, out))?;
        check_association(args, &report, report_file)?;
        let event_files = self.appear(folder, others)?;
        Ok(Finished {
            report,
            event_files,
            profiles_refused,
        })
    }

    /// Lets the files appear, the events before the rest.
    fn appear(mut self, folder: &Folder, others: Others<'_>) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        if let Some(events) = self.events {
            for file in events.files {
                file.finish()?;
            }
            folder.remove_events_except(&events.names)?;
            self.refused.finish()?;
            names = events.names;
        }
        others.files.into_iter().try_for_each(Output::finish)?;
        Ok(names)
    }
}

/// Lets the report appear, also if the rate is too low: the report says why.
fn check_association(args: &MigrateArgs, report: &Report, file: Output) -> anyhow::Result<()> {
    file.finish()?;
    let rate = report.association_rate();
    match args.min_association {
        Some(min) if rate < min => bail!(
            "{rate} of the events with an ID belong to a user, which is less than --min-association \
             {min}, so only report.json was written"
        ),
        _ => Ok(()),
    }
}

/// The files other than the events. A dry run discards what is written to them.
struct Others<'f> {
    folder: &'f Folder,
    is_dry: bool,
    files: Vec<Output>,
}

impl<'f> Others<'f> {
    fn new(folder: &'f Folder, is_dry: bool) -> Self {
        Self {
            folder,
            is_dry,
            files: Vec::new(),
        }
    }

    fn with<T>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<T>,
    ) -> anyhow::Result<T> {
        if self.is_dry {
            return Ok(write(&mut io::sink())?);
        }
        let mut file = Output::create(self.folder.file(name)?)?;
        let written = file.write_with(write)?;
        self.files.push(file);
        Ok(written)
    }
}

fn write_json(value: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Writes the links: those of the earlier migration first, as they were.
fn write_links(
    others: &mut Others<'_>,
    folder: &Folder,
    people: &People,
    link_time: i64,
) -> anyhow::Result<(u64, Checker)> {
    let mut checker = people.checker();
    let mut wrong = None;
    let mut count = 0;
    others.with(LINKS, |out| {
        let mut take = |lines: &[u8]| {
            let text = str::from_utf8(lines).unwrap_or_default();
            for line in text.lines() {
                count += 1;
                if let Err(error) = checker.add_link(line) {
                    wrong.get_or_insert(error);
                }
            }
            out.write_all(lines)
        };
        let earlier = folder.for_each_earlier_link(|line| Ok(take(line)?));
        earlier.map_err(io::Error::other)?;
        people.write_links(link_time, take)
    })?;
    match wrong {
        Some(wrong) => Err(wrong.into()),
        None => Ok((count, checker)),
    }
}

/// Returns how many profiles there are, and how many lines were left out.
fn write_profiles(
    others: &mut Others<'_>,
    people: &mut People,
    side_files: &mut SideFiles,
) -> anyhow::Result<(u64, u64)> {
    let (mut profiles, mut refused) = (0, 0);
    others.with(PROFILES, |out| {
        let mut text = Vec::new();
        let visited = side_files.for_each_profile(|line, place| {
            text.clear();
            match people.write_profile(line, place, &mut text)? {
                ProfileLine::Written => profiles += 1,
                ProfileLine::Conflict => {}
                ProfileLine::Refused => refused += 1,
            }
            Ok(out.write_all(&text)?)
        });
        visited.map_err(io::Error::other)
    })?;
    Ok((profiles, refused))
}

/// Says how many lines of `--profiles` were left out, if some were.
pub(super) fn say_refused(profiles: u64) {
    if profiles > 0 {
        say(format_args!(
            "{profiles} lines of --profiles are not profiles, or their $distinct_id is no valid ID: they \
             were left out (M-16)"
        ));
    }
}

fn write_conflicts(
    others: &mut Others<'_>,
    people: &mut People,
    side_files: &SideFiles,
) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    others.with(CONFLICTS, |out| {
        people.write_conflicts(
            |place| side_files.find_place(place),
            |line| out.write_all(line),
        )
    })
}
