//! The traits: [`Resolve`], which answers which user an ID belongs to, and [`IdentityResolver`],
//! which every engine implements.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use thiserror::Error;

use crate::{
    Attribution, Claim, ConcurrentReader, DistinctId, Event, ImageSink, ImageSource, InvalidEvent,
    Outcome, Reading, RuleBook, SnapshotError,
};

/// An identity cluster: the distinct_ids that are known to be one user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Cluster<'a> {
    /// The member that the user's events are counted under.
    pub canonical: DistinctId<'a>,
    /// All members, the canonical one included, in the order of rule S-10, O-17 or L-12. A custom model
    /// chooses its own order, which a snapshot must keep.
    pub members: Vec<DistinctId<'a>>,
}

/// The engine failed: it has no number left for another ID, or its storage failed. A claim that
/// breaks a rule never causes this error.
///
/// What to do: stop applying claims. The state is as it was before the claim.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine holds as many IDs as it can number. Start another engine for the rest, or
    /// shard by connected component (law 9).
    #[error("the engine holds {ids} IDs, the most that it can number")]
    Full {
        /// The number of IDs that it holds.
        ids: u64,
    },
    /// The storage that holds the engine's state failed.
    #[error("the engine's storage failed")]
    Store(#[source] Box<dyn Error + Send + Sync>),
}

/// Answers which user an ID belongs to, now.
///
/// Every engine is a `Resolve`. So is anything that holds the state of an engine without taking
/// claims: a reader of a store that another process writes, or a published copy.
///
/// # Contract
///
/// Laws 3 and 4 and the second half of law 7 of the [`IdentityResolver`] contract, for the state
/// that it holds. Resolving allocates nothing and takes no lock that an `apply` can hold.
///
/// The trait is object safe:
///
/// ```
/// fn takes_anything_that_resolves(_: &dyn idmerge_core::Resolve) {}
/// ```
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The rule book of the state.
    fn rule_book(&self) -> RuleBook;

    /// Whether a merge also moves past events. In the models of ID Merge it does, so that is the
    /// default; in Legacy it does not (rule L-3).
    fn attribution(&self) -> Attribution {
        Attribution::Retroactive
    }

    /// The canonical distinct_id of an ID, now. An ID that is in no cluster is its own canonical ID.
    /// An engine is also asked about devices (`$device:X`); a model without devices returns them
    /// unchanged.
    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a>;

    /// Replaces each ID by its canonical distinct_id, now. An engine can answer many IDs faster
    /// than one by one.
    ///
    /// ```
    /// # fn example(engine: &dyn idmerge_core::Resolve) -> Result<(), idmerge_core::InvalidId> {
    /// use idmerge_core::DistinctId;
    ///
    /// let mut ids = [DistinctId::try_from("$device:D1")?, DistinctId::try_from("ben")?];
    /// let canonical = ids.map(|id| engine.resolve(id));
    /// engine.resolve_batch(&mut ids);
    /// assert_eq!(ids, canonical);
    /// # Ok(())
    /// # }
    /// ```
    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        for id in ids {
            *id = self.resolve(*id);
        }
    }

    /// The cluster of an ID, or `None` if the ID is in no cluster.
    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>>;

    /// The number of members of the [cluster](Self::cluster) of an ID, or 0 if the ID is in no cluster.
    /// An engine that limits the members of a cluster knows this number without listing them.
    fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        self.cluster(id).map_or(0, |cluster| cluster.members.len())
    }

    /// Whether an ID is in a cluster. An engine knows this without counting the members.
    fn is_clustered(&self, id: DistinctId<'_>) -> bool {
        self.cluster_len(id) > 0
    }

    /// The IDs that are erased if somebody names this ID (rule E-1): its cluster as it is now, or the ID alone. In
    /// Legacy the ID and every ID that it stands for (rule LE-1).
    fn erased_with<'a>(
        &'a self,
        id: DistinctId<'a>,
    ) -> Box<dyn Iterator<Item = DistinctId<'a>> + 'a> {
        match self.cluster(id) {
            Some(cluster) => Box::new(cluster.members.into_iter()),
            None => Box::new(std::iter::once(id)),
        }
    }

    /// How many members all [clusters](Self::clusters) have together. The memory of a state is in proportion
    /// to it. An engine knows this number without listing them.
    fn clustered_ids(&self) -> usize {
        self.clusters().map(|cluster| cluster.members.len()).sum()
    }

    /// Some members of the cluster of an ID, in the order of [`Cluster::members`]: at most `limit` of
    /// those after the member `after`, or the first ones. `None` if the ID is in no cluster. Nothing
    /// follows an ID that is no member.
    ///
    /// An engine can give a few members of a large cluster faster than all of them.
    ///
    /// ```
    /// # fn example(engine: &dyn idmerge_core::Resolve, id: idmerge_core::DistinctId<'_>) {
    /// let first = engine.members_after(id, None, 2).unwrap_or_default();
    /// let next = engine.members_after(id, first.last().copied(), 2);
    /// # }
    /// ```
    fn members_after<'a>(
        &'a self,
        id: DistinctId<'a>,
        after: Option<DistinctId<'_>>,
        limit: usize,
    ) -> Option<Vec<DistinctId<'a>>> {
        let mut members = self.cluster(id)?.members;
        let from = match after {
            None => 0,
            Some(after) => {
                let place = members.iter().position(|member| *member == after);
                place.map_or(members.len(), |place| place + 1)
            }
        };
        members.drain(..from);
        members.truncate(limit);
        Some(members)
    }

    /// All clusters, each with at least two IDs. Simplified: in the order in which the users got
    /// their first device. Original: by oldest member. Legacy: by oldest alias. A custom model
    /// chooses its own order, which a snapshot must keep.
    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_>;

    /// As [`clusters`](Self::clusters), but a cluster with more than `members_max` members may come in several
    /// parts, one after the other: each has the canonical ID, and the next members in order.
    ///
    /// An engine whose clusters have any number of members lists them so without a list of all members of one. The
    /// default gives whole clusters.
    ///
    /// ```
    /// # fn example(engine: &dyn idmerge_core::Resolve) {
    /// for part in engine.cluster_parts(1_000) {
    ///     for member in part.members {
    ///         println!("{member} is {}", part.canonical);
    ///     }
    /// }
    /// # }
    /// ```
    fn cluster_parts(&self, members_max: usize) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        let _ = members_max;
        self.clusters()
    }

    /// A reader that resolves IDs of this engine while another thread applies claims to it. `None` if the engine has no
    /// reader, or none in its present state. It is the same reader until something other than a claim changes the state.
    ///
    /// Once it was asked for a reader, an engine may keep up to a few percent more memory.
    fn concurrent_reader(&self) -> Option<&Arc<dyn ConcurrentReader>> {
        None
    }
}

