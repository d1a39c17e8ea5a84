//! The trait that every engine implements, and what its methods answer with.

use std::error::Error;
use std::{fmt, io};

use thiserror::Error;

use crate::{Claim, DistinctId, Event, IdProperty, InvalidEvent, Outcome, Reading, SnapshotError};

/// Which rules an engine goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum RuleBook {
    /// Simplified ID Merge: rules S-0 to S-10.
    Simplified,
    /// Original ID Merge: rules O-1 to O-18.
    Original,
}

impl RuleBook {
    /// Both rule books.
    pub const ALL: [Self; 2] = [Self::Simplified, Self::Original];

    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simplified => "simplified",
            Self::Original => "original",
        }
    }
}

impl fmt::Display for RuleBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An identity cluster: the distinct_ids that are known to be one user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Cluster<'a> {
    /// The member that the user's events are counted under.
    #[cfg_attr(feature = "serde", serde(borrow))]
    pub canonical: DistinctId<'a>,
    /// All members, in the order of rule S-10 or O-17.
    pub members: Vec<DistinctId<'a>>,
}

/// An engine below which something broke. The rules themselves never fail.
///
/// What to do: stop applying claims. The state is as it was before the claim.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine holds as many ids as it can number. Start another engine for the rest, or
    /// shard by connected parts (law 9).
    #[error("the engine holds {ids} IDs and can number no more")]
    Full {
        /// How many ids it holds.
        ids: u64,
    },
    /// What the engine keeps its state in has failed.
    #[error("the store below the engine failed")]
    Store(#[source] Box<dyn Error + Send + Sync>),
}

/// Decides which distinct_ids belong to one user.
///
/// An engine is a fold over claims in arrival order: [`read`](Self::read) makes a claim of an
/// event, [`apply`](Self::apply) weighs it, [`resolve`](Self::resolve) asks whose an id is now.
///
/// # Contract
///
/// What every implementation owes its callers, whatever its rules; the numbers are those of the
/// rule book, `docs/rules.md`, section 7.
///
/// 1. **Replay.** The state depends on the claims and their order, on nothing else: no clock, no
///    randomness, no thread, no address of a pointer. Two engines with the same settings that
///    were given the same claims write equal snapshots.
/// 2. **Idempotence.** A claim applied again at once changes nothing, and is rejected only if it
///    was rejected the first time.
/// 3. **Monotone.** Two ids that resolve to one id do so for ever.
/// 4. **Canonical is a member.** `resolve(resolve(x)) == resolve(x)`, and it is in `cluster(x)`
///    where there is one.
/// 5. **Rejected leaves no trace.** A claim that is answered with `Rejected`, `Ignored` or an
///    error leaves the state as it was, to the byte of a snapshot.
/// 6. **Reading is pure.** `read` depends on the event and the settings, never on the state.
/// 7. **A batch is one by one.** `apply_batch` and `resolve_batch` answer, and leave behind, what
///    `apply` and `resolve` would, called for each in turn.
///
/// Resolving allocates nothing and blocks nobody: callers resolve from many threads while nobody
/// applies. Applying a claim that changes nothing should allocate nothing either.
///
/// The crate `idmerge-conformance` checks all of this, and each rule book's own rules.
///
/// # Implementing it
///
/// Choose the [`RuleBook`] whose rules the engine keeps; the suite then knows what to expect.
/// Implement every method but the two for batches, which are there for engines that can be faster
/// than one by one. The trait is object safe:
///
/// ```
/// fn takes_any_engine(_: &mut dyn idmerge_core::IdentityResolver) {}
/// ```
///
/// Conveniences for callers are in [`IdentityResolverExt`], which every engine has of itself.
pub trait IdentityResolver: fmt::Debug + Send + Sync {
    /// The rules that the engine goes by.
    fn rule_book(&self) -> RuleBook;

    /// Whose an event is under these rules, and what it claims. Reads no state.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] where a property that the rule reads holds no valid id, or where an id that
    /// the rule needs is missing (rule ID-7).
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent>;

    /// Weighs one claim, in arrival order. The outcome may borrow from the claim and from the
    /// engine, so look at it before the next call.
    ///
    /// # Errors
    ///
    /// [`EngineError`] for an accident below the engine; never for what a claim says.
    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError>;

