//! Rule M-18: the cases that a person must decide, each with its evidence.

mod case;
mod line;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;

use foldhash::{HashMap, HashSet};
use idmerge_engines::Model;

use crate::conflicts::case::Case;
pub use crate::conflicts::line::{Conflict, ConflictEvidence, ConflictKind};
use crate::options::Place;
use crate::people::electing::{EARLIER, People};
use crate::people::evidence::{Evidence, Kind};
use crate::people::ids::{Mark, NONE, Number};

/// How many cases are in memory with their evidence at a time.
const CASES_AT_A_TIME: usize = 20_000;

/// Finds the name of the file, and the line in it, of a place.
type Find<'f> = dyn Fn(Place) -> Option<(String, u64)> + 'f;

/// The evidence of a case: the first lines, and the first ones that name two users.
#[derive(Default)]
struct Found {
    evidence: Vec<Evidence>,
    of_users: usize,
    others: usize,
}

impl Found {
    fn add(&mut self, evidence: &Evidence, names_users: bool) {
        // A line can be evidence for one case in two ways.
        if self.evidence.last() == Some(evidence) {
            return;
        }
        let count = match names_users {
            true => &mut self.of_users,
            false => &mut self.others,
        };
        if *count < Conflict::EVIDENCE_MAX / 2 {
            *count += 1;
            self.evidence.push(evidence.clone());
        }
    }
}

impl People {
    /// Writes the cases as lines of JSON, those with the most events first, and returns how many there are
    /// of each kind. `find` gives the name of the file, and the line in it, of a place.
    ///
    /// The evidence of at most 20,000 cases is in memory at a time: it is read again for the next ones.
    ///
    /// # Errors
    ///
    /// Any error of `write`, or a temporary file cannot be read.
    pub fn write_conflicts(
        &mut self,
        find: impl Fn(Place) -> Option<(String, u64)>,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<BTreeMap<&'static str, u64>> {
        let cases = self.cases()?;
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for case in &cases {
            *counts.entry(case.kind.name()).or_default() += 1;
        }
        for some in cases.chunks(CASES_AT_A_TIME) {
            let mut found: HashMap<Case, Found> =
                some.iter().map(|&case| (case, Found::default())).collect();
            self.for_each_evidence(|people, evidence| {
                let cases = people.cases_of(&evidence).into_iter();
                let cases = cases.chain([Self::case_of_other_side(&evidence)]);
                for case in cases.flatten() {
                    if let Some(found) = found.get_mut(&case) {
                        let ids = [evidence.first, evidence.second];
                        let names_users = ids.iter().all(|&id| people.ids.is_user(id));
                        found.add(&evidence, names_users);
                    }
                }
            })?;
            for case in some {
                let found = found.remove(case).unwrap_or_default();
                write(&self.conflict(*case, found, &find).to_line()?)?;
            }
        }
        Ok(counts)
    }

    /// All cases, those with the most events first.
    fn cases(&mut self) -> io::Result<Vec<Case>> {
        let mut cases: HashSet<Case> = HashSet::default();
        for number in 0..self.ids.len() {
            if self.ids.is_first(number) {
                cases.extend(self.case_of_cluster(number));
            }
        }
        self.for_each_evidence(|people, evidence| {
            cases.extend(people.cases_of(&evidence).into_iter().flatten());
        })?;
        let mut cases: Vec<_> = cases
            .into_iter()
            .map(|case| (Reverse(self.events(case)), case))
            .collect();
        cases.sort_unstable();
        Ok(cases.into_iter().map(|(_, case)| case).collect())
    }

    /// The case of a cluster that has no user, or more than one. To Original, the only case of a cluster is
    /// that it exceeds the limit of the target (M-23).
    fn case_of_cluster(&self, member: Number) -> Option<Case> {
        let cluster = self.ids.cluster(member)?;
        let kind = match (self.options.target.model(), cluster.users) {
            (Model::Original, _) if self.is_over_cap(member) => ConflictKind::OverCap,
            (Model::Original, _) | (_, 1) => return None,
            (_, 0) => ConflictKind::Anonymous,
            _ => ConflictKind::TwoUsers,
        };
        let id = cluster.first;
        Some(Case { kind, id })
    }

