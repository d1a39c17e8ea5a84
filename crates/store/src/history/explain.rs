//! Why two ids are one user, or are not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use idmerge_core::{DistinctId, IdentityResolver, Outcome, RuleBook};

use crate::error::StoreError;
use crate::history::History;
use crate::log::entry::What;
use crate::log::index::Index;
use crate::state::owned::{OwnedId, distinct_ids, members};
use crate::state::verdict;

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
    /// They are two users, and these claims would have joined them and were rejected.
    Apart(Vec<Step>),
}

/// An entry as it counts now, which may be otherwise than when it came: what it depended on may
/// have been withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The number of the entry.
    pub sequence: u64,
    /// What the engine answers: `merged`, `already merged`, or the code of a rejection.
    pub answer: &'static str,
    /// What a rejection says besides, with the ids or numbers that decided; else empty.
    pub description: String,
    /// The rule that turned it down, such as `O-12`; empty where none did.
    pub rule: &'static str,
    /// Whether it was withdrawn. The answer is then that of when it came.
    pub is_withdrawn: bool,
}

impl Step {
    fn of(sequence: u64, outcome: Outcome<'_>, rule_book: RuleBook, is_withdrawn: bool) -> Self {
        let (description, rule) = match outcome {
            Outcome::Rejected(rejection) => (rejection.to_string(), rejection.rule(rule_book)),
            _ => Default::default(),
        };
        Self {
            sequence,
            answer: verdict(outcome).unwrap_or_default(),
            description,
            rule,
            is_withdrawn,
        }
    }

    fn is_accepted(&self) -> bool {
        !self.is_withdrawn && ["merged", "already merged"].contains(&self.answer)
    }

    fn is_rejected(&self) -> bool {
        !self.is_withdrawn && !self.is_accepted()
    }
}

/// An entry, and the ids that its claim is about.
type Claimed = (Step, [OwnedId; 2]);

impl<R: IdentityResolver> History<R> {
    /// Why two ids are one user, or are not. The engine has the state of this history.
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
        let answers = Answers::new(self, [first, second])?;
        if engine.resolve(first) != engine.resolve(second) {
            return rejected_between(&answers, engine, first, second);
        }
        let [from, to] = [first, second].map(|id| OwnedId::new(own(engine, id)));
        // Looks at all that are one claim away, then two, and so on.
        let mut came_by = HashMap::from([(from.clone(), None)]);
        let mut new = vec![from];
        while !came_by.contains_key(&to) {
            if new.is_empty() {
                return Ok(Explanation::JoinedElsewhere);
            }
            let mut reached = Vec::new();
            for (step, ids) in answers.naming(new.iter().map(OwnedId::get))? {
                if !step.is_accepted() {
                    continue;
                }
                let [a, b] = &ids;
                for (known, other) in [(a, b), (b, a)] {
                    if new.contains(known) && !came_by.contains_key(other) {
                        came_by.insert(other.clone(), Some((known.clone(), step.sequence)));
                        reached.push(other.clone());
                    }
                }
            }
            new = reached;
        }
        let mut chain = Vec::new();
        let mut at = &to;
        while let Some(Some((before, sequence))) = came_by.get(at) {
            chain.push(*sequence);
            at = before;
        }
        chain.reverse();
        Ok(Explanation::Joined(chain))
    }

    /// The entries with claims that name a member of an id's cluster, in order: its story. The
    /// engine has the state of this history.
    ///
    /// # Errors
    ///
    /// Where the log cannot be read.
    pub fn story(
        &self,
        engine: &dyn IdentityResolver,
        id: DistinctId<'_>,
    ) -> Result<Vec<Step>, StoreError> {
        let id = own(engine, id);
        let members = members(engine.cluster(id), id);
        let answers = Answers::new(self, [id, id])?;
        let story = answers.naming(members.iter().copied())?.into_iter();
        let named = |ids: &[OwnedId; 2]| ids.iter().any(|id| members.contains(&id.get()));
        Ok(story
            .filter(|(_, ids)| named(ids))
            .map(|(step, _)| step)
            .collect())
    }
}

fn rejected_between<R: IdentityResolver>(
    answers: &Answers<'_, R>,
    engine: &dyn IdentityResolver,
    first: DistinctId<'_>,
    second: DistinctId<'_>,
) -> Result<Explanation, StoreError> {
    let sides = [first, second].map(|id| members(engine.cluster(id), own(engine, id)));
    // Whoever has fewer ids is asked for.
    let fewer = sides.iter().min_by_key(|side| side.len());
    let named = answers.naming(fewer.into_iter().flatten().copied())?;
    let sides = [engine.resolve(first), engine.resolve(second)];
    let is_between = |ids: &[OwnedId; 2]| {
        let between = ids.each_ref().map(|id| engine.resolve(id.get()));
        between == sides || between == [sides[1], sides[0]]
    };
    let rejected = named
        .into_iter()
        .filter(|(step, ids)| step.is_rejected() && is_between(ids));
    Ok(Explanation::Apart(rejected.map(|(step, _)| step).collect()))
}

/// What the claims of the log are answered with now.
struct Answers<'h, R> {
    history: &'h History<R>,
    named: Index<'h>,
    rule_book: RuleBook,
    withdrawn: HashSet<u64>,
    /// Of what hangs together with the ids in question; empty where nothing was ever withdrawn,
    /// since then the log says it.
    weighed_again: BTreeMap<u64, Step>,
}

impl<'h, R: IdentityResolver> Answers<'h, R> {
    fn new(history: &'h History<R>, ids: [DistinctId<'_>; 2]) -> Result<Self, StoreError> {
        let named = Index::new(history.log())?;
        let withdrawn = named.withdrawn()?;
        let mut engine = (history.fresh)();
        let rule_book = engine.rule_book();
        let mut weighed_again = BTreeMap::new();
        if !named.retractions()?.is_empty() {
            let component = named.component(ids.iter().map(DistinctId::id))?;
            history.log().each_of(&component, &mut |entry| {
                if let What::Claim { claim, .. } = entry.what
                    && !withdrawn.contains(&entry.sequence)
                {
                    let outcome = engine.apply(claim)?;
                    let step = Step::of(entry.sequence, outcome, rule_book, false);
                    weighed_again.insert(entry.sequence, step);
                }
                Ok(())
            })?;
        }
        Ok(Self {
            history,
            named,
            rule_book,
            withdrawn,
            weighed_again,
        })
    }

    /// The claims that name one of these ids, in order.
    fn naming<'i>(
        &self,
        ids: impl Iterator<Item = DistinctId<'i>>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let entries: BTreeSet<u64> = self.named.entries(ids.map(|id| id.id()))?;
        let mut claims = Vec::new();
        self.history.log().each_of(&entries, &mut |entry| {
            if let What::Claim { claim, outcome } = entry.what
                && let Some(ids) = distinct_ids(claim)
            {
                let logged = || {
                    let is_withdrawn = self.withdrawn.contains(&entry.sequence);
                    Step::of(entry.sequence, outcome, self.rule_book, is_withdrawn)
                };
                let now = self.weighed_again.get(&entry.sequence).cloned();
                claims.push((now.unwrap_or_else(logged), ids.map(OwnedId::new)));
            }
            Ok(())
        })?;
        Ok(claims)
    }
}

/// The id as its cluster lists it: in Original the mark is no part of it (rule O-1).
fn own<'a>(engine: &dyn IdentityResolver, id: DistinctId<'a>) -> DistinctId<'a> {
    if engine.rule_book().has_device_namespace() {
        id
    } else {
        DistinctId::plain(id.id())
    }
}
