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
/// An answer is that of the state before a claim that is being applied, or after it, and never another one. Once a thread
/// has seen the state after a claim, through any ID, every thread that it tells so sees it too. A claim that has been
/// applied is seen.
///
/// This holds for claims. Whoever changes the engine in another way, such as by reading a snapshot, asks the engine for
/// its reader again: the one before may show the state before that.
pub trait ConcurrentReader: fmt::Debug + Send + Sync {
    /// Calls `canonical` once, with the canonical distinct_id of an ID, as
    /// [`Resolve::resolve`](crate::Resolve::resolve) gives it.
    ///
    /// The call should be short: memory that the engine does not use any more may be kept until it ends.
    // The ID comes by reference: the copy that a caller makes of a new value is read in other parts than it was written
    // in, and the processor waits for that until the lookup before has ended.
    fn resolve(&self, id: &DistinctId<'_>, canonical: &mut dyn FnMut(&DistinctId<'_>));
}
