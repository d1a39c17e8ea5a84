//! `--conflicts`: the cases that a person must decide, as lines of JSON (M-18).

mod settling;

use std::collections::HashSet;
use std::{io, mem};

use anyhow::Context;
use idmerge_adapters::UserConflict;
use idmerge_core::{Claim, DistinctId, Id, Outcome, Resolve, RuleBook};
use idmerge_events::Envelope;
use idmerge_migrate::{Conflict, ConflictEvidence, ConflictKind};
use serde::{Deserialize, Serialize};

use crate::output::destination::{Destination, Output};
use crate::spill::TEMPORARY;
use crate::spill::sort::Sorter;
use crate::stream::block::Block;
use crate::stream::lines::Lines;
use crate::stream::pipeline::BlockPosition;

/// Takes what is evidence for a case, in bounded memory, and writes the cases at the end.
pub(crate) struct ConflictsWriter {
    output: Output,
    max_line_bytes: u64,
    /// By case.
    evidence: Sorter,
}

/// A claim that was rejected, with the number of its event among the usable events of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RejectedClaim<'c> {
    pub(crate) event: usize,
    pub(crate) claim: Claim<'c>,
    /// As in `$failure_reason`.
    pub(crate) code: &'static str,
}

/// Two IDs on a line that are evidence for a case.
#[derive(Serialize, Deserialize)]
struct Entry {
    kind: ConflictKind,
    evidence: ConflictEvidence,
}

impl<'c> RejectedClaim<'c> {
    /// If the claim was rejected.
    pub(crate) fn of(event: usize, claim: Claim<'c>, outcome: &Outcome<'_>) -> Option<Self> {
        match outcome {
            Outcome::Rejected(rejection) => Some(Self {
                event,
                claim,
                code: rejection.code(),
            }),
            _ => None,
        }
    }
}

impl ConflictsWriter {
    pub(crate) fn create(destination: Destination, max_line_bytes: u64) -> anyhow::Result<Self> {
        Ok(Self {
            output: Output::create(destination)?,
            max_line_bytes,
            evidence: Sorter::default(),
        })
    }

    /// Adds the users that records of a block say are one person, and the claims of its events that were
    /// rejected, in the order of their events. `refused` has the numbers of the lines that are no usable events.
    pub(crate) fn add_block(
        &mut self,
        block: &Block,
        position: BlockPosition<'_>,
        refused: &HashSet<u64>,
        rejected: &[RejectedClaim<'_>],
    ) -> anyhow::Result<()> {
        let adapted = block.adapted.as_ref();
        for conflict in adapted.map_or(&[][..], |adapted| &adapted.conflicts) {
            self.add_users(conflict, position)?;
        }
        if rejected.is_empty() {
            return Ok(());
        }
        let lines = Lines::new(block.bytes(), self.max_line_bytes);
        let mut events = lines
            .filter(|line| !refused.contains(&line.number))
            .enumerate();
        let mut event = events.next();
        for RejectedClaim {
            event: number,
            claim,
            code,
        } in rejected
        {
            while event.is_some_and(|(at, _)| at < *number) {
                event = events.next();
            }
            let (Some((_, line)), Some(kind)) = (event, kind_of(code)) else {
                continue;
            };
            let envelope = Envelope::parse(line.bytes).ok();
            let envelope = envelope.as_ref();
            self.add(Entry {
                kind,
                evidence: ConflictEvidence {
                    file: position.line(line.number).file.to_owned(),
                    line: Some(position.line(line.number).line),
                    insert_id: envelope.and_then(|it| Some(it.insert_id_text()?.into_owned())),
                    event: envelope.map(|envelope| envelope.name().to_owned()),
                    rank: matches!(claim, Claim::Link { .. }).then_some(0),
                    ids: ids_of(claim),
                },
            })?;
        }
        Ok(())
    }

    fn add_users(
        &mut self,
        conflict: &UserConflict,
        position: BlockPosition<'_>,
    ) -> anyhow::Result<()> {
        let at = position.line(conflict.line as u64 + 1);
        let [first, second] = &conflict.users;
        self.add(Entry {
            kind: match first == second {
                true => ConflictKind::Loop,
                false => ConflictKind::TwoUsers,
            },
            evidence: ConflictEvidence {
                file: at.file.to_owned(),
                line: Some(at.line),
                insert_id: conflict.insert_id.clone(),
                event: Some(conflict.event.clone()),
                rank: None,
                ids: conflict.users.clone(),
            },
        })
    }

    /// Adds a row of a table of who is who that is evidence for a case of this kind.
    pub(crate) fn add_row(
        &mut self,
        file: &str,
        line: u64,
        kind: ConflictKind,
        ids: [String; 2],
    ) -> anyhow::Result<()> {
        self.add(Entry {
            kind,
            evidence: ConflictEvidence {
                file: file.to_owned(),
                line: Some(line),
                insert_id: None,
                event: None,
                // M-6: a row of a mapping.
                rank: Some(2),
                ids,
            },
        })
    }

    /// Adds a row whose claim was rejected.
    pub(crate) fn add_rejected_row(
        &mut self,
        file: &str,
        line: u64,
        rejected: &RejectedClaim<'_>,
    ) -> anyhow::Result<()> {
        match kind_of(rejected.code) {
            Some(kind) => self.add_row(file, line, kind, ids_of(&rejected.claim)),
            None => Ok(()),
        }
    }

    fn add(&mut self, entry: Entry) -> anyhow::Result<()> {
        let value = serde_json::to_vec(&entry)?;
        let added = self.evidence.push(&entry.key(), &value);
        added.context("cannot write a temporary file")
    }

    /// Writes the cases, those with the most events first. `state` has all claims.
    pub(crate) fn finish(self, state: &dyn Resolve) -> anyhow::Result<()> {
        let Self {
            mut output,
            evidence,
            ..
        } = self;
        let mut by_events = Sorter::default();
        let mut case: Vec<Entry> = Vec::new();
        let mut events = 0;
        let mut end = |case: &mut Vec<Entry>, events: &mut u64| -> io::Result<()> {
            if let Some(conflict) = conflict_of(mem::take(case), *events, state) {
                by_events.push(&(u64::MAX - *events).to_be_bytes(), &conflict.to_line()?)?;
            }
            *events = 0;
            Ok(())
        };
        let gathered = evidence.finish(|value| {
            let entry: Entry = serde_json::from_slice(value)?;
            if case.first().is_some_and(|first| first.key() != entry.key()) {
                end(&mut case, &mut events)?;
            }
            events += 1;
            if case.len() < Conflict::EVIDENCE_MAX {
                case.push(entry);
            }
            Ok(())
        });
        gathered
            .and_then(|()| end(&mut case, &mut events))
            .context(TEMPORARY)?;
        output.write_with(|out| by_events.finish(|line| out.write_all(line)))?;
        output.finish()
    }
}

impl Entry {
    /// The ID that the case is about.
    fn about(&self) -> &str {
        let [first, second] = &self.evidence.ids;
        match self.kind {
            ConflictKind::OverCap | ConflictKind::Loop => first,
            _ => second,
        }
    }