    /// Weighs claims in arrival order. `outcome` gets what [`apply`](Self::apply) would answer, once
    /// a claim and in their order.
    ///
    /// ```
    /// # fn example(engine: &mut dyn idmerge_core::IdentityResolver, claims: &[idmerge_core::Claim<'_>])
    /// # -> Result<(), idmerge_core::EngineError> {
    /// use idmerge_core::{IdentityResolver, Outcome};
    ///
    /// let mut merges = 0;
    /// engine.apply_batch(claims, &mut |outcome| {
    ///     merges += u32::from(outcome == Outcome::Merged);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply). The claims whose outcomes came before are applied, the one that
    /// failed and those after it are not.
    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        for &claim in claims {
            outcome(self.apply(claim)?);
        }
        Ok(())
    }

    /// The canonical distinct_id of an id, now. An id that nothing is known of is its own.
    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a>;

    /// Replaces each id by its canonical distinct_id, now.
    ///
    /// ```
    /// # fn example(engine: &dyn idmerge_core::IdentityResolver) {
    /// use idmerge_core::{DistinctId, Id, IdentityResolver};
    ///
    /// let devices = ["D1", "D2", "D3"].map(|text| DistinctId::device(Id::new(text).unwrap()));
    /// let mut canonical = devices;
    /// engine.resolve_batch(&mut canonical);
    /// assert_eq!(canonical, devices.map(|id| engine.resolve(id)));
    /// # }
    /// ```
    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        for id in ids {
            *id = self.resolve(*id);
        }
    }

    /// The cluster that an id is in, or `None` where it is in none.
    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>>;

    /// All clusters. Simplified: in the order in which the users got their first device.
    /// Original: by oldest member.
    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_>;

    /// Writes the state as bytes: self-delimiting, versioned, checksummed, and canonical, so that
    /// equal states give equal bytes. The settings are not part of it.
    ///
    /// # Errors
    ///
    /// Whatever the sink fails with.
    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()>;

    /// Replaces the state with that of a snapshot of the same rule book. Reads no byte past the
    /// snapshot's end. The bytes may come from anywhere: wrong ones give an error, not a panic,
    /// and take memory in proportion to what was read.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong; the state is then as it was before.
    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError>;
}

/// An event that could not be applied.
#[derive(Debug, Error)]
pub enum ApplyEventError {
    /// The event is bad input. Hand it back to whoever sent it, and go on with the next.
    #[error(transparent)]
    InvalidEvent(#[from] InvalidEvent),
    /// The engine failed. Stop.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What every engine can do besides. Never implement it yourself.
pub trait IdentityResolverExt: IdentityResolver {
    /// Reads an event and applies its claim, if it makes one.
    ///
    /// ```
    /// # fn example(engine: &mut dyn idmerge_core::IdentityResolver) {
    /// use idmerge_core::{ApplyEventError, Event, IdentityResolverExt, Outcome};
    ///
    /// let event = Event { user_id: "U1".into(), device_id: "D1".into(), ..Event::named("Log In") };
    /// match engine.apply_event(&event) {
    ///     Ok((reading, Some(Outcome::Merged))) => println!("{reading:?} joined two ids"),
    ///     Ok((reading, _)) => println!("{:?}", reading.distinct_id),
    ///     Err(ApplyEventError::InvalidEvent(refused)) => println!("bad event: {refused}"),
    ///     Err(error) => println!("stop: {error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`read`](IdentityResolver::read) and of [`apply`](IdentityResolver::apply).
    fn apply_event<'a, 'e: 'a>(
        &'a mut self,
        event: &Event<'e>,
    ) -> Result<(Reading<'e>, Option<Outcome<'a>>), ApplyEventError> {
        let reading = self.read(event)?;
        let outcome = match reading.claim {
            Some(claim) => Some(self.apply(claim)?),
            None => None,
        };
        Ok((reading, outcome))
    }

    /// Reads a distinct_id as a person or another system writes it, by the engine's rules: the
    /// own distinct_id of an event that carries nothing else.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] where the text is no id; empty text is no id either.
    fn read_id<'e>(&self, text: &'e str) -> Result<DistinctId<'e>, InvalidEvent> {
        let event = Event {
            distinct_id: text.into(),
            ..Event::default()
        };
        self.read(&event)?.distinct_id.ok_or_else(|| {
            InvalidEvent::new(IdProperty::DistinctId, crate::InvalidEventReason::Empty)
        })
    }

    /// Whether two distinct_ids are known to be one user.
    fn same_user(&self, a: DistinctId<'_>, b: DistinctId<'_>) -> bool {
        self.resolve(a) == self.resolve(b)
    }
}

impl<R: IdentityResolver + ?Sized> IdentityResolverExt for R {}

/// An engine chosen at run time, or lent, is an engine.
macro_rules! forward {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods, reason = "a method not forwarded is a method lost")]
        impl<R: IdentityResolver + ?Sized> IdentityResolver for $pointer {
            fn rule_book(&self) -> RuleBook {
                (**self).rule_book()
            }
            fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
                (**self).read(event)
            }
            fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
                (**self).apply(claim)
            }
            fn apply_batch(
                &mut self,
                claims: &[Claim<'_>],
                outcome: &mut dyn FnMut(Outcome<'_>),
            ) -> Result<(), EngineError> {
                (**self).apply_batch(claims, outcome)
            }
            fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
                (**self).resolve(id)
            }
            fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
                (**self).resolve_batch(ids);
            }
            fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
                (**self).cluster(id)
            }
            fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
                (**self).clusters()
            }
            fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
                (**self).write_snapshot(sink)
            }
            fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
                (**self).read_snapshot(source)
            }
        }
    )*};
}

forward!(Box<R>, &mut R);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_book_is_shown_by_its_name() {
        let shown = RuleBook::ALL.map(|rule_book| format!("{rule_book:>11}"));
        assert_eq!(shown, [" simplified", "   original"]);
    }
}
