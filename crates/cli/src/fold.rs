//! The way of every command over its input: line by line, event by event, in arrival order.

use anyhow::Context;
use idmerge_core::{ApplyEventError, Refused};
use idmerge_events::{JsonEvent, MalformedEvent};

use crate::args::FoldArgs;
use crate::input::{Again, Input};
use crate::lines::{Line, Lines};
use crate::progress::Progress;
use crate::refused::{Reason, RefusedLines};

/// Why an event was not used.
pub(crate) enum EventError {
    /// It cannot be; the next one perhaps can.
    Refused { rule: &'static str, error: String },
    /// Nothing can be done any more.
    Fatal(anyhow::Error),
}

impl From<MalformedEvent> for EventError {
    fn from(error: MalformedEvent) -> Self {
        Self::Refused {
            rule: error.rule(),
            error: error.to_string(),
        }
    }
}

impl From<Refused> for EventError {
    fn from(error: Refused) -> Self {
        Self::Refused {
            rule: error.rule(),
            error: error.to_string(),
        }
    }
}

impl From<ApplyEventError> for EventError {
    fn from(error: ApplyEventError) -> Self {
        match error {
            ApplyEventError::Refused(error) => error.into(),
            ApplyEventError::Resolve(error) => Self::Fatal(error.into()),
        }
    }
}

impl From<anyhow::Error> for EventError {
    fn from(error: anyhow::Error) -> Self {
        Self::Fatal(error)
    }
}

/// Reads all inputs once. Each event goes to `use_event`, with its number among those that could
/// be used; what cannot be used goes to `refused`.
///
/// What can be used depends on the line alone. So it is the same lines when the inputs are read
/// again, and then nobody needs to hear of the others: pass no `refused`.
///
/// Answers how many events could be used.
pub(crate) fn for_each_event(
    inputs: &mut [Input],
    args: &FoldArgs,
    again: Again,
    progress: &Progress,
    mut refused: Option<&mut RefusedLines>,
    mut use_event: impl FnMut(u64, &JsonEvent<'_>) -> Result<(), EventError>,
) -> anyhow::Result<u64> {
    let mut number = 0;
    for input in inputs {
        let file = &*input.name.clone();
        let mut lines = Lines::new(input.read(again, progress)?, args.max_line_bytes);
        loop {
            let before = lines.number();
            let line = lines
                .next_line()
                .with_context(|| format!("cannot read {file} after line {before}"))?;
            match line {
                None => break,
                Some(Line::Whole {
                    number: line,
                    bytes,
                }) => {
                    let used = JsonEvent::parse(bytes)
                        .map_err(EventError::from)
                        .and_then(|event| use_event(number, &event));
                    match (used, refused.as_deref_mut()) {
                        (Ok(()), _) => number += 1,
                        (Err(EventError::Fatal(error)), _) => return Err(error),
                        (Err(EventError::Refused { rule, error }), Some(refused)) => {
                            refused.add(
                                &Reason {
                                    file,
                                    line,
                                    rule,
                                    error,
                                },
                                bytes,
                            )?;
                        }
                        (Err(EventError::Refused { .. }), None) => {}
                    }
                }
                Some(Line::TooLong { number: line }) => {
                    if let Some(refused) = refused.as_deref_mut() {
                        let max = args.max_line_bytes;
                        let reason = Reason {
                            file,
                            line,
                            rule: "IN-3",
                            error: format!("the line has more than {max} bytes (IN-3)"),
                        };
                        refused.add_long(&reason, &mut lines)?;
                    }
                }
            }
        }
    }
    Ok(number)
}
