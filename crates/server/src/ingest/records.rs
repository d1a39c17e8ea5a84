//! Splits a request into records, checks each, and finds its project.

use std::ops::Range;

use idmerge_core::Event;
use idmerge_project::{Batch, Record, Sender};
use idmerge_wire::{
    Endpoint, EventRecord, FailedRecord, Fault, Message, Problem, Report, Requirements,
};

use super::unknown_tokens::RequestOrigin;
use crate::app::App;
use crate::clock::now_ms;
use crate::config::ProjectConfig;
use crate::http::access::{self, Permission};
use crate::projects::OpenProject;

/// A record that goes to a project.
pub(super) struct AcceptedRecord {
    /// The index of the project in [`App::projects`].
    pub(super) project_index: usize,
    /// The position of the record in the request, from 0.
    pub(super) index: usize,
    /// The range of its JSON text in the text of the request.
    pub(super) range: Range<usize>,
    pub(super) record: Record,
}

/// The records of a request.
pub(super) struct AcceptedRecords {
    /// The source of the batches: see [`Batch::source`].
    pub(super) source: &'static str,
    pub(super) records: Vec<AcceptedRecord>,
    /// The results known already: records that were ignored, and those at fault.
    pub(super) report: Report,
}

impl AcceptedRecords {
    pub(super) fn new(source: &'static str) -> Self {
        Self {
            source,
            records: Vec::new(),
            report: Report::default(),
        }
    }

    pub(super) fn push(
        &mut self,
        project_index: usize,
        index: usize,
        range: Range<usize>,
        record: Record,
    ) {
        self.records.push(AcceptedRecord {
            project_index,
            index,
            range,
            record,
        });
    }

    pub(super) fn fail(&mut self, index: usize, insert_id: Option<String>, fault: Fault) {
        self.report.failed.push(FailedRecord {
            index,
            insert_id,
            fault,
        });
    }
}

/// Splits a request into records, checks each, and finds its project.
pub(super) fn accept(
    app: &App,
    endpoint: Endpoint,
    origin: RequestOrigin<'_>,
    message: &Message<'_>,
) -> Result<AcceptedRecords, Problem> {
    match endpoint {
        Endpoint::Track => accept_tracked(app, origin, message),
        Endpoint::Import => accept_imported(app, message),
        Endpoint::Engage | Endpoint::Groups => accept_updates(app, endpoint, origin, message),
        // Their text is converted first: see `calls`.
        Endpoint::Calls(_) | Endpoint::Pixel(_) => Err(Problem::NoData),
    }
}

/// Events without a credential. Each names its project by the token. A `$merge` among them is stored
/// and makes no claim.
fn accept_tracked(
    app: &App,
    origin: RequestOrigin<'_>,
    message: &Message<'_>,
) -> Result<AcceptedRecords, Problem> {
    let mut accepted = AcceptedRecords::new(Endpoint::Track.path());
    let events = message.events(&app.bounds.limits)?;
    if events.is_empty() {
        return Err(Problem::NoData);
    }
    for (index, event) in events.into_iter().enumerate() {
        let project = event.and_then(|event| match &event.token {
            None => Err(Fault::Missing { field: "token" }),
            Some(token) => Ok((app.index_by_token(token), event)),
        });
        match project {
            Ok((Some(project_index), event)) if !event.is_ignored => {
                let OpenProject {
                    config, project, ..
                } = &app.projects[project_index];
                let read = |event: &Event<'_>| config.settings.read(event).map(drop);
                if let Err(fault) = event.check_ids(read) {
                    // IN-8: an ID that is not text.
                    project.count_refused("ID-3");
                    count(app, Some(project_index), Endpoint::Track, "refused");
                    accepted.fail(index, None, fault);
                    continue;
                }
                let range = message.range(event.text);
                accepted.push(project_index, index, range, record(event, Sender::Anybody));
            }
            // The vendor answers an unknown token with success, and so do we. An event with
            // `$ignore` is dropped because its sender asks for that.
            Ok((project_index, event)) => {
                accepted.report.taken += 1;
                let result = if project_index.is_some() {
                    "ignored"
                } else {
                    app.unknown_tokens
                        .count(event.token.as_deref().unwrap_or(""), origin);
                    "unknown_token"
                };
                count(app, project_index, Endpoint::Track, result);
            }
            Err(fault) => {
                count(app, None, Endpoint::Track, "invalid");
                accepted.fail(index, None, fault);
            }
        }
    }
    Ok(accepted)
}

