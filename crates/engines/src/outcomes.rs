//! [`Outcomes`]: how many claims had which outcome.

use std::collections::BTreeMap;

use idmerge_core::{Outcome, Rejection};
use serde::Serialize;

/// How many claims had which outcome.
///
/// ```
/// use idmerge_core::{Event, IdentityResolverExt};
/// use idmerge_engines::{Model, Outcomes, Settings};
///
/// let mut engine = Settings::of(Model::Simplified).engine();
/// let mut outcomes = Outcomes::default();
/// for user in ["ada", "ben"] {
///     let login = Event { device_id: "D1".into(), user_id: user.into(), ..Event::named("Log In") };
///     if let (_, Some(outcome)) = engine.apply_event(&login)? {
///         outcomes.count(&outcome);
///     }
/// }
/// assert_eq!(outcomes.merges, 1);
/// assert_eq!(outcomes.rejections["errAnonDistinctIdAssignedAlready"], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Those that joined two clusters.
    pub merges: u64,
    /// Those that were rejected, by code.
    pub rejections: BTreeMap<&'static str, u64>,
}

impl Outcomes {
    /// Counts an outcome, and returns its rejection.
    pub fn count<'o>(&mut self, outcome: &Outcome<'o>) -> Option<Rejection<'o>> {
        match outcome {
            Outcome::Merged => self.merges += 1,
            Outcome::Rejected(rejection) => {
                self.count_rejection(rejection.code());
                return Some(*rejection);
            }
            _ => {}
        }
        None
    }

    /// Counts a rejection, by its code.
    pub fn count_rejection(&mut self, code: &'static str) {
        *self.rejections.entry(code).or_default() += 1;
    }
}
