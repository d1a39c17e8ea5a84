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
//! # Who waits
//!
//! [`resolve`](Shared::resolve) does not wait and takes no lock if the engine has a [`ConcurrentReader`]. Claims do not
//! wait for it either. The built-in engines have a reader. `Durable` and `Reader` of `idmerge-store` have that of
//! their engine, but none after a retraction until their state is in one engine again.
//!
//! Everything else locks: [`read`](Shared::read), which gives all answers of an engine, and `resolve` if the engine has no
//! such reader. Threads that read do not wait for each other. A thread that waits for a change is let in when the change
//! ends. If changes are short and follow each other, it is let in after about a millisecond at most, and not after each
//! change: the change after it would have to wait until that thread has been woken, which takes thirty times as long as a
//! claim.
//!
//! This crate has no queue of claims and starts no threads. The caller decides which thread applies
//! claims.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use idmerge_core::{
    Claim, ConcurrentReader, DistinctId, EngineError, IdentityResolver, Outcome, Resolve,
};
use idmerge_state::{Published, pin};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// An engine that many threads can use at the same time. See the [crate].
pub struct Shared<R> {
    engine: RwLock<R>,
    /// That of the engine, as of the last change.
    reader: Published<Option<Arc<dyn ConcurrentReader>>>,
}

impl<R: Resolve> Shared<R> {
    /// Shares an engine.
    pub fn new(engine: R) -> Self {
        Self {
            reader: Published::new(engine.concurrent_reader().cloned()),
            engine: RwLock::new(engine),
        }
    }

    /// Calls `canonical` with the canonical ID of an ID. It does not wait if the engine has a [`ConcurrentReader`].
    ///
    /// It sees each claim of a batch as soon as that one is applied, also before the batch ends. For many IDs in
    /// one state, [`read`](Self::read) the engine once and resolve a batch.
    ///
    /// The call should be short: it keeps the memory that the engine does not use any more, and the IDs of an engine that a
    /// change replaces. A thread that resolves may be the one that frees it afterwards.
    #[inline]
    pub fn resolve<T>(&self, id: DistinctId<'_>, canonical: impl FnOnce(DistinctId<'_>) -> T) -> T {
        let pin = pin();
        let Some(reader) = self.reader.now(&pin) else {
            // The lock may take long.
            drop(pin);
            return canonical(self.engine.read().resolve(id));
        };
        let (mut canonical, mut answer) = (Some(canonical), None);
        reader.resolve(&id, &mut |&found| {
            answer = canonical.take().map(|canonical| canonical(found));
        });
        match answer {
            Some(answer) => answer,
            None => unreachable!("a reader calls it once"),
        }
    }

    /// Locks the engine for reading until the guard is dropped.
    ///
    /// A change waits until all guards are dropped, and a new `read` waits for a change that waits.
    /// So hold a guard for one batch of IDs, not longer. A thread that calls `read` while it holds a
    /// guard can deadlock: a change may wait between the two.
    pub fn read(&self) -> impl Deref<Target = R> + '_ {
        ReadGuard(self.engine.read())
    }

    /// Calls `change` with the engine, locked for writing. Changes of several threads are made in the
    /// order of their calls.
    ///
    /// Use this for what [`apply`](Self::apply) does not do: a batch of claims, or the methods of one
    /// engine, such as the retraction of a store. Threads that [`read`](Self::read) wait until `change` returns. Those
    /// that [`resolve`](Self::resolve) see claims meanwhile, and every other change once it has returned.
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
        let mut engine = Changing {
            engine: self.engine.write(),
            shared: self,
        };
        change(&mut engine)
    }

    /// Takes the reader that the engine has now, before the lock of a change is released.
    fn renew_reader(&self, engine: &R) {
        let now = engine.concurrent_reader();
        let is_same = match (self.reader.now(&pin()), now) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        if !is_same {
            self.reader.replace(now.cloned());
        }
    }
}

impl<R> Shared<R> {
    /// Returns the engine.
    pub fn into_inner(self) -> R {
        self.engine.into_inner()
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

/// Keeps the lock of another crate out of the public signature.
struct ReadGuard<'l, R>(RwLockReadGuard<'l, R>);

impl<R> Deref for ReadGuard<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.0
    }
}

/// An engine that is being changed. In the end, also if the change panics, its reader is renewed.
struct Changing<'l, R: Resolve> {
    engine: RwLockWriteGuard<'l, R>,
    shared: &'l Shared<R>,
}

impl<R: Resolve> Deref for Changing<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.engine
    }
}

impl<R: Resolve> DerefMut for Changing<'_, R> {
    fn deref_mut(&mut self) -> &mut R {
        &mut self.engine
    }
}

impl<R: Resolve> Drop for Changing<'_, R> {
    fn drop(&mut self) {
        self.shared.renew_reader(&self.engine);
    }
}

impl<R: Resolve + Default> Default for Shared<R> {
    fn default() -> Self {
        Self::new(R::default())
    }
}

impl<R: fmt::Debug> fmt::Debug for Shared<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&*self.engine.read()).finish()
    }
}
