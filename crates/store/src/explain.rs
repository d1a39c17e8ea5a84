//! Why two ids are one user, or are not.

use std::collections::{HashMap, VecDeque};

use idmerge_core::{DistinctId, IdentityResolver, Outcome};

use crate::entry::What;
use crate::error::StoreError;
use crate::history::History;
use crate::owned::{distinct_ids, members};

/// Why two ids are one user, or are not. Entries are named by their numbers;
/// [`History::entries`] has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// The shortest chain of accepted claims from the first id to the second. Empty for an id and
    /// itself.
    Joined(Vec<u64>),
    /// They are one user since the state was replaced by one from elsewhere, whose claims are not
    /// in this log.
    JoinedElsewhere,
    /// They are two users, and these claims would have joined them and were rejected, each for
    /// the reason in its outcome.
    Apart(Vec<u64>),
}

impl History {
    /// Why two ids are one user, or are not. The engine has the state of this history. Reads the
    /// whole log.
    ///
    /// # Errors
    ///
    /// Where the log cannot be read.
    pub fn explain(
        &self,
        engine: &dyn IdentityResolver,
        first: DistinctId<'_>,
        second: DistinctId<'_>,
    ) -> Result<Explanation, StoreError> {
        if engine.resolve(first) != engine.resolve(second) {
            return self.rejected_between(engine, first, second);
        }
        if first == second {
            return Ok(Explanation::Joined(Vec::new()));
        }
        let members = members(engine.cluster(first), first);
        let numbers: HashMap<_, _> = members.iter().zip(0..).map(|(&id, n)| (id, n)).collect();
        let (Some(&from), Some(&to)) = (
            numbers.get(&own(engine, first)),
            numbers.get(&own(engine, second)),
        ) else {
            return Ok(Explanation::JoinedElsewhere);
        };
        // Of each member, whom it was joined with and by which entry.
        let mut joined: Vec<Vec<(usize, u64)>> = vec![Vec::new(); members.len()];
        self.entries(1, &mut |entry| {
            if let What::Claim { claim, outcome } = entry.what
                && matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged)
                && let Some([a, b]) = distinct_ids(claim)
                && let (Some(&a), Some(&b)) = (numbers.get(&a), numbers.get(&b))
            {
                joined[a].push((b, entry.sequence));
                joined[b].push((a, entry.sequence));
            }
            Ok(true)
        })?;
        Ok(shortest(&joined, from, to))
    }

    /// The entries with claims that name a member of an id's cluster, in order: its story. The
    /// engine has the state of this history. Reads the whole log.
    ///
    /// # Errors
    ///
    /// Where the log cannot be read.
    pub fn story(
        &self,
        engine: &dyn IdentityResolver,
        id: DistinctId<'_>,
    ) -> Result<Vec<u64>, StoreError> {
        let canonical = engine.resolve(id);
        let mut story = Vec::new();
        self.entries(1, &mut |entry| {
            if let What::Claim { claim, outcome } = entry.what
                && outcome != Outcome::Ignored
                && let Some(ids) = distinct_ids(claim)
                && ids.iter().any(|&id| engine.resolve(id) == canonical)
            {
                story.push(entry.sequence);
            }
            Ok(true)
        })?;
        Ok(story)
    }

    fn rejected_between(
        &self,
        engine: &dyn IdentityResolver,
        first: DistinctId<'_>,
        second: DistinctId<'_>,
    ) -> Result<Explanation, StoreError> {
        let sides = [engine.resolve(first), engine.resolve(second)];
        let mut rejected = Vec::new();
        self.entries(1, &mut |entry| {
            if let What::Claim { claim, outcome } = entry.what
                && matches!(outcome, Outcome::Rejected(_))
                && let Some([a, b]) = distinct_ids(claim)
            {
                let between = [engine.resolve(a), engine.resolve(b)];
                if between == sides || between == [sides[1], sides[0]] {
                    rejected.push(entry.sequence);
                }
            }
            Ok(true)
        })?;
        Ok(Explanation::Apart(rejected))
    }
}

/// The id as its cluster lists it: in Original the mark is no part of it (rule O-1).
fn own<'a>(engine: &dyn IdentityResolver, id: DistinctId<'a>) -> DistinctId<'a> {
    match engine.rule_book() {
        idmerge_core::RuleBook::Simplified => id,
        idmerge_core::RuleBook::Original => DistinctId::plain(id.id()),
    }
}

/// Looks at all that are one claim away, then two, and so on.
fn shortest(joined: &[Vec<(usize, u64)>], from: usize, to: usize) -> Explanation {
    let mut came_by: Vec<Option<(usize, u64)>> = vec![None; joined.len()];
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        if at == to {
            let mut chain = Vec::new();
            let mut at = to;
            while at != from
                && let Some((before, sequence)) = came_by[at]
            {
                chain.push(sequence);
                at = before;
            }
            chain.reverse();
            return Explanation::Joined(chain);
        }
        for &(other, sequence) in &joined[at] {
            if other != from && came_by[other].is_none() {
                came_by[other] = Some((at, sequence));
                next.push_back(other);
            }
        }
    }
    Explanation::JoinedElsewhere
}
