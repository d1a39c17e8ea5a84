//! Why two IDs are one user, or are two.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use idmerge_core::{DistinctId, DistinctIdBuf, IdentityResolver, Resolve, RuleBook};

use crate::error::StoreError;
use crate::history::History;
use crate::history::log_entry::LogEntry;
use crate::log::component::Connection;
use crate::log::entry::{What, own};
use crate::log::index::Index;
use crate::state::overlay::members;

/// Why two IDs are one user, or are two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// One user: the shortest chain of accepted claims from the first ID to the second. The chain is
    /// empty for an ID and itself.
    Joined(Vec<LogEntry>),
    /// One user since a snapshot was loaded into the store. Its claims are not in this
    /// log.
    JoinedElsewhere,
    /// Two users. These claims would have joined them and were rejected. If there are none, no claim ever
    /// connected the two, not even through other users.
    Apart(Vec<LogEntry>),
    /// Two users. No single claim would have joined them, but these together, through other users. They were
    /// rejected; it is a shortest chain from the first user to the second.
    ApartThroughOthers(Vec<LogEntry>),
}

/// An entry as it counts now, and the IDs of its claim.
type Claimed = (LogEntry, [DistinctIdBuf; 2]);

impl Explanation {
    /// Whether the IDs are one user.
    pub fn is_one_user(&self) -> bool {
        matches!(self, Self::Joined(_) | Self::JoinedElsewhere)
    }

    /// The kind of the explanation, as the command line and Python name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Joined(_) => "joined",
            Self::JoinedElsewhere => "joined by a state that came from elsewhere",
            Self::Apart(_) | Self::ApartThroughOthers(_) => "apart",
        }
    }

    /// What the [`claims`](Self::claims) are.
    pub fn why(&self) -> &'static str {
        match self {
            Self::Joined(claims) if claims.is_empty() => "this is one ID",
            Self::Joined(_) => "these claims joined them",
            Self::JoinedElsewhere => "the claims that joined them are not in this log",
            Self::Apart(claims) if claims.is_empty() => "no claim ever connected them",
            Self::Apart(_) => "each of these claims would have joined them, and was rejected",
            Self::ApartThroughOthers(_) => {
                "these claims together would have joined them, through other people, and were rejected"
            }
        }
    }

    /// The claims that explain it.
    pub fn claims(&self) -> &[LogEntry] {
        match self {
            Self::Joined(claims) | Self::Apart(claims) | Self::ApartThroughOthers(claims) => claims,
            Self::JoinedElsewhere => &[],
        }
    }
}

impl<R: IdentityResolver> History<R> {
    /// Explains why two IDs are one user or are two. Each claim has the answer that counts now, which
    /// differs from the answer in the log if an earlier entry was withdrawn. `engine` must have the
    /// state of this history.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn explain(
        &self,
        engine: &dyn Resolve,
        first: DistinctId<'_>,
        second: DistinctId<'_>,
    ) -> Result<Explanation, StoreError> {
        let answers = Answers::new(self, [first, second])?;
        if engine.resolve(first) != engine.resolve(second) {
            let rejected = rejected_between(&answers, engine, first, second)?;
            if !rejected.is_empty() {
                return Ok(Explanation::Apart(rejected));
            }
            return match rejected_through_others(&answers, engine, first, second)? {
                Some(chain) => Ok(Explanation::ApartThroughOthers(chain)),
                None => Ok(Explanation::Apart(Vec::new())),
            };
        }
        let [from, to] = [first, second].map(|id| own(id, engine.rule_book()).to_buf());
        let chain = shortest_chain(from, &to, |ids| {
            let mut accepted = answers.naming(ids.iter().map(DistinctIdBuf::as_id))?;
            accepted.retain(|(entry, _)| entry.is_accepted());
            Ok(accepted)
        })?;
        Ok(chain.map_or(Explanation::JoinedElsewhere, Explanation::Joined))
    }
}

/// The fewest claims that lead from one ID to another, in the order of the way. `claims_of` gives the claims that
/// name one of some IDs. `None` if no claims lead there.
fn shortest_chain(
    from: DistinctIdBuf,
    to: &DistinctIdBuf,
    mut claims_of: impl FnMut(&HashSet<DistinctIdBuf>) -> Result<Vec<Claimed>, StoreError>,
) -> Result<Option<Vec<LogEntry>>, StoreError> {
    // Breadth first: the IDs one claim away, then two, and so on.
    let mut came_by: HashMap<DistinctIdBuf, Option<(DistinctIdBuf, LogEntry)>> =
        HashMap::from([(from.clone(), None)]);
    let mut new = HashSet::from([from]);
    while !came_by.contains_key(to) {
        if new.is_empty() {
            return Ok(None);
        }
        let mut reached = HashSet::new();
        for (entry, [a, b]) in claims_of(&new)? {
            for (known, other) in [(&a, &b), (&b, &a)] {
                if new.contains(known) && !came_by.contains_key(other) {
                    came_by.insert(other.clone(), Some((known.clone(), entry.clone())));
                    reached.insert(other.clone());
                }
            }
        }
        new = reached;
    }
    let mut chain = Vec::new();
    let mut at = to;
    while let Some(Some((before, entry))) = came_by.get(at) {
        chain.push(entry.clone());
        at = before;
    }
    chain.reverse();
    Ok(Some(chain))
}

