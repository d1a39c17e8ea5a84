//! [`ClaimBatch`]: claims of the log that are applied together.

use idmerge_core::{Claim, ClaimKind, Id, IdForm, IdentityResolver, Outcome, UuidText};

use crate::error::StoreError;
use crate::log::Log;
use crate::log::codec::outcome_code;
use crate::log::entry::What;
use crate::state::seen_claims::SeenClaims;

/// How many claims are applied together. More would leave the cache of a core before they are applied.
const CLAIMS_MAX: usize = 1_024;

/// And how many bytes of their IDs.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Claims that follow each other in the log. An engine takes half as long for each of many as for one alone.
#[derive(Debug, Default)]
pub(crate) struct ClaimBatch {
    claims: Vec<KeptClaim>,
    /// The texts of the IDs that are no UUIDs.
    texts: String,
}

/// Small, because the thread that has made it and the one that applies it may have caches of their own.
#[derive(Debug)]
struct KeptClaim {
    sequence: u64,
    ids: [KeptId; 2],
    kind: ClaimKind,
    /// The code of the answer in the log.
    answer: Option<u8>,
}

#[derive(Debug)]
enum KeptId {
    Uuid(UuidText),
    /// Where a text starts, and how long it is.
    Text(u32, u32),
}

impl ClaimBatch {
    /// Adds the claim of an entry.
    pub(crate) fn add(&mut self, sequence: u64, claim: Claim<'_>, outcome: Outcome<'_>) {
        let ids = claim.ids().map(|id| match id.id().form() {
            IdForm::Uuid(uuid) => KeptId::Uuid(uuid),
            IdForm::Text(text) => {
                let start = self.texts.len();
                self.texts.push_str(text);
                KeptId::Text(small(start), small(text.len()))
            }
        });
        self.claims.push(KeptClaim {
            sequence,
            ids,
            kind: claim.kind(),
            answer: outcome_code(outcome),
        });
    }

    /// Whether it is to be applied before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.claims.len() >= CLAIMS_MAX || self.texts.len() >= TEXT_BYTES_MAX
    }

    /// Applies the claims, and empties the batch. The claims of `seen_claims`, if there are some, then have them too.
    ///
    /// # Errors
    ///
    /// [`StoreError::Diverged`] for the first claim with another answer than in the log, if
    /// `is_answered_as_logged`.
    pub(crate) fn apply(
        &mut self,
        engine: &mut impl IdentityResolver,
        is_answered_as_logged: bool,
        mut seen_claims: Option<&mut SeenClaims>,
        log: Log<'_>,
    ) -> Result<(), StoreError> {
        let claims: Vec<_> = (self.claims.iter())
            .map(|kept| kept.claim(&self.texts))
            .collect::<Option<_>>()
            .ok_or(StoreError::UnknownClaim)?;
        let mut entries = self.claims.iter().zip(&claims);
        let mut diverged = None;
        engine.apply_batch(&claims, &mut |now| {
            let Some((kept, &claim)) = entries.next() else {
                return;
            };
            let sequence = kept.sequence;
            if is_answered_as_logged && diverged.is_none() && outcome_code(now) != kept.answer {
                diverged = Some((sequence, format!("{now:?}")));
            }
            if let Some(seen_claims) = seen_claims.as_deref_mut() {
                seen_claims.is_news(claim, now, sequence);
            }
        })?;
        if let Some((sequence, now)) = diverged {
            let logged = log.entry(sequence, |entry| match entry.what {
                What::Claim { outcome, .. } => format!("{outcome:?}"),
                _ => String::new(),
            })?;
            return Err(StoreError::Diverged {
                sequence,
                logged,
                now,
            });
        }
        self.claims.clear();
        self.texts.clear();
        Ok(())
    }
}

/// A place in the texts of a batch, which are not that long.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl KeptClaim {
    fn claim<'t>(&self, texts: &'t str) -> Option<Claim<'t>> {
        let [first, second] = self.ids.each_ref().map(|id| match id {
            KeptId::Uuid(uuid) => Some(Id::from(*uuid)),
            KeptId::Text(start, bytes) => {
                let start = *start as usize;
                Id::new(texts.get(start..start + *bytes as usize)?).ok()
            }
        });
        Some(Claim::new(self.kind, [first?, second?]))
    }
}
