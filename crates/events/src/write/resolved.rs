//! The answer to an event.

use std::fmt;

use idmerge_core::{DistinctId, Rejection, RuleBook};

/// The answer to an event, as it is written into the event.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a> {
    /// The rules by which the event was read.
    pub rule_book: RuleBook,
    /// The event's own distinct_id. `None` if the event belongs to no user.
    pub own: Option<DistinctId<'a>>,
    /// The canonical distinct_id of `own`: now, or, if the model attributes events at their arrival, as
    /// it was then (rule L-3).
    pub canonical: Option<DistinctId<'a>>,
    /// Why the event's claim was rejected, if it was.
    pub failure: Option<Failure<'a>>,
}

/// Why a claim was rejected, as it is written into the event.
#[derive(Clone, Copy)]
pub struct Failure<'a> {
    /// The vendor's code.
    pub reason: &'a str,
    /// What the code means for this claim.
    pub description: &'a (dyn fmt::Display + 'a),
}

impl<'a> From<&'a Rejection<'a>> for Failure<'a> {
    fn from(rejection: &'a Rejection<'a>) -> Self {
        Self {
            reason: rejection.code(),
            description: rejection,
        }
    }
}

impl fmt::Debug for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.description)
    }
}