/// Decides which distinct_ids belong to one user.
///
/// An engine is a fold over claims in arrival order: [`read`](Self::read) finds the claim of an
/// event, [`apply`](Self::apply) weighs it, [`resolve`](Resolve::resolve) answers which user an
/// ID belongs to now.
///
/// # Contract
///
/// Every implementation must keep these promises, whatever its rules. The numbers are those of
/// `docs/rules.md`, section 7.
///
/// 1. **Replay.** The state depends on the claims and their order, and on nothing else: no clock,
///    no randomness, no thread, no address of a pointer. Two engines that have the same settings
///    and were given the same claims write equal snapshots.
/// 2. **Idempotence.** A claim that is applied twice in a row changes nothing the second time, and
///    is rejected the second time only if it was rejected the first time.
/// 3. **Monotone.** Two IDs that resolve to one ID do so for ever.
/// 4. **Canonical is a member.** `resolve(resolve(x)) == resolve(x)`, and it is in `cluster(x)` if
///    there is one.
/// 5. **Rejected leaves no trace.** A claim that is answered with `Rejected`, `Ignored` or an
///    error leaves the state as it was, to the byte of a snapshot.
/// 6. **Reading is pure.** `read` depends on the event and the settings, never on the state.
/// 7. **A batch is one by one.** `apply_batch` and `resolve_batch` give the answers and the state
///    that `apply` and `resolve` would give, called for each element in turn.
///
/// Resolving allocates nothing and takes no lock: many threads may resolve while no thread
/// applies. To resolve while a thread applies, use the [reader](Resolve::concurrent_reader) of the engine, if it has one.
/// Applying a claim that changes nothing should allocate nothing either.
///
/// The crate `idmerge-conformance` checks all of this, and the rules of each built-in rule book.
///
/// # Implementing it
///
/// Choose the [`RuleBook`] that the engine implements; the suite then knows what to expect of it.
/// For a model of your own, name it with [`RuleBook::Custom`]. Implement every method but
/// `apply_batch`, `resolve_batch`, `cluster_len`, `is_clustered`, `erased_with`, `clustered_ids`,
/// `members_after`, `cluster_parts`, `concurrent_reader`, `attribution`, `write_image` and `read_image`, which have
/// defaults.
/// The trait is object safe:
///
/// ```
/// fn takes_any_engine(_: &mut dyn idmerge_core::IdentityResolver) {}
/// ```
///
/// [`IdentityResolverExt`] adds conveniences for callers; every engine has them.
pub trait IdentityResolver: Resolve {
    /// Reads which user an event belongs to under these rules, and what it claims. It depends on
    /// the settings alone: to read events without an engine, use the settings' own `read`.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] if a property that the rule reads holds no valid ID, or if an ID that
    /// the rule needs is missing (rule ID-7).
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent>;

