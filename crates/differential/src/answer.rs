//! What an engine makes of a stream of events, in a form that two engines can be compared by.

use std::collections::BTreeMap;
use std::fmt;

use idmerge_conformance::vectors::outcome_text;
use idmerge_core::{
    ApplyEventError, DistinctId, EngineError, IdentityResolver, IdentityResolverExt, InvalidEvent,
};
use idmerge_events::JsonEvent;

/// What an engine made of one event.
///
/// Its text is what `divergences.toml` expects: `ben <- $device:D1: merged` is an event that is
/// counted under `ben`, whose own distinct_id is `$device:D1`, and whose claim was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whose event it is, in the end.
    pub whose: Whose,
    /// What became of its claim, as vectors spell it, or `None` where it made none.
    pub outcome: Option<String>,
}

/// Whose event it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It was refused: the rule, and the property.
    Refused(String),
    /// It was accepted, and is no user's.
    Nobodys,
    /// It is counted under an ID.
    Of {
        /// The canonical ID, after the last event of the stream.
        canonical: String,
        /// The event's own distinct_id.
        own: String,
    },
}

impl Answer {
    /// The ID that the event is counted under, if there is one.
    pub fn canonical(&self) -> Option<&str> {
        match &self.whose {
            Whose::Of { canonical, .. } => Some(canonical),
            Whose::Refused(_) | Whose::Nobodys => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whose {
            Whose::Refused(by) => write!(f, "refused {by}")?,
            Whose::Nobodys => f.write_str("nobody's")?,
            Whose::Of { canonical, own } if canonical == own => f.write_str(canonical)?,
            Whose::Of { canonical, own } => write!(f, "{canonical} <- {own}")?,
        }
        match &self.outcome {
            Some(outcome) => write!(f, ": {outcome}"),
            None => Ok(()),
        }
    }
}

/// Gives an engine all events in turn, and then asks whose each of them is.
///
/// # Errors
///
/// [`EngineError`] where the engine breaks.
pub fn play(
    engine: &mut dyn IdentityResolver,
    events: &[JsonEvent<'_>],
) -> Result<Vec<Answer>, EngineError> {
    // What is known as the events come; whose they are is known in the end.
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
    let whose = |own: Result<Option<DistinctId<'_>>, InvalidEvent>| match own {
        Ok(Some(own)) => Whose::Of {
            canonical: engine.resolve(own).to_string(),
            own: own.to_string(),
        },
        Ok(None) => Whose::Nobodys,
        Err(refused) => Whose::Refused(format!("{} {}", refused.rule(), refused.property())),
    };
    let answers = played.into_iter().map(|(own, outcome)| Answer {
        whose: whose(own),
        outcome,
    });
    Ok(answers.collect())
}

/// The partition that labels stand for, whatever they are called: each is replaced by a number,
/// and the numbers go by first appearance. `None` belongs to no part.
///
/// The rule books spell the ID of a visitor in two ways, `$device:D1` and `D1`. So what they say
/// of people is compared by this.
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