/// The claims between two users that were rejected.
fn rejected_between<R: IdentityResolver>(
    answers: &Answers<'_, R>,
    engine: &dyn Resolve,
    first: DistinctId<'_>,
    second: DistinctId<'_>,
) -> Result<Vec<LogEntry>, StoreError> {
    let sides = [first, second].map(|id| members(engine.cluster(id), own(id, engine.rule_book())));
    // A claim between the two names an ID of each, so looking up the smaller side is enough.
    let fewer = sides.iter().min_by_key(|side| side.len());
    let named = answers.naming(fewer.into_iter().flatten().copied())?;
    let sides = [engine.resolve(first), engine.resolve(second)];
    let is_between = |ids: &[DistinctIdBuf; 2]| {
        let between = ids.each_ref().map(|id| engine.resolve(id.as_id()));
        between == sides || between == [sides[1], sides[0]]
    };
    let rejected = named
        .into_iter()
        .filter(|(entry, ids)| entry.is_rejected() && is_between(ids));
    Ok(rejected.map(|(entry, _)| entry).collect())
}

/// The fewest claims that were rejected, and that would join two users through others. `None` if no such claims
/// connect the two.
fn rejected_through_others<R: IdentityResolver>(
    answers: &Answers<'_, R>,
    engine: &dyn Resolve,
    first: DistinctId<'_>,
    second: DistinctId<'_>,
) -> Result<Option<Vec<LogEntry>>, StoreError> {
    let user = |id: DistinctId<'_>| engine.resolve(own(id, engine.rule_book())).to_buf();
    shortest_chain(user(first), &user(second), |users| {
        let ids = users.iter().map(DistinctIdBuf::as_id);
        let ids = ids.flat_map(|id| members(engine.cluster(id), id));
        let mut rejected = answers.naming(ids)?;
        rejected.retain(|(entry, _)| entry.is_rejected());
        for (_, ids) in &mut rejected {
            *ids = ids.each_ref().map(|id| user(id.as_id()));
        }
        Ok(rejected)
    })
}

/// Finds claims of the log, with the answers that count now.
struct Answers<'h, R> {
    history: &'h History<R>,
    index: Index<'h>,
    rule_book: RuleBook,
    withdrawn: HashSet<u64>,
    /// The claims that are connected with the IDs in question, applied again. Empty if nothing was
    /// ever withdrawn: then the answers in the log count.
    applied_again: BTreeMap<u64, LogEntry>,
}

impl<'h, R: IdentityResolver> Answers<'h, R> {
    fn new(history: &'h History<R>, ids: [DistinctId<'_>; 2]) -> Result<Self, StoreError> {
        let index = Index::new(history.log())?;
        let withdrawn = index.withdrawn()?;
        let mut engine = (history.fresh)();
        let rule_book = engine.rule_book();
        let mut applied_again = BTreeMap::new();
        if !index.retractions()?.is_empty() {
            let component =
                index.component(ids.iter().map(DistinctId::id), Connection::Attempted)?;
            history.log().each_of(&component, &mut |entry| {
                if let What::Claim { claim, .. } = entry.what
                    && !withdrawn.contains(&entry.sequence)
                {
                    let mut shown = LogEntry::from(entry);
                    shown.answered_now(engine.apply(claim)?, rule_book);
                    applied_again.insert(entry.sequence, shown);
                }
                Ok(())
            })?;
        }
        Ok(Self {
            history,
            index,
            rule_book,
            withdrawn,
            applied_again,
        })
    }

    /// The claims that name one of these IDs, in order.
    fn naming<'i>(
        &self,
        ids: impl Iterator<Item = DistinctId<'i>>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let entries: BTreeSet<u64> = self.index.entries(ids.map(|id| id.id()))?;
        let mut claims = Vec::new();
        self.history.log().each_of(&entries, &mut |entry| {
            if let What::Claim { claim, outcome } = entry.what {
                let logged = || {
                    let mut shown = LogEntry::from(entry);
                    shown.answered_now(outcome, self.rule_book);
                    shown.withdrawn = self.withdrawn.contains(&entry.sequence);
                    shown
                };
                let again = self.applied_again.get(&entry.sequence).cloned();
                claims.push((
                    again.unwrap_or_else(logged),
                    claim.ids().map(DistinctIdBuf::from),
                ));
            }
            Ok(())
        })?;
        Ok(claims)
    }
}
