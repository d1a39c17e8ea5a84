//! Shares one engine between many threads: one thread changes it while others resolve.
//!
//! ```
//! use std::thread;
//!
//! use idmerge_core::{Claim, DistinctId, Id, Resolve};
//! use idmerge_shared::Shared;
//! use idmerge_simplified::Simplified;
//!
//! let engine = Shared::new(Simplified::default());
//! let id = |text| Id::new(text).unwrap();
//! let device = DistinctId::device(id("D1"));
//!
//! thread::scope(|threads| {
//!     threads.spawn(|| {
//!         let link = Claim::Link { device: id("D1"), user: id("U1") };
//!         engine.apply(link, |outcome| println!("{outcome:?}")).unwrap();
//!     });
//!     // This sees the state before the claim or after it, never a state in between.
//!     let user = engine.resolve(device, |canonical| canonical.to_string());
//!     assert!(user == "$device:D1" || user == "U1");
//! });
//! assert_eq!(engine.read().resolve(device), *"U1");
//! ```
//!
//! # Fairness
//!
//! Threads that resolve do not wait for each other. One that waits for a change is let in when the change ends, or
//! else, if changes are short and follow each other, after about a millisecond at most. To let it in after every short
//! change would make each change wait until another thread has been woken: thirty times the time of a claim.
//!
//! This crate has no queue of claims and starts no threads. The caller decides which thread applies
//! claims.

use std::fmt;
use std::ops::Deref;

use idmerge_core::{Claim, DistinctId, EngineError, IdentityResolver, Outcome, Resolve};
use parking_lot::{RwLock, RwLockReadGuard};

/// An engine that many threads can use at the same time. See the [crate].
#[derive(Default)]
pub struct Shared<R>(RwLock<R>);

impl<R> Shared<R> {
    /// Shares an engine.
    pub fn new(engine: R) -> Self {
        Self(RwLock::new(engine))
    }

    /// Returns the engine.
    pub fn into_inner(self) -> R {
        self.0.into_inner()
    }

    /// Locks the engine for reading until the guard is dropped.
    ///
    /// A change waits until all guards are dropped, and a new `read` waits for a change that waits.
    /// So hold a guard for one batch of IDs, not longer. A thread that calls `read` while it holds a
    /// guard can deadlock: a change may wait between the two.
    pub fn read(&self) -> impl Deref<Target = R> + '_ {
        ReadGuard(self.0.read())
    }

    /// Calls `change` with the engine, locked for writing. Changes of several threads are made in the
    /// order of their calls.
    ///
    /// Use this for what [`apply`](Self::apply) does not do: a batch of claims, or the methods of one
    /// engine, such as the retraction of a store. All other threads wait until `change` returns.
    ///
    /// ```
    /// use idmerge_core::{Claim, Id, IdentityResolver, Outcome};
    /// use idmerge_original::Original;
    /// use idmerge_shared::Shared;
    ///
    /// let engine = Shared::new(Original::default());
    /// let id = |text| Id::new(text).unwrap();
    /// let merge = |first, second| Claim::Merge { first: id(first), second: id(second) };
    /// let claims = [merge("U1", "U2"), merge("U2", "U3")];
    ///
    /// let mut merges = 0;
    /// engine.write(|engine| {
    ///     engine.apply_batch(&claims, &mut |outcome| merges += u32::from(outcome == Outcome::Merged))
    /// })?;
    /// assert_eq!(merges, 2);
    /// # Ok::<(), idmerge_core::EngineError>(())
    /// ```
    pub fn write<T>(&self, change: impl FnOnce(&mut R) -> T) -> T {
        // A thread that has waited for long is let in when this unlocks. `std::sync::RwLock` does not do that.
        change(&mut self.0.write())
    }
}

/// Keeps the lock of another crate out of the public signature.
struct ReadGuard<'l, R>(RwLockReadGuard<'l, R>);

impl<R> Deref for ReadGuard<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

impl<R: IdentityResolver> Shared<R> {
    /// Applies one claim, as [`IdentityResolver::apply`] does, and calls `outcome` with its outcome.
    ///
    /// # Errors
    ///
    /// Those of [`IdentityResolver::apply`].
    pub fn apply<T>(
        &self,
        claim: Claim<'_>,
        outcome: impl FnOnce(Outcome<'_>) -> T,
    ) -> Result<T, EngineError> {
        self.write(|engine| engine.apply(claim).map(outcome))
    }
}

impl<R: Resolve> Shared<R> {
    /// Calls `canonical` with the canonical ID of an ID. For many IDs, [`read`](Self::read) the engine
    /// once and resolve a batch.
    pub fn resolve<T>(&self, id: DistinctId<'_>, canonical: impl FnOnce(DistinctId<'_>) -> T) -> T {
        canonical(self.0.read().resolve(id))
    }
}

impl<R: fmt::Debug> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&*self.0.read()).finish()
    }
}
