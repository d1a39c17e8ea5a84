//! Legacy by brute force: rules L-1 to L-13.

use std::io;

use idmerge_core::{
    Attribution, Claim, Cluster, DistinctId, EngineError, Event, Id, IdentityResolver,
    InvalidEvent, Outcome, Reading, Rejection, Resolve, RuleBook, SnapshotError,
};

use super::{reading, snapshot};
use crate::settings::EngineSettings;

#[cfg(test)]
mod tests;

/// L-8: from here on, the alias stands for the other ID.
#[derive(Clone, Debug)]
struct Alias {
    alias: String,
    stands_for: String,
}

/// The oracle of Legacy. Its state is the aliases in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct LegacyOracle {
    settings: EngineSettings,
    log: Vec<Alias>,
}

/// What Legacy says about an event. It is said once, when the event arrives (rule L-3): nothing
/// that arrives later changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The event's own distinct_id (L-2, L-4, L-11); `None` if the event has no user.
    pub own: Option<String>,
    /// What the own distinct_id stands for at this moment (L-3).
    pub distinct_id: Option<String>,
    /// The code and the description of the rejection, if the claim of the event was rejected (L-13).
    pub failure: Option<(String, String)>,
}

impl Arrival {
    /// The properties that are written onto the event, in the order of the rules, with their texts.
    pub fn written(&self) -> Vec<(&'static str, String)> {
        // W-1: the root at arrival. W-7: empty if the event has no user.
        let distinct_id = self.distinct_id.clone().unwrap_or_default();
        let mut written = vec![("distinct_id", distinct_id)];
        // W-2: the own distinct_id, only if it differs. There is no `$is_reshuffled`: no event moves.
        if let Some(own) = &self.own
            && self.own != self.distinct_id
        {
            written.push(("$distinct_id_before_identity", own.clone()));
        }
        // L-13: as W-4.
        if let Some((reason, description)) = &self.failure {
            written.push(("$failure_reason", reason.clone()));
            written.push(("$failure_description", description.clone()));
        }
        written
    }
}

impl LegacyOracle {
    /// An oracle with no state.
    pub fn new(settings: EngineSettings) -> Self {
        let log = Vec::new();
        Self { settings, log }
    }

    /// Takes an event in arrival order and says what is written onto it, for ever (L-3).
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] if the event is refused (L-1, L-4, L-11).
    pub fn arrive(&mut self, event: &Event<'_>) -> Result<Arrival, InvalidEvent> {
        let reading = self.read(event)?;
        let text_of = |id: DistinctId<'_>| id.id().text().into_owned();
        let own = reading.distinct_id.map(text_of);
        // L-3: by the aliases that are there when the event arrives.
        let distinct_id = own.as_deref().map(|own| root(&self.log, own).to_owned());
        let failure = match reading.claim.map(|claim| self.take(claim)) {
            Some(Outcome::Rejected(why)) => Some((why.code().to_owned(), why.to_string())),
            _ => None,
        };
        Ok(Arrival {
            own,
            distinct_id,
            failure,
        })
    }

    /// Applies a claim, and says its outcome.
    fn take<'a>(&mut self, claim: Claim<'a>) -> Outcome<'a> {
        let outcome = judge(&self.log, claim);
        self.log.extend(made_by(claim, &outcome));
        outcome
    }
}

/// The ID with a text of the log.
fn id(text: &str) -> Id<'_> {
    Id::new(text).expect("every text of the log is an ID")
}

/// What an ID stands for, if it is an alias. L-6: an alias is in the log once.
fn stands_for<'a>(log: &'a [Alias], id: &str) -> Option<&'a str> {
    let entry = log.iter().find(|entry| entry.alias == id)?;
    Some(&entry.stands_for)
}

/// Follows what an ID stands for to the end. L-7: there is an end.
fn root<'a>(log: &'a [Alias], id: &'a str) -> &'a str {
    let mut root = id;
    while let Some(next) = stands_for(log, root) {
        root = next;
    }
    root
}

/// L-12: the root first, then its aliases in the order in which they were made.
fn members<'a>(log: &'a [Alias], of: &'a str) -> Vec<&'a str> {
    let mut members = vec![root(log, of)];
    for entry in log {
        if root(log, &entry.alias) == root(log, of) {
            members.push(&entry.alias);
        }
    }
    members
}

