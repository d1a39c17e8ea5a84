//! Runs a migration in memory.

use idmerge_core::{IdentityResolver, IdentityResolverExt};
use idmerge_engines::{Model, Settings};
use idmerge_events::{Envelope, JsonEvent};
use idmerge_migrate::{
    Counted, Gathering, Options, Place, Report, Tally, WrittenLine, link_time_ms,
};
use serde_json::Value;

/// 2023-11-15, one day after the events of the tests.
pub(crate) const NOW_MS: i64 = 1_700_086_400_000;

/// From Original to Simplified.
pub(crate) fn options() -> Options {
    let [source, target] = [Model::Original, Model::Simplified].map(Settings::of);
    Options::new(source, target, NOW_MS)
}

/// What a migration writes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Migrated {
    pub(crate) links: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) refused: Vec<(u64, String)>,
    pub(crate) conflicts: Vec<Value>,
    pub(crate) report: Value,
    pub(crate) profiles: Vec<String>,
    pub(crate) mapping: String,
}

/// The files beside the events.
#[derive(Clone, Copy, Default)]
pub(crate) struct Beside<'b> {
    pub(crate) mapping: &'b [(&'b str, &'b str)],
    pub(crate) profiles: &'b [&'b str],
    pub(crate) earlier: Option<&'b Migrated>,
}

pub(crate) fn migrate(options: Options, lines: &[impl AsRef<str>]) -> Migrated {
    migrate_with(options, lines, Beside::default())
}

/// Runs all stages. The check of M-20 must pass.
pub(crate) fn migrate_with(
    options: Options,
    lines: &[impl AsRef<str>],
    beside: Beside<'_>,
) -> Migrated {
    let mut migrated = Migrated::default();
    let mut gathering = Gathering::new(options);
    let mut taken = Vec::new();
    for (line, text) in (1..).zip(lines) {
        let envelope = Envelope::parse_text(text.as_ref()).unwrap();
        match gathering.options().read(&envelope) {
            Ok(event) => {
                gathering.add(&event, Place { file: 0, line }).unwrap();
                taken.push((line, text.as_ref()));
            }
            Err(error) => migrated.refused.push((line, error.to_string())),
        }
    }
    for (line, (id, head)) in (1..).zip(beside.mapping) {
        gathering
            .add_mapping(id, head, Place { file: 1, line })
            .unwrap();
    }
    for profile in beside.profiles {
        gathering.add_profile(profile).unwrap();
    }
    let earlier = beside.earlier;
    let earlier_links = earlier.map_or(&[][..], |earlier| &earlier.links);
    for line in earlier_links {
        gathering.add_earlier_link(line.as_bytes()).unwrap();
    }
    for line in earlier.map_or(&[][..], |earlier| &earlier.events) {
        gathering.add_earlier_event(line.as_bytes()).unwrap();
    }
    let mut people = gathering.elect().unwrap();

    let mut tally = Tally::default();
    for (number, (line, text)) in (0..).zip(taken) {
        if people.is_double(number) {
            tally.doubles += 1;
            continue;
        }
        let mut out = Vec::new();
        let envelope = Envelope::parse_text(text).unwrap();
        let event = people.options().read(&envelope).unwrap();
        match people
            .event_writer()
            .write(number, &event, &mut out)
            .unwrap()
        {
            WrittenLine::Written(written) => {
                tally.add(&written).unwrap();
                migrated.events.extend(lines_of(out));
            }
            WrittenLine::IdentityEvent => tally.identity_events += 1,
            WrittenLine::Refused { message, .. } => migrated.refused.push((line, message)),
        }
    }
    people.take_carried(&tally);
    let mut links = earlier_links.join("\n").into_bytes();
    if !links.is_empty() {
        links.push(b'\n');
    }
    let time = people.options().link_time_ms;
    let time = time.unwrap_or_else(|| link_time_ms(tally.earliest_ms()));
    people
        .write_links(time, |line| {
            links.extend_from_slice(line);
            Ok(())
        })
        .unwrap();
    migrated.links = lines_of(links);
    let mut checker = people.checker();
    for line in &migrated.links {
        checker.add_link(line).unwrap();
    }
    let engine = checker.finish(&people, &tally).unwrap();
    let mut mapping = Vec::new();
    people.write_mapping(&engine, &mut mapping).unwrap();
    migrated.mapping = String::from_utf8(mapping).unwrap();
    for (line, text) in (1..).zip(beside.profiles) {
        let mut out = Vec::new();
        let place = Place { file: 2, line };
        people.write_profile(text, place, &mut out).unwrap();
        migrated.profiles.extend(lines_of(out));
    }
    let names = ["in", "mapping", "profiles"];
    let find = |place: Place| Some((names[place.file as usize].to_owned(), place.line));
    let conflicts = people
        .write_conflicts(find, |line| {
            migrated
                .conflicts
                .push(serde_json::from_slice(line).unwrap());
            Ok(())
        })
        .unwrap();
    let counted = Counted {
        links: migrated.links.len() as u64,
        profiles: migrated.profiles.len() as u64,
        conflicts,
    };
    let report = Report::new(&people, &mut tally, counted).unwrap();
    migrated.report = serde_json::to_value(&report).unwrap();
    migrated
}

fn lines_of(text: Vec<u8>) -> Vec<String> {
    let text = String::from_utf8(text).unwrap();
    text.lines().map(str::to_owned).collect()
}

impl Migrated {
    /// The user of each event that was written, in the project that imports links first and events after
    /// them: the engine reads the lines alone.
    pub(crate) fn users(&self, engine: &mut dyn IdentityResolver) -> Vec<Option<String>> {
        for line in self.links.iter().chain(&self.events) {
            let event = JsonEvent::parse_text(line).unwrap();
            engine.apply_event(&event.event()).unwrap();
        }
        let lines = self.events.iter();
        lines
            .map(|line| {
                let event = JsonEvent::parse_text(line).unwrap();
                let own = engine.read(&event.event()).unwrap().distinct_id;
                own.map(|own| engine.resolve(own).to_string())
            })
            .collect()
    }

    /// How many users the events have in Simplified.
    pub(crate) fn count_users(&self) -> usize {
        let users = self.users(&mut *Settings::of(Model::Simplified).engine());
        let mut users: Vec<_> = users.into_iter().flatten().collect();
        users.sort_unstable();
        users.dedup();
        users.len()
    }

    pub(crate) fn kinds(&self) -> Vec<&str> {
        let kinds = self
            .conflicts
            .iter()
            .map(|case| case["kind"].as_str().unwrap());
        kinds.collect()
    }

    /// Every case must name evidence, and say what would settle it.
    pub(crate) fn check_cases(&self) {
        for case in &self.conflicts {
            assert_ne!(case["evidence"].as_array().unwrap().len(), 0, "{case}");
            assert_ne!(case["ids"].as_array().unwrap().len(), 0, "{case}");
            assert!(
                case["what_would_settle_it"].as_str().unwrap().len() > 20,
                "{case}"
            );
            assert!(case["rule"].as_str().unwrap().starts_with("M-"), "{case}");
        }
    }
}
