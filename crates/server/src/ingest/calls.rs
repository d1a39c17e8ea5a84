//! Calls in the HTTP API of Segment and RudderStack, which become events and profile updates before they
//! are stored.

use std::ops::Range;

use idmerge_adapters::{Adapted, BodyError, BodyLimits, LineKind, adapt_body, write_key};
use idmerge_core::Event;
use idmerge_project::{Batch, Record, Sender};
use idmerge_wire::{Endpoint, Fault, Limits, Message, Problem};

use super::records::{AcceptedRecords, count, record, sender_and_source};
use super::unknown_tokens::RequestOrigin;
use crate::app::App;
use crate::http::access::{self, Caller};
use crate::projects::OpenProject;

/// How many times longer than the body its events may be. The context of a batch is written into each of its
/// calls, and the traits of a call into its event and into the profile.
const MAX_GROWTH: usize = 4;

/// How much longer the events may be than that, since a short call has a few bytes.
const SPARE_BYTES: usize = 256 * 1024;

/// Turns the calls of a request into records of one project. The result has their text. `has_room` says
/// whether there is memory for this many bytes of it.
pub(super) fn accept(
    app: &App,
    kind: Option<&'static str>,
    origin: RequestOrigin<'_>,
    message: &Message<'_>,
    has_room: &dyn Fn(usize) -> bool,
) -> Result<(Message<'static>, AcceptedRecords), Problem> {
    let limits = &app.bounds.limits;
    let caller = caller(app, origin, message)?;
    let open = &app.projects[caller.project_index];
    let mut adapted = Adapted::default();
    let body = message.text().trim_start_matches('\u{feff}');
    adapt_body(
        &open.calls,
        kind,
        body,
        body_limits(body, limits),
        &mut adapted,
    )
    .map_err(problem)?;
    let mut text = adapted.take_text(Vec::new());
    let updates_start = text.len();
    text.extend_from_slice(adapted.profiles());
    text.extend_from_slice(adapted.groups());
    if !has_room(text.len()) {
        return Err(Problem::RateLimited);
    }
    let updates = lines(&text, updates_start);
    let message = message.with_text(String::from_utf8(text).unwrap_or_default());
    let mut taking = Taking::new(app, &caller, &message);
    taking.take_events(&adapted);
    for range in updates {
        taking.take_update(range);
    }
    let accepted = taking.accepted;
    Ok((message, accepted))
}

fn caller(app: &App, origin: RequestOrigin<'_>, message: &Message<'_>) -> Result<Caller, Problem> {
    let key = || {
        message
            .write_key
            .clone()
            .or_else(|| write_key(message.text()))
    };
    access::caller(
        &app.configs(),
        &message.credentials,
        message.project_id.as_deref(),
        |token| app.index_by_token(token),
        || {
            key().inspect(|key| {
                if app.index_by_token(key).is_none() {
                    app.unknown_tokens.count(key, origin);
                }
            })
        },
    )
}

fn body_limits(body: &str, limits: &Limits) -> BodyLimits {
    let max_adapted_bytes = body.len().saturating_mul(MAX_GROWTH) + SPARE_BYTES;
    BodyLimits {
        max_calls: limits.max_records,
        max_call_bytes: limits.max_record_bytes,
        max_adapted_bytes: max_adapted_bytes.min(limits.max_body_bytes),
    }
}

fn problem(error: BodyError) -> Problem {
    match error {
        BodyError::TooManyCalls { max_calls } => Problem::TooManyRecords {
            max_records: max_calls,
        },
        BodyError::TooLong { max_adapted_bytes } => Problem::TooLarge {
            max_body_bytes: max_adapted_bytes,
        },
        error => Problem::NoCalls {
            reason: error.to_string(),
        },
    }
}

/// The lines of a text from here on, without their line feeds.
fn lines(text: &[u8], mut start: usize) -> Vec<Range<usize>> {
    let ends = text.iter().enumerate().skip(start);
    let ends = ends.filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end);
    ends.map(|end| std::mem::replace(&mut start, end + 1)..end)
        .collect()
}

/// The records of a request, while they are taken.
struct Taking<'t> {
    app: &'t App,
    open: &'t OpenProject,
    endpoint: Endpoint,
    project_index: usize,
    sender: Sender,
    message: &'t Message<'t>,
    accepted: AcceptedRecords,
}

impl<'t> Taking<'t> {
    fn new(app: &'t App, caller: &Caller, message: &'t Message<'t>) -> Self {
        let open = &app.projects[caller.project_index];
        let endpoint = message.endpoint;
        let (sender, source) =
            sender_and_source(&open.config, caller.is_secret, endpoint, Batch::TOKEN_CALLS);
        Self {
            app,
            open,
            endpoint,
            project_index: caller.project_index,
            sender,
            message,
            accepted: AcceptedRecords::new(source),
        }
    }

    fn count(&self, result: &'static str) {
        count(self.app, Some(self.project_index), self.endpoint, result);
    }

    fn refuse(&mut self, index: usize, rule: &'static str, fault: Fault) {
        self.open.project.count_refused(rule);
        self.count("refused");
        self.accepted.fail(index, None, fault);
    }

    fn take_events(&mut self, adapted: &Adapted) {
        let mut start = 0;
        for line in adapted.lines() {
            let range = start..line.end - 1;
            start = line.end;
            let index = usize::try_from(line.record).unwrap_or(usize::MAX);
            match &line.kind {
                LineKind::Event(_) => self.take_event(index, range),
                LineKind::Refused(refusal) => {
                    let fault = Fault::Refused {
                        field: String::new(),
                        reason: refusal.to_string(),
                    };
                    self.refuse(index, refusal.rule(), fault);
                }
            }
        }
        let passed_over: u64 = adapted.counts().passed_over.values().sum();
        if passed_over > 0 {
            self.accepted.report.taken += usize::try_from(passed_over).unwrap_or(usize::MAX);
            let token = Some(&*self.open.config.token);
            let metrics = &self.app.metrics;
            metrics.count_records(token, self.endpoint, "ignored", passed_over);
        }
    }

    fn take_event(&mut self, index: usize, range: Range<usize>) {
        match self
            .message
            .event_at(range.clone(), &self.app.bounds.limits)
        {
            Ok(event) => {
                let settings = &self.open.config.settings;
                let read = |event: &Event<'_>| settings.read(event).map(drop);
                match event.check_ids(read) {
                    Ok(()) => {
                        let record = record(event, self.sender);
                        self.accepted.push(self.project_index, index, range, record);
                    }
                    // IN-8: an ID that is not text.
                    Err(fault) => self.refuse(index, "ID-3", fault),
                }
            }
            Err(fault) => {
                self.count("invalid");
                self.accepted.fail(index, None, fault);
            }
        }
    }

    fn take_update(&mut self, range: Range<usize>) {
        let index = self.accepted.records.len();
        let max_record_bytes = self.app.bounds.limits.max_record_bytes;
        if range.len() > max_record_bytes {
            self.count("invalid");
            self.accepted
                .fail(index, None, Fault::TooLarge { max_record_bytes });
        } else {
            self.accepted
                .push(self.project_index, index, range, Record::Update);
        }
    }
}
