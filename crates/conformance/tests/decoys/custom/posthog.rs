//! An engine with a model like that of `PostHog`: `$identify` merges the anonymous ID into the identified one, unless
//! the anonymous ID has been identified already.

use std::io::{self, Read, Write};

use idmerge_conformance::EngineSettings;
use idmerge_core::{
    Claim, Cluster, DistinctId, DistinctIdBuf, EngineError, Event, IdProperty, IdRules,
    IdentityResolver, InvalidEvent, Outcome, Reading, Rejection, Resolve, RuleBook, SnapshotError,
};
use idmerge_state::{SnapshotReader, SnapshotWriter};

use crate::decoy::Oracle;

pub(crate) const RULE_BOOK: RuleBook = RuleBook::Custom("posthog");

/// Persons in the order of their first `$identify`, each with its identified ID first.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostHog {
    id_rules: IdRules,
    pub(crate) persons: Vec<Vec<DistinctIdBuf>>,
}

impl PostHog {
    pub(crate) fn person(&self, id: DistinctId<'_>) -> Option<usize> {
        let has = |ids: &Vec<DistinctIdBuf>| ids.iter().any(|it| it.as_id() == id);
        self.persons.iter().position(has)
    }
}

impl Oracle for PostHog {
    fn new(settings: EngineSettings) -> Self {
        Self {
            id_rules: settings.id_rules(),
            persons: Vec::new(),
        }
    }
}

fn cluster_of(ids: &[DistinctIdBuf]) -> Cluster<'_> {
    let members: Vec<_> = ids.iter().map(DistinctIdBuf::as_id).collect();
    Cluster {
        canonical: members[0],
        members,
    }
}

impl Resolve for PostHog {
    fn rule_book(&self) -> RuleBook {
        RULE_BOOK
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        let person = self.person(id);
        person.map_or(id, |person| self.persons[person][0].as_id())
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.person(id)
            .map(|person| cluster_of(&self.persons[person]))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        Box::new(self.persons.iter().map(|ids| cluster_of(ids)))
    }
}

impl IdentityResolver for PostHog {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        let id = |property, value| match self.id_rules.text(property, value)? {
            Some(text) => self.id_rules.id(property, text).map(Some),
            None => Ok(None),
        };
        let is_valid = |text: &str| self.id_rules.id(IdProperty::DistinctId, text).is_ok();
        let own = id(IdProperty::DistinctId, event.own_distinct_id(is_valid))?;
        let mut claim = None;
        if event.name == Event::IDENTIFY && !event.is_unweighed {
            let anon = id(IdProperty::AnonDistinctId, event.anon_distinct_id)?;
            let ids = own.zip(anon);
            claim = ids.map(|(identified, anon)| Claim::Identify { identified, anon });
        }
        Ok(Reading {
            distinct_id: own.map(DistinctId::plain),
            claim,
        })
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        let Claim::Identify { identified, anon } = claim else {
            return Ok(Outcome::Ignored);
        };
        if identified == anon {
            return Ok(Outcome::Rejected(Rejection::SameIds { id: anon }));
        }
        let ids = [identified, anon].map(DistinctId::plain);
        match ids.map(|id| self.person(id)) {
            [Some(one), Some(other)] if one == other => return Ok(Outcome::AlreadyMerged),
            [_, Some(person)] => {
                let holder = self.persons[person][0].as_id().id();
                let why = Rejection::AnonDistinctIdAssignedAlready { anon, holder };
                return Ok(Outcome::Rejected(why));
            }
            [Some(person), None] => self.persons[person].push(ids[1].to_buf()),
            [None, None] => self.persons.push(ids.map(|id| id.to_buf()).into()),
        }
        Ok(Outcome::Merged)
    }

    fn write_snapshot(&self, sink: &mut dyn Write) -> io::Result<()> {
        let mut writer = SnapshotWriter::begin(sink, RULE_BOOK, 1)?;
        writer.number(self.persons.len() as u64)?;
        for ids in &self.persons {
            writer.number(ids.len() as u64)?;
            for id in ids {
                writer.id(id.as_id().id())?;
            }
        }
        writer.end()
    }

    fn read_snapshot(&mut self, source: &mut dyn Read) -> Result<(), SnapshotError> {
        let mut reader = SnapshotReader::begin(source, RULE_BOOK, 1)?;
        let mut persons = Vec::new();
        for _ in 0..reader.number()? {
            let mut ids = Vec::new();
            for _ in 0..reader.number()? {
                ids.push(DistinctId::plain(reader.id()?).to_buf());
            }
            persons.push(ids);
        }
        reader.end()?;
        self.persons = persons;
        Ok(())
    }
}
