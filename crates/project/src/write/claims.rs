//! Applies the claims of a batch to the engine, and moves the profiles of merged clusters.

use idmerge_core::{Claim, DistinctId, EngineError, Id, Outcome, Resolve, RuleBook};
use idmerge_engines::Engine;
use idmerge_store::redb::ReadTransaction;
use idmerge_store::{Cause, Durable};

use crate::error::ProjectError;
use crate::inner::Inner;
use crate::open::state::State;
use crate::write::batch::ClaimAnswer;
use crate::write::near_cap::NearCap;
use crate::write::prepare::{PreparedBatch, PreparedEvent};
use crate::write::profiles::{Merge, ProfileChanges};
use crate::write::repeated::NewEvent;

/// The outcome of an event's claim.
pub(crate) struct ClaimResult {
    pub(crate) answer: ClaimAnswer,
    /// The code and the description of a rejection.
    pub(crate) rejection: Option<(&'static str, String)>,
    /// In a model that attributes events at their arrival: the ID that the event is attributed to, if that
    /// is another than its own.
    pub(crate) attributed: Option<String>,
}

/// The state that is needed to apply the claims of a batch.
pub(crate) struct Claims<'w> {
    pub(crate) inner: &'w Inner,
    pub(crate) state: &'w State,
    pub(crate) profiles: &'w mut ProfileChanges,
    pub(crate) read: &'w ReadTransaction,
    pub(crate) batch: &'w PreparedBatch,
}

impl Claims<'_> {
    /// Applies the claims of some events of the batch, in their order. There is a result for each
    /// event, also if it makes no claim.
    pub(crate) fn apply(self, events: &[NewEvent<'_>]) -> Result<Vec<ClaimResult>, ProjectError> {
        match self.inner.settings.rule_book() {
            RuleBook::Simplified => self.apply_links(events),
            _ => self.apply_one_by_one(events),
        }
    }

    /// Simplified: applies all claims in one call of the engine. The canonical IDs before and after
    /// a link are known without asking the engine.
    fn apply_links(self, events: &[NewEvent<'_>]) -> Result<Vec<ClaimResult>, ProjectError> {
        let mut results: Vec<_> = events
            .iter()
            .map(|new| ClaimResult::without_claim(new.event))
            .collect();
        let (mut claims, mut causes, mut indexes) = (Vec::new(), Vec::new(), Vec::new());
        for (index, new) in events.iter().enumerate() {
            if let Some(claim) = new.claim(self.batch) {
                claims.push(claim);
                causes.push(cause(self.batch, new.event));
                indexes.push(index);
            }
        }
        if claims.is_empty() {
            return Ok(results);
        }
        let mut merged = Vec::new();
        let mut applied = indexes.iter().zip(&claims);
        let mut outcome = |outcome: Outcome<'_>| {
            if let Some((&index, &claim)) = applied.next() {
                results[index] = ClaimResult::new(outcome);
                if results[index].answer == ClaimAnswer::Merged {
                    merged.push(claim);
                }
            }
        };
        self.state
            .store
            .write(|store| store.apply_batch_caused(&claims, &causes, &mut outcome))?;
        if self.profiles.has_any() {
            for claim in merged {
                let [device, user] = claim.ids().map(|id| id.to_string());
                let merge = Merge {
                    before: [device.clone(), user.clone()],
                    after: user.clone(),
                    named: [device, user],
                };
                let options = &self.inner.options;
                self.profiles
                    .merge(RuleBook::Simplified, &merge, options, self.read)?;
            }
        }
        Ok(results)
    }

    /// Original and Legacy: applies each claim alone, since profiles need the canonical IDs before it, and
    /// in Legacy the events after it depend on it. Claims are rare under these rules.
    fn apply_one_by_one(
        mut self,
        events: &[NewEvent<'_>],
    ) -> Result<Vec<ClaimResult>, ProjectError> {
        let batch = self.batch;
        events
            .iter()
            .map(|new| {
                let result = match new.claim(batch) {
                    None => ClaimResult::without_claim(new.event),
                    Some(claim) => self.apply_one(claim, cause(batch, new.event))?,
                };
                let attributed = self.attributed(new.event);
                Ok(ClaimResult {
                    attributed,
                    ..result
                })
            })
            .collect()
    }

    /// L-3: the root of the event's own ID, if it is another one. The claim of the event itself does not
    /// change it (L-4).
    fn attributed(&self, event: &PreparedEvent) -> Option<String> {
        let own = DistinctId::plain(Id::new(event.facts.own_id.as_deref()?).ok()?);
        let store = self.state.store.read();
        let root = store.resolve(own);
        (root != own).then(|| root.to_string())
    }

    fn apply_one(
        &mut self,
        claim: Claim<'_>,
        cause: Cause<'_>,
    ) -> Result<ClaimResult, ProjectError> {
        let near_cap = &self.state.near_cap;
        let (result, merge) = self
            .state
            .store
            .write(|store| apply_and_compare(store, claim, cause, near_cap))?;
        if let Some(merge) = merge {
            let options = &self.inner.options;
            let rule_book = self.inner.settings.rule_book();
            self.profiles.merge(rule_book, &merge, options, self.read)?;
        }
        Ok(result)
    }
}

/// Applies a claim. There is a [`Merge`] if the two IDs are in one cluster now.
fn apply_and_compare(
    store: &mut Durable<Engine>,
    claim: Claim<'_>,
    cause: Cause<'_>,
    near_cap: &NearCap,
) -> Result<(ClaimResult, Option<Merge>), EngineError> {
    let named = claim.ids();
    let before = named.map(|id| store.resolve(id).to_string());
    let result = ClaimResult::new(store.apply_caused(claim, cause)?);
    if !matches!(
        result.answer,
        ClaimAnswer::Merged | ClaimAnswer::AlreadyMerged
    ) {
        return Ok((result, None));
    }
    let after = store.resolve(named[0]).to_string();
    if result.answer == ClaimAnswer::Merged || before[0] != after {
        near_cap.merged(store, named[0], &before, &after);
    }
    let named = named.map(|id| id.to_string());
    let merge = Merge {
        before,
        after,
        named,
    };
    Ok((result, Some(merge)))
}

impl ClaimResult {
    fn new(outcome: Outcome<'_>) -> Self {
        let (answer, rejection) = match outcome {
            Outcome::Merged => (ClaimAnswer::Merged, None),
            Outcome::AlreadyMerged => (ClaimAnswer::AlreadyMerged, None),
            Outcome::Rejected(rejection) => {
                let code = rejection.code();
                let rejection = Some((code, rejection.to_string()));
                (ClaimAnswer::Rejected(code), rejection)
            }
            _ => (ClaimAnswer::None, None),
        };
        Self {
            answer,
            rejection,
            attributed: None,
        }
    }

    fn without_claim(event: &PreparedEvent) -> Self {
        Self {
            answer: event.facts.unclaimed,
            rejection: None,
            attributed: None,
        }
    }
}

/// The origin of a claim, for the log.
fn cause<'b>(batch: &PreparedBatch, event: &'b PreparedEvent) -> Cause<'b> {
    Cause {
        insert_id: event.insert_id.as_deref(),
        time_ms: Some(event.time_ms),
        source: Some(batch.source),
    }
}
