//! The state of an engine, and what claims do to it.

use std::borrow::Cow;

use foldhash::{HashSet, HashSetExt};
use idmerge_core::{Claim, EngineError, Rejection};
use idmerge_engines::{Engine, Outcomes, Settings};

use crate::claims::Claims;

/// An engine, and the identity events that it has weighed.
pub struct State {
    /// The engine that weighs.
    pub engine: Engine,
    /// Their duplicates are not weighed (AR-2).
    weighed: HashSet<u128>,
}

/// A claim that a guardrail turned down.
pub struct Rejected {
    /// The number of the claim in its batch.
    pub claim: usize,
    /// The code of the rejection.
    pub code: Cow<'static, str>,
    /// What it means for this claim.
    pub description: String,
}

/// How many claims are given to the engine at once.
const CHUNK_CLAIMS: usize = 1024;

impl State {
    /// The state in which nothing was weighed.
    pub fn new(settings: &Settings) -> Self {
        Self::of(settings.engine())
    }

    /// A state with the IDs of an engine.
    pub fn of(engine: Engine) -> Self {
        Self {
            engine,
            weighed: HashSet::new(),
        }
    }

    /// Weighs the claims of a batch, and returns those that were rejected.
    ///
    /// # Errors
    ///
    /// The engine has no room for more IDs.
    pub fn fold(
        &mut self,
        claims: &Claims,
        outcomes: &mut Outcomes,
    ) -> Result<Vec<Rejected>, EngineError> {
        let mut rejected = Vec::new();
        let mut chunk: Vec<Claim<'_>> = Vec::with_capacity(CHUNK_CLAIMS);
        let mut numbers = Vec::with_capacity(CHUNK_CLAIMS);
        for claim in 0..claims.len() {
            let fingerprint = claims.fingerprints[claim];
            let is_first = fingerprint.is_none_or(|fingerprint| self.weighed.insert(fingerprint));
            if is_first && let Some(weighed) = claims.get(claim) {
                chunk.push(weighed);
                numbers.push(claim);
            }
            if chunk.len() == CHUNK_CLAIMS || claim + 1 == claims.len() {
                let mut weighed = numbers.drain(..);
                self.engine.apply_batch(&chunk, &mut |outcome| {
                    let rejection = outcomes.count(&outcome);
                    let claim = weighed.next().unwrap_or_default();
                    rejected.extend(rejection.map(|rejection| Rejected::of(claim, &rejection)));
                })?;
                drop(weighed);
                chunk.clear();
            }
        }
        Ok(rejected)
    }

    /// Weighs one claim of a batch.
    ///
    /// # Errors
    ///
    /// The engine has no room for more IDs.
    pub(crate) fn fold_one(
        &mut self,
        claims: &Claims,
        claim: usize,
        outcomes: &mut Outcomes,
    ) -> Result<Option<Rejected>, EngineError> {
        let fingerprint = claims.fingerprints[claim];
        let is_first = fingerprint.is_none_or(|fingerprint| self.weighed.insert(fingerprint));
        let Some(weighed) = claims.get(claim).filter(|_| is_first) else {
            return Ok(None);
        };
        let rejection = outcomes.count(&self.engine.apply(weighed)?);
        Ok(rejection.map(|rejection| Rejected::of(claim, &rejection)))
    }
}

impl Rejected {
    /// The claim of this number was rejected.
    pub fn of(claim: usize, rejection: &Rejection<'_>) -> Self {
        Self {
            claim,
            code: rejection.code().into(),
            description: rejection.to_string(),
        }
    }
}
