//! The body of a request to the HTTP API of Segment or RudderStack.

use std::fmt;

use idmerge_events::{visit_pairs, write_json_string};

use crate::adapted::Adapted;
use crate::detect::is_of_rudderstack;
use crate::format::Format;
use crate::options::Options;
use crate::read::fields::{ObjectText, find};
use crate::read::record::Record;
use crate::read::value::Value;
use crate::refusal::Refusal;
use crate::vendors::calls::adapt_call;
use crate::vendors::calls::call::{Call, Inherited};

/// What the body of a request may have, and the events that are made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// The most calls of a batch.
    pub max_calls: usize,
    /// The most bytes of a call, with what it takes over from its batch.
    pub max_call_bytes: usize,
    /// The most bytes of events and updates, and also of the context of a batch, once for each call that takes
    /// it over: it is read again for each of them. The last call may exceed it.
    pub max_adapted_bytes: usize,
}

/// Why no call of a body is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// The body is not one JSON object, or is a batch without calls.
    Invalid(Refusal),
    /// The batch has too many calls.
    TooManyCalls {
        /// The most calls.
        max_calls: usize,
    },
    /// The events of the body have too many bytes.
    TooLong {
        /// The most bytes.
        max_adapted_bytes: usize,
    },
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(refusal) => refusal.fmt(f),
            Self::TooManyCalls { max_calls } => {
                write!(
                    f,
                    "the batch has more than {max_calls} calls; send fewer at once"
                )
            }
            Self::TooLong { max_adapted_bytes } => write!(
                f,
                "the events of the body have more than {max_adapted_bytes} bytes; send fewer calls at once"
            ),
        }
    }
}

impl std::error::Error for BodyError {}

/// The write key that a body names.
pub fn write_key(body: &str) -> Option<String> {
    let mut key = Value::Missing;
    visit_pairs(body, |pair| {
        if pair.key().string().as_deref() == Some(WRITE_KEY) {
            key = Value::Json(pair.value());
        }
    })?;
    Some(key.text()?.into_owned())
}

/// The field of a body that names the project. It says nothing about the user, so it is not carried.
const WRITE_KEY: &str = "writeKey";

/// Turns the body of a request to the HTTP API of Segment or RudderStack into events. `kind` is the type
/// of the call if the path says it, such as `track`; otherwise the body is a batch. Each call says itself
/// which of the two products sent it. The lines are numbered by the calls, from 0.
///
/// # Errors
///
/// [`BodyError`]. What was written until then is to be thrown away.
pub fn adapt_body(
    options: &Options,
    kind: Option<&str>,
    body: &str,
    limits: BodyLimits,
    to: &mut Adapted,
) -> Result<(), BodyError> {
    let Some(kind) = kind else {
        return adapt_batch(options, body, limits, to);
    };
    let mut json = Vec::new();
    write_json_string(kind, &mut json);
    let json = String::from_utf8(json).unwrap_or_default();
    let kind = ObjectText::of_json(&json);
    to.start_record(0);
    to.attempt(|to| {
        let mut call = call_of(body, limits.max_call_bytes)?;
        call.kind = kind.as_value();
        adapt_request(options, call, to)
    });
    check_length(limits, 0, to)
}

fn adapt_batch(
    options: &Options,
    body: &str,
    limits: BodyLimits,
    to: &mut Adapted,
) -> Result<(), BodyError> {
    let (mut batch, mut given) = (Value::Missing, Inherited::default());
    // The other members are not kept: a body can have millions.
    visit_pairs(body, |pair| {
        let member = match pair.key().string().as_deref() {
            Some("batch") => &mut batch,
            Some("sentAt") => &mut given.sent_at,
            Some("context") => &mut given.context,
            _ => return,
        };
        *member = Value::Json(pair.value());
    })
    .ok_or_else(|| BodyError::Invalid(Refusal::not_a_record(body)))?;
    let Some(mut calls) = batch.elements() else {
        let why = "a batch has its calls in this array";
        return Err(BodyError::Invalid(Refusal::missing("batch", why)));
    };
    let max_call_bytes = limits
        .max_call_bytes
        .saturating_sub(given.context.as_str().len());
    let (mut number, mut context_bytes) = (0, 0);
    while let Ok(Some(call)) = calls.next_value() {
        if number == limits.max_calls {
            let max_calls = limits.max_calls;
            return Err(BodyError::TooManyCalls { max_calls });
        }
        to.start_record(number as u64);
        to.attempt(|to| {
            let adapted = call_of(call.as_str(), max_call_bytes).and_then(|mut call| {
                if call.context.is_absent() {
                    context_bytes += given.context.as_str().len();
                }
                given.add_to(&mut call);
                adapt_request(options, call, to)
            });
            adapted.map_err(|refusal| refusal.within(format_args!("\"batch\"[{number}]")))
        });
        check_length(limits, context_bytes, to)?;
        number += 1;
    }
    Ok(())
}

/// A call with few enough bytes: those of one call are copied, and kept as a list of its members.
fn call_of(text: &str, max_call_bytes: usize) -> Result<Call<'_>, Refusal> {
    if text.len() > max_call_bytes {
        return Err(Refusal::new(
            "IN-3",
            format_args!(
                "the call has more than {max_call_bytes} bytes, with the context of its batch; shorten it"
            ),
        ));
    }
    let mut call =
        Call::of_object(Record::of_text(text)).ok_or_else(|| Refusal::not_a_record(text))?;
    call.rest.retain(|member| !member.is_named(WRITE_KEY));
    Ok(call)
}

fn adapt_request(options: &Options, call: Call<'_>, to: &mut Adapted) -> Result<(), Refusal> {
    let value = |name: &str| match name {
        "originalTimestamp" => call.original_timestamp,
        name => find(&call.rest, name),
    };
    let format = match is_of_rudderstack(&value) {
        true => Format::RudderStack,
        false => Format::Segment,
    };
    adapt_call(format, options, &call, to)
}

fn check_length(limits: BodyLimits, context_bytes: usize, to: &Adapted) -> Result<(), BodyError> {
    let max_adapted_bytes = limits.max_adapted_bytes;
    let bytes = to.text.len() + to.profiles.len() + to.groups.len();
    match bytes.max(context_bytes) > max_adapted_bytes {
        true => Err(BodyError::TooLong { max_adapted_bytes }),
        false => Ok(()),
    }
}
