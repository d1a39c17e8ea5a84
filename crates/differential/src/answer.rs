//! The answers of an engine to a stream of events, in a form in which two engines can be compared.

use std::collections::BTreeMap;
use std::fmt;

use idmerge_conformance::vectors::outcome_text;
use idmerge_core::{
    ApplyEventError, DistinctId, EngineError, IdentityResolver, IdentityResolverExt, InvalidEvent,
};
use idmerge_events::JsonEvent;

/// The answer of an engine to one event.
///
/// `divergences.toml` has answers as text: `ben <- $device:D1: merged` is an event that is counted
/// under `ben`, whose own distinct_id is `$device:D1`, and whose claim was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The user of the event, after the last event of the stream.
    pub attributed: Attributed,
    /// The outcome of the event's claim, as vectors spell it, or `None` if it made no claim.
    pub outcome: Option<String>,
}

/// The user that an event is attributed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attributed {
    /// No user, because the event was refused: the rule, and the property.
    Refused(String),
    /// No user: the event was accepted, but names none.
    NoUser,
    /// The event is counted under an ID.
    To {
        /// The canonical ID, after the last event of the stream.
        canonical: String,
        /// The event's own distinct_id.
        own: String,
    },
}

impl Answer {
    /// The ID that the event is counted under, if there is one.
    pub fn canonical(&self) -> Option<&str> {
        match &self.attributed {
            Attributed::To { canonical, .. } => Some(canonical),
            Attributed::Refused(_) | Attributed::NoUser => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.attributed {
            Attributed::Refused(by) => write!(f, "refused {by}")?,
            Attributed::NoUser => f.write_str("no user")?,
            Attributed::To { canonical, own } if canonical == own => f.write_str(canonical)?,
            Attributed::To { canonical, own } => write!(f, "{canonical} <- {own}")?,
        }
        match &self.outcome {
            Some(outcome) => write!(f, ": {outcome}"),
            None => Ok(()),
        }
    }
}

/// Gives all events to an engine in order, and then resolves each of them.
///
/// # Errors
///
/// [`EngineError`] if the engine fails.
pub fn play(
    engine: &mut dyn IdentityResolver,
    events: &[JsonEvent<'_>],
) -> Result<Vec<Answer>, EngineError> {
    // Later events move earlier ones, so the events are resolved after the last one only.
    let mut played = Vec::with_capacity(events.len());
    for event in events {
        played.push(match engine.apply_event(&event.event()) {
            Ok((reading, outcome)) => {
                let outcome = outcome.map(|outcome| outcome_text(&outcome));
                (Ok(reading.distinct_id), outcome)
            }
            Err(ApplyEventError::InvalidEvent(refused)) => (Err(refused), None),
            Err(ApplyEventError::Engine(error)) => return Err(error),
        });
    }
    let attributed = |own: Result<Option<DistinctId<'_>>, InvalidEvent>| match own {
        Ok(Some(own)) => Attributed::To {
            canonical: engine.resolve(own).to_string(),
            own: own.to_string(),
        },
        Ok(None) => Attributed::NoUser,
        Err(refused) => Attributed::Refused(format!("{} {}", refused.rule(), refused.property())),
    };
    let answers = played.into_iter().map(|(own, outcome)| Answer {
        attributed: attributed(own),
        outcome,
    });
    Ok(answers.collect())
}

/// The partition that equal labels form. Each label is replaced by a number, in order of first
/// appearance, so the labels themselves do not matter. `None` belongs to no part.
///
/// The rule books spell the ID of a visitor in two ways, `$device:D1` and `D1`, so their answers are
/// compared as partitions.
///
/// ```
/// use idmerge_differential::groups;
///
/// let simplified = [Some("$device:D1"), None, Some("ben"), Some("$device:D1")];
/// let original = [Some("D1"), None, Some("ben"), Some("D1")];
/// assert_eq!(groups(simplified), [Some(0), None, Some(1), Some(0)]);
/// assert_eq!(groups(simplified), groups(original));
/// ```
pub fn groups<L: Ord>(labels: impl IntoIterator<Item = Option<L>>) -> Vec<Option<usize>> {
    let mut numbers = BTreeMap::new();
    let mut number = |label| {
        let next = numbers.len();
        *numbers.entry(label).or_insert(next)
    };
    labels
        .into_iter()
        .map(|label| label.map(&mut number))
        .collect()
}
