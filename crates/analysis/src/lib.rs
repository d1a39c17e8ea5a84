//! Funnels, unique users and retention: folds over resolved events.
//!
//! An [`Analysis`] reads what it needs of each event, and adds it to its fold under the user who did the event
//! and under the distinct_id that the event was sent with. So each figure has the same figure *without ID
//! Merge* beside it. The rules are F-1 to F-11 of `docs/rules.md`.
//!
//! - [`FunnelQuery`] counts the users who do some events in order (F-3 to F-7).
//! - [`UniquesQuery`] counts the users of each event, or of each day.
//! - [`RetentionQuery`] counts the users who come back.
//!
//! # Example
//!
//! A visitor reads a post on a device, and signs up on it. The device and the user are one person, so the
//! visit converts; without ID Merge it does not.
//!
//! ```
//! use idmerge_analysis::{Analysis, FunnelQuery, ResolvedEvent, Step};
//! use idmerge_core::DistinctId;
//! use idmerge_events::{Envelope, TimeRange};
//!
//! let steps = ["Page View[path == \"/blog\"]", "Sign Up"].map(Step::parse);
//! let funnel = FunnelQuery::new(steps.to_vec()).funnel()?;
//! let mut fold = funnel.fold();
//!
//! let user = DistinctId::try_from("ada")?;
//! for (own, line) in [
//!     ("$device:D1", r#"{"event":"Page View","properties":{"path":"/blog","time":1780300803}}"#),
//!     ("ada", r#"{"event":"Sign Up","properties":{"time":1780300863}}"#),
//! ] {
//!     let envelope = Envelope::parse_text(line)?;
//!     let event = ResolvedEvent {
//!         name: envelope.name(),
//!         time_ms: envelope.time(TimeRange::Year9999).ms(),
//!         properties: envelope.json_event().properties(),
//!     };
//!     // Reading is pure, so it can be done on any thread.
//!     if let Some(found) = funnel.read(&event) {
//!         funnel.add(&mut fold, user, DistinctId::try_from(own)?, found);
//!     }
//! }
//!
//! let report = funnel.report(fold);
//! assert_eq!(report.steps[1].users, 1);
//! assert_eq!(report.steps[1].median_ms, Some(60_000));
//! assert_eq!(report.steps[1].users_without_merge, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod analysis;
mod days;
mod filter;
mod funnel;
mod json;
mod operator;
mod retention;
mod share;
mod step;
mod uniques;
mod users;
mod value;

pub use analysis::{Analysis, ResolvedEvent};
pub use days::{DAY_MS, date_text, day_ms, days_ms};
pub use filter::{Filter, FilterError};
pub use funnel::{
    Breakdown, BreakdownRow, Count, Exclusion, FoundStep, Funnel, FunnelFold, FunnelQuery,
    FunnelReport, QueryError, Reentry, StepFigures, Touch,
};
pub use retention::{
    Cohort, Period, Retention, RetentionFold, RetentionQuery, RetentionReport, Returns, Visit,
};
pub use share::share;
pub use step::{NotConditions, Step};
pub use uniques::{FoundEvent, UniquesBy, UniquesFold, UniquesQuery, UniquesReport, UniquesRow};
