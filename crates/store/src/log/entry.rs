//! The entries of the log.

pub(crate) mod sequences;

use idmerge_core::{Claim, ClaimKind, DistinctId, Outcome, RuleBook};

use self::sequences::Sequences;

/// What made a claim. The caller provides all of it, because the store has no clock; the log keeps
/// it, and [`History`](crate::History) reports it.
///
/// ```
/// use idmerge_store::Cause;
///
/// let cause = Cause { insert_id: Some("5f1c"), source: Some("web"), ..Cause::default() };
/// assert_eq!(cause.time_ms, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause<'a> {
    /// `$insert_id` of the event.
    pub insert_id: Option<&'a str>,
    /// `time` of the event, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// The origin of the event, such as a file, a system or a path of the server.
    pub source: Option<&'a str>,
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The number of the entry. The first entry of a store is 1.
    pub sequence: u64,
    /// The content of the entry.
    pub what: What<'a>,
    /// The event or the call that made the entry.
    pub cause: Cause<'a>,
}

/// The content of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What<'a> {
    /// The engine weighed a claim.
    Claim {
        /// The claim. A claim of the other rule book has the outcome [`Outcome::Ignored`].
        claim: Claim<'a>,
        /// The answer of the engine.
        outcome: Outcome<'a>,
    },
    /// A claim that named an erased ID: the number, the kind and the answer are left of it (E-3). It changes
    /// nothing.
    Erased {
        /// The kind of the claim.
        kind: ClaimKind,
        /// The answer of the engine: `merged`, `already merged`, `ignored`, or the code of a rejection.
        answer: &'static str,
    },
    /// A loaded snapshot replaced the state.
    Replaced,
    /// Entries were withdrawn: from here on the state is as if they had never been in the log.
    Retracted {
        /// The numbers of the withdrawn entries: all entries of a claim until here, those of every
        /// claim that names an ID, or another retraction.
        retracted: Sequences<'a>,
        /// The ID, if every claim that names it was withdrawn.
        detached: Option<DistinctId<'a>>,
        /// The name of the person who withdrew them.
        who: &'a str,
        /// The reason.
        why: &'a str,
    },
}

/// The ID as an engine keeps it: in Original and Legacy the prefix of a device is not part of the ID (O-1, L-1).
pub(crate) fn own(id: DistinctId<'_>, rule_book: RuleBook) -> DistinctId<'_> {
    match rule_book.has_device_namespace() {
        true => id,
        false => DistinctId::plain(id.id()),
    }
}
