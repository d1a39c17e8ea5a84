//! One engine for many threads: one applies claims while the others resolve.
//!
//! ```
//! use std::thread;
//!
//! use idmerge_core::{Claim, DistinctId, Id, IdentityResolver};
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
//!     // Before the claim or after it, but never in the middle.
//!     let user = engine.resolve(device, |canonical| canonical.to_string());
//!     assert!(user == "$device:D1" || user == "U1");
//! });
//! assert_eq!(engine.read().resolve(device), *"U1");
//! ```
//!
//! Who resolves waits for one claim at most: after each claim those who wait are let in before the
//! next one. Resolving waits for nobody else who resolves.
//!
//! Not here: a queue of claims, or threads. Whoever applies chooses its thread.

use std::fmt;
use std::ops::Deref;

use idmerge_core::{Claim, DistinctId, EngineError, IdentityResolver, Outcome};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// An engine that many threads may use at once. See the [crate].
#[derive(Default)]
pub struct Shared<R>(RwLock<R>);

impl<R> Shared<R> {
    /// Shares an engine.
    pub fn new(engine: R) -> Self {
        Self(RwLock::new(engine))
    }

    /// The engine, not shared any more.
    pub fn into_inner(self) -> R {
        self.0.into_inner()
    }

    /// The engine for reading, until the guard is dropped. Claims wait for that, and whoever comes
    /// after a claim that waits does too: so take it for a batch, and not for a coffee. Do not take
    /// a second one while holding the first, since a claim may wait between the two.
    pub fn read(&self) -> impl Deref<Target = R> + '_ {
        ReadGuard(self.0.read())
    }
}

/// Hides whose lock it is.
struct ReadGuard<'l, R>(RwLockReadGuard<'l, R>);

impl<R> Deref for ReadGuard<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

impl<R: IdentityResolver> Shared<R> {
    /// Weighs one claim, as [`IdentityResolver::apply`] does. Claims of several threads are applied
    /// in the order in which they got here.
    ///
    /// # Errors
    ///
    /// As [`IdentityResolver::apply`].
    pub fn apply<T>(
        &self,
        claim: Claim<'_>,
        outcome: impl FnOnce(Outcome<'_>) -> T,
    ) -> Result<T, EngineError> {
        let mut engine = self.0.write();
        let result = engine.apply(claim).map(outcome);
        // Plainly unlocked, the lock would go to whoever is quickest, which is who has just had it.
        RwLockWriteGuard::unlock_fair(engine);
        result
    }

    /// The canonical distinct_id of an id, as [`IdentityResolver::resolve`] gives it. For many ids
    /// [`read`](Self::read) the engine once and resolve a batch.
    pub fn resolve<T>(&self, id: DistinctId<'_>, canonical: impl FnOnce(DistinctId<'_>) -> T) -> T {
        canonical(self.0.read().resolve(id))
    }
}

impl<R: fmt::Debug> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&*self.0.read()).finish()
    }
}
