//! Decodes the HTTP requests of tracking SDKs, and writes the responses that they expect.
//!
//! [`Head::read`] decodes the head of a request, and [`Head::decode`] its body: gzip, forms, base64
//! and JSON in many combinations. [`Message::events`] and [`Message::updates`] split it into
//! records, each still the JSON text that was sent. [`Dialect`] writes the response: a bare `1` for
//! some SDKs, a JSON object or a pixel for others.
//!
//! ```
//! use idmerge_wire::{Endpoint, Head, Limits, RequestParts, Report};
//!
//! let head = Head::read(RequestParts {
//!     endpoint: Endpoint::Track,
//!     query: "ip=1",
//!     content_type: Some("text/plain;charset=UTF-8"),
//!     content_encoding: None,
//!     authorization: None,
//! });
//! let body = br#"data={"event":"A","properties":{"token":"T","distinct_id":"U1"}}&verbose=1"#;
//! let message = head.decode(body, &Limits::DOCUMENTED)?;
//!
//! let events = message.events(&Limits::DOCUMENTED)?;
//! let event = events[0].as_ref().unwrap();
//! assert_eq!((&*event.name, event.token.as_deref()), ("A", Some("T")));
//!
//! let response = message.dialect.report(&Report { taken: 1, ..Report::default() });
//! assert_eq!((response.status, &*response.body), (200, br#"{"error":null,"status":1}"#.as_slice()));
//! # Ok::<(), idmerge_wire::Problem>(())
//! ```
//!
//! This crate does no I/O and reads no clock. It does not know projects or engines, and does not
//! interpret the identity properties of events.

mod endpoint;
mod export;
pub mod fuzz;
mod limits;
mod message;
mod problem;
mod records;
mod request;
mod response;

pub use endpoint::Endpoint;
pub use export::ExportLine;
pub use idmerge_events::Time;
pub use limits::Limits;
pub use message::Message;
pub use problem::Problem;
pub use records::event::{EventRecord, Requirements, check_insert_id};
pub use records::fault::Fault;
pub use records::update::UpdateRecord;
pub use request::credentials::Credentials;
pub use request::inflate::{decompressed_within, is_compressed};
pub use request::{Head, RequestParts};
pub use response::{Dialect, FailedRecord, Report, Response};
