//! [`Funnel`]: how many users do some events in order.

mod entry;
mod fold;
mod kinds;
mod path;
mod plan;
mod query;
mod report;

use idmerge_core::DistinctId;

use crate::analysis::{Analysis, ResolvedEvent};
pub use fold::FunnelFold;
pub use kinds::FoundStep;
use plan::Plan;
pub use query::{Breakdown, Count, Exclusion, FunnelQuery, QueryError, Reentry, Touch};
pub use report::{BreakdownRow, FunnelReport, StepFigures};

/// Counts the users, or the entries, that take some steps in order (F-1 to F-7).
///
/// ```
/// use idmerge_analysis::{Analysis, DAY_MS, FunnelQuery, Reentry, ResolvedEvent, Step};
/// use idmerge_core::DistinctId;
/// use idmerge_events::JsonEvent;
///
/// let properties = JsonEvent::parse_text(r#"{"event":"","properties":{}}"#)?.properties();
/// let converted = |reentry| -> Result<u64, Box<dyn std::error::Error>> {
///     let mut query = FunnelQuery::new(vec![Step::named("View"), Step::named("Buy")]);
///     query.reentry = reentry;
///     let funnel = query.funnel()?;
///     let mut fold = funnel.fold();
///     let ada = DistinctId::try_from("ada")?;
///     for (name, day) in [("View", 0), ("View", 10), ("Buy", 12)] {
///         let event = ResolvedEvent { name, time_ms: Some(day * DAY_MS), properties };
///         if let Some(found) = funnel.read(&event) {
///             funnel.add(&mut fold, ada, ada, found);
///         }
///     }
///     Ok(funnel.report(fold).steps[1].users)
/// };
/// // The window of seven days begins with the first view (F-3), unless each view opens an entry (F-4).
/// assert_eq!(converted(Reentry::First)?, 0);
/// assert_eq!(converted(Reentry::Optimized)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Funnel {
    plan: Plan,
}

impl FunnelQuery {
    /// The analysis that answers the query.
    ///
    /// # Errors
    ///
    /// [`QueryError`] if a value is out of range, or two values do not fit together.
    pub fn funnel(self) -> Result<Funnel, QueryError> {
        self.check()?;
        let plan = Plan::new(self);
        Ok(Funnel { plan })
    }
}

impl Funnel {
    /// The query that it answers.
    pub fn query(&self) -> &FunnelQuery {
        &self.plan.query
    }

    /// The names of the events that can be a step, or are excluded. A name can occur more than once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.plan.names()
    }

    /// The range of the times of all events that can be part of an entry: the range of the query, the grace
    /// before it and the window after it. The end is not part of it.
    pub fn range_ms(&self) -> (Option<i64>, Option<i64>) {
        self.plan.range_ms()
    }

    /// The figures of all events that were added.
    pub fn report(&self, fold: FunnelFold) -> FunnelReport {
        self.report_with(fold, &mut |_, _| {})
    }

    /// The figures, as [`report`](Self::report). Calls `visit` with the canonical distinct_id of each user who
    /// took the first step, in no order, and the number of steps that the user took.
    pub fn report_with(
        &self,
        fold: FunnelFold,
        visit: &mut dyn FnMut(DistinctId<'_>, usize),
    ) -> FunnelReport {
        report::report(&self.plan, fold, visit)
    }
}

impl Analysis for Funnel {
    type Found = FoundStep;
    type Fold = FunnelFold;

    fn fold(&self) -> FunnelFold {
        FunnelFold::default()
    }

    fn read(&self, event: &ResolvedEvent<'_>) -> Option<FoundStep> {
        self.plan.read(event)
    }

    fn add(
        &self,
        fold: &mut FunnelFold,
        user: DistinctId<'_>,
        own: DistinctId<'_>,
        found: FoundStep,
    ) {
        fold.add(&self.plan, user, own, found);
    }
}