/// Events with a credential, or with the token if the project takes that. All belong to one project.
/// A `$merge` among them makes a claim, except with a token that may not merge (AR-4).
fn accept_imported(app: &App, message: &Message<'_>) -> Result<AcceptedRecords, Problem> {
    let configs = app.configs();
    let project_index = access::authorize(
        &configs,
        &message.credentials,
        message.project_id.as_deref(),
        Permission::Import,
    )?;
    let project = configs[project_index];
    let is_secret = access::is_secret(project, &message.credentials);
    let (sender, source) =
        sender_and_source(project, is_secret, Endpoint::Import, Batch::TOKEN_IMPORT);
    let limits = &app.bounds.limits;
    let events = message.events(limits)?;
    let settings = &project.settings;
    // AR-4: an identity event of an export is stored, as one that is tracked, and ignored (S-8).
    let is_identity = |event: &Result<EventRecord<'_>, Fault>| {
        let event = event.as_ref();
        event.is_ok_and(|event| event.is_identity_event() && !event.is_exported)
    };
    if !settings.has_identity_events() && events.iter().any(is_identity) {
        return Err(Problem::IdentityEvents);
    }
    let requirements = Requirements {
        is_strict: message.is_strict,
        waives_distinct_id: settings.has_reserved_ids(),
        now_ms: now_ms(),
    };
    let mut accepted = AcceptedRecords::new(source);
    accepted.records.reserve_exact(events.len());
    for (index, event) in events.into_iter().enumerate() {
        let mut insert_id = None;
        let checked = event.and_then(|event| {
            insert_id.clone_from(&event.insert_id);
            event.check(&requirements, limits)?;
            Ok(event)
        });
        match checked {
            Ok(event) if event.is_ignored => {
                accepted.report.taken += 1;
                count(app, Some(project_index), Endpoint::Import, "ignored");
            }
            Ok(event) => {
                let range = message.range(event.text);
                accepted.push(project_index, index, range, record(event, sender));
            }
            Err(fault) => {
                count(app, Some(project_index), Endpoint::Import, "invalid");
                let insert_id = insert_id.as_deref().or(fault.insert_id());
                accepted.fail(index, insert_id.map(str::to_owned), fault);
            }
        }
    }
    Ok(accepted)
}

/// Who sends the events of a request, and the source to store with them. Only a secret makes a `$merge` count,
/// unless the project says otherwise (AR-4): `token_source` is the source of a token that may not merge.
pub(super) fn sender_and_source(
    project: &ProjectConfig,
    is_secret: bool,
    endpoint: Endpoint,
    token_source: &'static str,
) -> (Sender, &'static str) {
    match (is_secret, project.token_may_merge) {
        (true, _) => (Sender::Credential, endpoint.path()),
        (false, true) => (Sender::TokenOnly, endpoint.path()),
        (false, false) => (Sender::Anybody, token_source),
    }
}

/// Profile updates. Each names its project by the token.
fn accept_updates(
    app: &App,
    endpoint: Endpoint,
    origin: RequestOrigin<'_>,
    message: &Message<'_>,
) -> Result<AcceptedRecords, Problem> {
    let mut accepted = AcceptedRecords::new(endpoint.path());
    let updates = message.updates(&app.bounds.limits)?;
    if updates.is_empty() {
        return Err(Problem::NoData);
    }
    for (index, update) in updates.into_iter().enumerate() {
        match update.map(|update| (app.index_by_token(&update.token), update)) {
            Ok((Some(project_index), update)) => {
                let range = message.range(update.text);
                accepted.push(project_index, index, range, Record::Update);
            }
            Ok((None, update)) => {
                accepted.report.taken += 1;
                app.unknown_tokens.count(&update.token, origin);
                count(app, None, endpoint, "unknown_token");
            }
            Err(fault) => {
                count(app, None, endpoint, "invalid");
                accepted.fail(index, None, fault);
            }
        }
    }
    Ok(accepted)
}

pub(super) fn record(event: EventRecord<'_>, sender: Sender) -> Record {
    Record::Event {
        time_ms: event.time.ms(),
        insert_id: event.dedup_id().map(Into::into),
        sender,
        layout: Some(Box::new(event.into_layout())),
    }
}

pub(super) fn count(
    app: &App,
    project_index: Option<usize>,
    endpoint: Endpoint,
    result: &'static str,
) {
    // An unknown token is never a label: anyone could send any number of different ones.
    let token = project_index.map(|index| &*app.projects[index].config.token);
    app.metrics.count_records(token, endpoint, result, 1);
}
