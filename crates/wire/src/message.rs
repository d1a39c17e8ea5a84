//! A decoded request, split into records.

use std::ops::Range;

use crate::endpoint::Endpoint;
use crate::limits::Limits;
use crate::problem::Problem;
use crate::records::event::EventRecord;
use crate::records::fault::Fault;
use crate::records::split::{Layout, split};
use crate::records::update::UpdateRecord;
use crate::request::credentials::Credentials;
use crate::request::utf8::DecodedText;
use crate::response::Dialect;

/// A decoded request: the text of its records, and its parameters.
#[derive(Clone, Debug)]
pub struct Message<'b> {
    pub(crate) text: DecodedText<'b>,
    pub(crate) is_ndjson: bool,
    /// The endpoint that it was sent to.
    pub endpoint: Endpoint,
    /// How to respond to it.
    pub dialect: Dialect,
    /// Whether to hold each record to all requirements, and to report every record that fails
    /// (`strict`).
    pub is_strict: bool,
    /// The credentials that it presents.
    pub credentials: Credentials,
    /// The project that a service account names (`project_id`).
    pub project_id: Option<String>,
    /// The write key in the query of a request with calls (`writeKey`).
    pub write_key: Option<String>,
}

impl Message<'_> {
    /// The records as events, in the order they were sent. A record that is not an event is a
    /// [`Fault`] at its position.
    ///
    /// # Errors
    ///
    /// [`Problem::NotJson`] if the text cannot be split into records,
    /// [`Problem::TooManyRecords`] if it has more than `limits` allow.
    pub fn events(&self, limits: &Limits) -> Result<Vec<Result<EventRecord<'_>, Fault>>, Problem> {
        split(self.text.as_str(), self.layout(), limits, |values| {
            let event = values.next_envelope(limits.of_containers())?;
            Ok(
                event
                    .map(|(json, event)| (json, EventRecord::new(json, event, &self.text, limits))),
            )
        })
    }

    /// The records as updates of profiles, in the order they were sent.
    ///
    /// # Errors
    ///
    /// As [`events`](Self::events).
    pub fn updates(
        &self,
        limits: &Limits,
    ) -> Result<Vec<Result<UpdateRecord<'_>, Fault>>, Problem> {
        let is_group = self.endpoint == Endpoint::Groups;
        split(self.text.as_str(), self.layout(), limits, |values| {
            let update = values.next_value()?;
            Ok(update.map(|json| (json, UpdateRecord::read(json, &self.text, is_group))))
        })
    }

    /// The event that this range of the text holds, in bytes.
    ///
    /// # Errors
    ///
    /// [`Fault`] if it is not an event, or has too many bytes.
    pub fn event_at(&self, range: Range<usize>, limits: &Limits) -> Result<EventRecord<'_>, Fault> {
        let text = self.text.as_str().get(range).unwrap_or_default();
        EventRecord::in_text(text, &self.text, limits)
    }

    /// The whole text: of the calls, for an endpoint whose records are no events.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// The same request with this text, which was made of its own. An ID with bytes that were not UTF-8 is
    /// still refused (IN-8).
    #[must_use]
    pub fn with_text(&self, text: String) -> Message<'static> {
        Message {
            text: self.text.converted(text),
            is_ndjson: self.is_ndjson,
            endpoint: self.endpoint,
            dialect: self.dialect.clone(),
            is_strict: self.is_strict,
            credentials: self.credentials.clone(),
            project_id: self.project_id.clone(),
            write_key: self.write_key.clone(),
        }
    }

    /// The range of a record's text in [`into_text`](Self::into_text), in bytes. The empty range
    /// if the record is not from this message.
    pub fn range(&self, record: &str) -> Range<usize> {
        self.text.range(record).unwrap_or_default()
    }

    /// The text that contains all records, for callers that store them unchanged. Bytes of the body
    /// that are not UTF-8 are replaced in it (IN-8).
    pub fn into_text(self) -> String {
        self.text.into_string()
    }

    fn layout(&self) -> Layout {
        if self.is_ndjson {
            Layout::Lines
        } else {
            Layout::Json
        }
    }
}
