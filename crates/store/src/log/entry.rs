//! What the log has entries of.

use idmerge_core::{Claim, Outcome};

/// What made a claim, for who asks later. All of it is the caller's; the store has no clock.
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
    /// Where the event came from: a file, an SDK, a system.
    pub source: Option<&'a str>,
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number. The first entry of a store is 1.
    pub sequence: u64,
    /// What happened.
    pub what: What<'a>,
    /// What made it happen.
    pub cause: Cause<'a>,
}

/// What an entry of the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What<'a> {
    /// A claim was weighed.
    Claim {
        /// The claim. One of the other rule book has the outcome [`Outcome::Ignored`].
        claim: Claim<'a>,
        /// What the engine answered.
        outcome: Outcome<'a>,
    },
    /// The state was replaced by that of a snapshot from elsewhere.
    Replaced,
    /// An entry was withdrawn: from here on the state is as if it had not been there.
    Retracted {
        /// The number of the entry, which is of a claim or of a retraction.
        retracted: u64,
        /// Who withdrew it.
        who: &'a str,
        /// Why.
        why: &'a str,
    },
}