    /// The cases that a line is evidence for.
    fn cases_of(&self, evidence: &Evidence) -> [Option<Case>; 2] {
        let ids = &self.ids;
        let (first, second) = (evidence.first, evidence.second);
        let case = |kind, id| Some(Case { kind, id });
        let together = ids.same_cluster(first, second);
        let is_simplified = self.options.target.model() == Model::Simplified;
        let is_changed = |id| {
            ids.has(id, Mark::Changed).then_some(Case {
                kind: ConflictKind::Changed,
                id,
            })
        };
        match evidence.kind {
            Kind::Both | Kind::Beside | Kind::Assigned if !is_simplified => [None; 2],
            Kind::Both if ids.is_user(second) => [case(ConflictKind::DeviceIsUser, second), None],
            Kind::Both if !ids.is_user(first) => [None; 2],
            Kind::Both if together && ids.is_conflict(second) => {
                [self.case_of_cluster(second), is_changed(second)]
            }
            Kind::Both | Kind::Assigned if ids.is_user(second) => {
                [case(ConflictKind::DeviceIsUser, second), None]
            }
            Kind::Both | Kind::Assigned if ids.person(second) != ids.person(first) => {
                [case(ConflictKind::Contradicted, second), is_changed(second)]
            }
            Kind::Both | Kind::Beside | Kind::Assigned => [None, is_changed(second)],
            Kind::Identify if is_simplified && ids.is_user(second) => [
                self.case_of_cluster(first),
                case(ConflictKind::DeviceIsUser, second),
            ],
            Kind::Identify | Kind::Alias | Kind::Merge | Kind::Mapping => {
                [self.case_of_cluster(first), is_changed(second)]
            }
            Kind::OverCap if !together => [case(ConflictKind::OverCap, first), None],
            Kind::NonUuid if !together => [case(ConflictKind::NonUuid, second), None],
            Kind::AliasUsed if !together => [case(ConflictKind::RefusedAlias, second), None],
            Kind::OverCap | Kind::NonUuid | Kind::AliasUsed => [None; 2],
            Kind::Same => [case(ConflictKind::Loop, first), None],
            Kind::Clash if is_simplified && ids.is_user(first) => {
                [case(ConflictKind::DeviceIsUser, first), None]
            }
            Kind::Clash => [None; 2],
            Kind::Profile => [case(ConflictKind::Profile, first), None],
            Kind::Changed => [case(ConflictKind::Changed, first), None],
        }
    }

    /// The case of a later line that names the device or the alias of this line again, for another ID. This
    /// line gave it to the ID that has it, so it is evidence too.
    fn case_of_other_side(evidence: &Evidence) -> Option<Case> {
        let kind = match evidence.kind {
            Kind::Both | Kind::Identify => ConflictKind::Contradicted,
            Kind::Alias => ConflictKind::RefusedAlias,
            _ => return None,
        };
        let id = evidence.second;
        Some(Case { kind, id })
    }

    /// The events of the IDs of a case.
    fn events(&self, case: Case) -> u64 {
        let events = |number| u64::from(self.ids.row(number).events);
        match case.kind.is_about_a_cluster() {
            true => self.ids.ring(case.id).map(events).sum(),
            false => events(case.id),
        }
    }

    fn conflict(&self, case: Case, found: Found, find: &Find<'_>) -> Conflict {
        let text = |number| self.ids.id(number).text().into_owned();
        let mut ids: Vec<Number> = match case.kind.is_about_a_cluster() {
            true => self.ids.ring(case.id).collect(),
            false => {
                let named = |evidence: &Evidence| [evidence.first, evidence.second];
                let ids = found.evidence.iter().flat_map(named);
                std::iter::once(case.id).chain(ids).collect()
            }
        };
        ids.sort_unstable();
        ids.dedup();
        let all_ids = ids.len();
        ids.truncate(Conflict::IDS_MAX);
        let chosen = match case.kind {
            ConflictKind::TwoUsers => self.chosen(case.id),
            ConflictKind::Contradicted | ConflictKind::Changed | ConflictKind::Profile => {
                Some(self.ids.row(case.id).person).filter(|&person| person != NONE)
            }
            _ => None,
        };
        let evidence = found.evidence.into_iter();
        Conflict {
            kind: case.kind,
            ids: ids.into_iter().map(text).collect(),
            all_ids,
            chosen: chosen.map(text),
            rule: case.kind.rule(),
            evidence: evidence.map(|it| self.evidence_line(it, find)).collect(),
            events: self.events(case),
            what_would_settle_it: case.kind.what_would_settle_it(),
        }
    }

    fn evidence_line(&self, evidence: Evidence, find: &Find<'_>) -> ConflictEvidence {
        let text = |number| self.ids.id(number).text().into_owned();
        let is_earlier = evidence.place.file == EARLIER;
        let (file, line) = match is_earlier {
            true => ("the earlier migration".to_owned(), None),
            false => match find(evidence.place) {
                Some((file, line)) => (file, Some(line)),
                None => (String::new(), None),
            },
        };
        ConflictEvidence {
            file,
            line,
            insert_id: Some(evidence.insert_id).filter(|id| !id.is_empty()),
            event: Some(evidence.event).filter(|name| !name.is_empty()),
            rank: evidence.kind.rank(),
            ids: [text(evidence.first), text(evidence.second)],
        }
    }
}
