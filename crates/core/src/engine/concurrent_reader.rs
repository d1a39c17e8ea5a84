//! [`ConcurrentReader`]: answers while another thread changes the engine.

use std::fmt;

use crate::DistinctId;

/// Resolves IDs of an engine on any thread, while another thread applies claims. It takes no lock and never waits.
///
/// [`Resolve::concurrent_reader`](crate::Resolve::concurrent_reader) gives the one of an engine. `Shared` of
/// `idmerge-shared` uses it.
///
/// # Contract
///
/// While a claim is being applied, an answer is that of the state before the claim or after it, and never another one. If a
/// thread has seen the state after a claim, through any ID, and then synchronizes with another thread, that one sees the
/// claim too. After [`apply`](crate::IdentityResolver::apply) has returned, its claim is seen.
///
/// This holds for claims. After any other change of the engine, such as reading a snapshot, ask the engine for its reader
/// again: the reader from before may still show the state before that change.
pub trait ConcurrentReader: fmt::Debug + Send + Sync {
    /// Calls `canonical` once, with the canonical distinct_id of an ID, as
    /// [`Resolve::resolve`](crate::Resolve::resolve) gives it.
    ///
    /// `canonical` should return soon: memory that the engine does not use any more may be kept until then.
    // The ID comes by reference: the copy that a caller makes of a new value is read in other parts than it was written
    // in, and the processor waits for that until the lookup before has ended.
    fn resolve(&self, id: &DistinctId<'_>, canonical: &mut dyn FnMut(&DistinctId<'_>));
}
