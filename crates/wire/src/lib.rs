//! What tracking SDKs send over HTTP, and the answers that they take for success.
//!
//! [`Head::read`] takes what is known of a request before its body; [`Head::decode`] takes the
//! body, in whichever of the many encodings; [`Message::events`] and [`Message::updates`] split it
//! into records, each still the JSON text that was sent. [`Dialect`] writes the answer: a bare `1`
//! for one SDK, a JSON object for another, a pixel for a third.
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
//! let answer = message.dialect.report(&Report { taken: 1, ..Report::default() });
//! assert_eq!((answer.status, &*answer.body), (200, br#"{"error":null,"status":1}"#.as_slice()));
//! # Ok::<(), idmerge_wire::Problem>(())
//! ```
//!
//! Not here: sockets, projects, engines, and what the identity properties of an event mean.

mod containers;
mod endpoint;
mod event;
mod export;
pub mod fuzz;
mod limits;
mod message;
mod problem;
mod request;
mod response;
mod split;
mod time;
mod update;

pub use endpoint::Endpoint;
pub use event::{EventRecord, Fault, Requirements};
pub use export::ExportLine;
pub use limits::Limits;
pub use message::Message;
pub use problem::Problem;
pub use request::credentials::Credentials;
pub use request::{Head, RequestParts};
pub use response::{Dialect, FailedRecord, Report, Response};
pub use time::{Time, time_ms};
pub use update::UpdateRecord;
