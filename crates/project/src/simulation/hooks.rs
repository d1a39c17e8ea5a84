//! Where a simulation reaches into the project: the mistakes that it plants, and what happens while the
//! disk syncs.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

/// A mistake in the project or its disk, which the simulator must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The disk says that it has synced, and has not.
    DiskLies,
    /// A batch is answered as stored although its commit failed.
    AnswersWithoutCommit,
    /// Opening does not read the index of duplicates.
    ForgetsDuplicates,
    /// Readers see a commit before it is made.
    ShowsEarly,
    /// Readers do not see a commit when its batches are answered.
    ShowsLate,
    /// Opening does not index the events again that came since the last run of the index.
    ForgetsIndex,
    /// An export in runs has the events that those of later runs have replaced.
    ExportsReplaced,
    /// An erasure leaves the profiles.
    LeavesProfiles,
    /// An erasure leaves the events that name an erased ID beside another one.
    LeavesTraces,
    /// Opening does not read the tasks that wait.
    ForgetsTasks,
}

thread_local! {
    static MISTAKE: Cell<Option<Mistake>> = const { Cell::new(None) };
    static DURING_SYNC: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Whether the project makes this mistake, on this thread.
pub(crate) fn makes(mistake: Mistake) -> bool {
    MISTAKE.get() == Some(mistake)
}

/// The mistake of this thread, for another one that works for it.
pub(crate) fn mistake() -> Option<Mistake> {
    MISTAKE.get()
}

/// Runs something with a mistake in the project.
pub(crate) fn with_mistake<T>(mistake: Option<Mistake>, run: impl FnOnce() -> T) -> T {
    let before = MISTAKE.replace(mistake);
    let result = run();
    MISTAKE.set(before);
    result
}

/// What other threads would do while this one waits for the disk.
pub(crate) fn set_during_sync(run: Option<Rc<dyn Fn()>>) {
    DURING_SYNC.set(run);
}

pub(crate) fn during_sync() {
    let run = DURING_SYNC.with_borrow(Clone::clone);
    if let Some(run) = run {
        run();
    }
}

/// A law that does not hold.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

pub(crate) fn broken(what: impl fmt::Display) -> Broken {
    Broken(what.to_string())
}