/// L-12: the cluster in the form of the interface.
fn cluster_of<'a>(log: &'a [Alias], of: &'a str) -> Cluster<'a> {
    let members = members(log, of);
    Cluster {
        canonical: DistinctId::plain(id(root(log, of))),
        members: members
            .into_iter()
            .map(|member| DistinctId::plain(id(member)))
            .collect(),
    }
}

/// L-5 to L-8 and L-11: the outcome of one more claim, after those of the log.
fn judge<'a>(log: &[Alias], claim: Claim<'a>) -> Outcome<'a> {
    // L-11: only `$create_alias` links.
    let Claim::Alias { distinct_id, alias } = claim else {
        return Outcome::Ignored;
    };
    let (x, a) = (distinct_id.text(), alias.text());

    // L-5: both IDs are the same.
    if a == x {
        return Outcome::Rejected(Rejection::SameIds { id: distinct_id });
    }

    // L-6: A is an alias already.
    if stands_for(log, &a).is_some() {
        if root(log, &a) == root(log, &x) {
            return Outcome::AlreadyMerged;
        }
        return Outcome::Rejected(Rejection::AliasAlreadyExists { alias });
    }

    // L-7: A is no alias, and X stands for A.
    if root(log, &x) == a {
        return Outcome::AlreadyMerged;
    }

    // L-8
    Outcome::Merged
}

/// L-8: the alias that a claim made. Every other outcome changes nothing.
fn made_by(claim: Claim<'_>, outcome: &Outcome<'_>) -> Option<Alias> {
    match (claim, outcome) {
        (Claim::Alias { distinct_id, alias }, Outcome::Merged) => Some(Alias {
            alias: alias.text().into_owned(),
            stands_for: distinct_id.text().into_owned(),
        }),
        _ => None,
    }
}

/// The lines of a snapshot: each alias and what it stands for, in the order in which they were made.
fn lines(log: &[Alias]) -> Vec<String> {
    log.iter()
        .map(|entry| {
            let (alias, stands_for) = (&entry.alias, &entry.stands_for);
            let (alias, stands_for) = (snapshot::id_text(alias), snapshot::id_text(stands_for));
            format!("alias {alias} {stands_for}")
        })
        .collect()
}

impl Resolve for LegacyOracle {
    fn rule_book(&self) -> RuleBook {
        RuleBook::Legacy
    }

    fn attribution(&self) -> Attribution {
        // L-3
        Attribution::AtArrival
    }

    fn resolve<'a>(&'a self, distinct_id: DistinctId<'a>) -> DistinctId<'a> {
        // L-1: the prefix has no meaning here. L-12: the canonical ID is the root.
        let own = DistinctId::plain(distinct_id.id());
        self.cluster(own).map_or(own, |cluster| cluster.canonical)
    }

    fn cluster<'a>(&'a self, distinct_id: DistinctId<'a>) -> Option<Cluster<'a>> {
        // An ID that is no alias and has none is in no cluster.
        let entry = self.log.iter().find(|entry| {
            distinct_id.id() == *entry.alias || distinct_id.id() == *entry.stands_for
        })?;
        Some(cluster_of(&self.log, &entry.alias))
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        // In the order of the first alias of each.
        let mut roots: Vec<&str> = Vec::new();
        for entry in &self.log {
            let root = root(&self.log, &entry.alias);
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        Box::new(roots.into_iter().map(|root| cluster_of(&self.log, root)))
    }
}

impl IdentityResolver for LegacyOracle {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        reading::legacy(&self.settings, event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        Ok(self.take(claim))
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        snapshot::write(sink, self.rule_book(), &lines(&self.log))
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        let mut words = snapshot::Words::open(source, self.rule_book())?;
        let mut log: Vec<Alias> = Vec::new();
        loop {
            match &*words.word(b' ')? {
                "alias" => {
                    let (alias, stands_for) = (words.id(b' ')?, words.id(b'\n')?);
                    let claim = Claim::Alias {
                        distinct_id: id(&stands_for),
                        alias: id(&alias),
                    };
                    // L-5 to L-7: no state has such an alias after those before it.
                    if judge(&log, claim) != Outcome::Merged {
                        return snapshot::damaged("an alias could not have been made");
                    }
                    log.push(Alias { alias, stands_for });
                }
                "end" => break,
                _ => return snapshot::damaged("a line is neither an alias nor the end"),
            }
        }
        words.word(b'\n')?;
        // Refuses a wrong checksum, and numbers in another spelling.
        if words.read() != snapshot::bytes_of(self.rule_book(), &lines(&log)) {
            return snapshot::damaged("its facts would be written differently");
        }
        self.log = log;
        Ok(())
    }
}