    /// The same for all evidence of a case.
    fn key(&self) -> Vec<u8> {
        let mut key = self.kind.name().as_bytes().to_vec();
        let [first, second] = self.evidence.ids.each_ref().map(String::as_str);
        let ids = match self.kind {
            // Two users are one case, whichever of them a line names first.
            ConflictKind::TwoUsers => vec![first.min(second), first.max(second)],
            _ => vec![self.about()],
        };
        for id in ids {
            // No ID has this byte in it.
            key.push(0xff);
            key.extend_from_slice(id.as_bytes());
        }
        key
    }
}

/// The case that has this evidence, if there is any.
fn conflict_of(entries: Vec<Entry>, events: u64, state: &dyn Resolve) -> Option<Conflict> {
    let first = entries.first()?;
    let (kind, rule_book) = (first.kind, state.rule_book());
    let chosen = chosen(first, state);
    let evidence: Vec<_> = entries.into_iter().map(|entry| entry.evidence).collect();
    let mut ids: Vec<String> = Vec::new();
    for id in evidence.iter().flat_map(|line| &line.ids) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    Some(Conflict {
        kind,
        all_ids: ids.len(),
        ids,
        chosen,
        rule: settling::rule(kind, rule_book),
        evidence,
        events,
        what_would_settle_it: settling::what_would_settle_it(kind),
    })
}

/// The ID that has the device or the alias now.
fn chosen(entry: &Entry, state: &dyn Resolve) -> Option<String> {
    let id = Id::new(entry.about()).ok()?;
    let id = match (entry.kind, state.rule_book()) {
        (ConflictKind::Contradicted, RuleBook::Simplified) => DistinctId::device(id),
        (ConflictKind::Contradicted | ConflictKind::RefusedAlias, _) => DistinctId::plain(id),
        _ => return None,
    };
    Some(state.resolve(id).text().into_owned())
}

/// The IDs of a claim, in the order of the evidence of a migration.
fn ids_of(claim: &Claim<'_>) -> [String; 2] {
    let [first, second] = claim.ids().map(|id| id.id().text().into_owned());
    match claim {
        Claim::Link { .. } => [second, first],
        _ => [first, second],
    }
}

/// The kind of a case in which a claim is rejected with this code.
fn kind_of(code: &str) -> Option<ConflictKind> {
    Some(match code {
        "errSameIDs" => ConflictKind::Loop,
        "errAnonDistinctIdNonGUIDForm" => ConflictKind::NonUuid,
        "errAnonDistinctIdAssignedAlready" => ConflictKind::Contradicted,
        "errAliasAlreadyExists" => ConflictKind::RefusedAlias,
        "errManyIDs" => ConflictKind::OverCap,
        _ => return None,
    })
}