    /// Weighs one claim, in arrival order. The outcome may borrow from the claim and from the
    /// engine, so look at it before the next call.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the memory or disk below the engine fails; never because of what a claim
    /// says.
    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, EngineError>;

    /// Weighs claims in arrival order. Calls `outcome` once for each claim, in order, with the
    /// answer of [`apply`](Self::apply). An engine can weigh many claims faster than one by one.
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
    /// As [`apply`](Self::apply). The claims whose outcomes were given are applied; the one that
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

    /// Writes the state as bytes: self-delimiting, versioned, checksummed, and canonical, so that
    /// equal states give equal bytes. The settings are not part of it.
    ///
    /// # Errors
    ///
    /// Any error of the writer.
    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()>;

    /// Replaces the state with that of a snapshot of the same rule book. Reads no byte past the
    /// snapshot's end. The bytes may come from anywhere: wrong ones give an error, not a panic,
    /// and take memory in proportion to the bytes read.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong; the state is then as it was before.
    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError>;

    /// Writes the image of a snapshot of this rule book: the same state in a form that
    /// [`read_image`](Self::read_image) reads several times as fast. It depends on the snapshot alone, and not on
    /// the state of this engine. Returns `false` if this engine has no images, which is the default.
    ///
    /// An image is a cache: the snapshot is what counts, and another version may have another form of images.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong with the snapshot, or that the sink failed. What the sink has taken is
    /// no image then.
    fn write_image(
        &self,
        snapshot: &mut dyn io::Read,
        sink: &mut dyn ImageSink,
    ) -> Result<bool, SnapshotError> {
        let (_, _) = (snapshot, sink);
        Ok(false)
    }

    /// Replaces the state with that of the snapshot that the image was made of. The bytes may come from
    /// anywhere, as those of a snapshot may.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what is wrong; the state is then as it was before. An engine without images gives
    /// [`SnapshotError::NotASnapshot`], which is the default.
    fn read_image(&mut self, image: &dyn ImageSource) -> Result<(), SnapshotError> {
        let _ = image;
        Err(SnapshotError::NotASnapshot)
    }
}

/// An event that could not be applied.
#[derive(Debug, Error)]
pub enum ApplyEventError {
    /// The event is bad input. Return it to its sender, and go on with the next event.
    #[error(transparent)]
    InvalidEvent(#[from] InvalidEvent),
    /// The engine failed. Stop.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Conveniences for callers of an engine. Never implement it yourself.
pub trait IdentityResolverExt: IdentityResolver {
    /// Reads an event and applies its claim, if it makes one.
    ///
    /// ```
    /// # fn example(engine: &mut dyn idmerge_core::IdentityResolver) {
    /// use idmerge_core::{ApplyEventError, Event, IdentityResolverExt, Outcome};
    ///
    /// let event = Event { user_id: "U1".into(), device_id: "D1".into(), ..Event::named("Log In") };
    /// match engine.apply_event(&event) {
    ///     Ok((reading, Some(Outcome::Merged))) => println!("{reading:?} joined two IDs"),
    ///     Ok((reading, _)) => println!("{:?}", reading.distinct_id),
    ///     Err(ApplyEventError::InvalidEvent(invalid)) => println!("bad event: {invalid}"),
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

    /// Reads a distinct_id that a person or another system wrote, by the engine's rules: the own
    /// distinct_id of an event that carries nothing else.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] if the text is not an ID. Empty text is not an ID.
    fn read_id<'e>(&self, text: &'e str) -> Result<DistinctId<'e>, InvalidEvent> {
        self.read(&Event::with_distinct_id(text))?
            .require_distinct_id()
    }
}

impl<R: IdentityResolver + ?Sized> IdentityResolverExt for R {}

/// Conveniences for callers that resolve. Never implement it yourself.
pub trait ResolveExt: Resolve {
    /// Whether two distinct_ids are known to be one user.
    fn same_user(&self, a: DistinctId<'_>, b: DistinctId<'_>) -> bool {
        self.resolve(a) == self.resolve(b)
    }
}

impl<R: Resolve + ?Sized> ResolveExt for R {}
