//! [`Analysis`]: a fold over resolved events, and what it needs of each event.

use idmerge_core::DistinctId;
use idmerge_events::RawJson;

/// An event, without its IDs: those are resolved by the caller.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedEvent<'e> {
    /// The name of the event.
    pub name: &'e str,
    /// The time in milliseconds since 1970 (F-2). `None` if the event has no usable `time`.
    pub time_ms: Option<i64>,
    /// The JSON object `properties`.
    pub properties: RawJson<'e>,
}

/// A question about events, as a fold over them.
///
/// Reading an event is pure and is most of the work, so several threads can read. Adding must be done in the
/// order of arrival, in which events of the same time count (F-2).
pub trait Analysis: Send + Sync {
    /// What is kept of an event.
    type Found: Send;
    /// What was added so far.
    type Fold: Send;

    /// An empty fold.
    fn fold(&self) -> Self::Fold;

    /// What the analysis needs of an event; `None` if the event does not matter to it.
    fn read(&self, event: &ResolvedEvent<'_>) -> Option<Self::Found>;

    /// Adds an event of `user`, its canonical distinct_id, that was sent with the distinct_id `own`.
    ///
    /// An event without an ID is not added: it belongs to no user (F-1).
    fn add(
        &self,
        fold: &mut Self::Fold,
        user: DistinctId<'_>,
        own: DistinctId<'_>,
        found: Self::Found,
    );
}
