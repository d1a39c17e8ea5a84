//! Finds mistakes in the identity tracking of events, and answers that depend on the order of arrival.
//!
//! [`Lint`] adds up what events say about IDs, and finds what spoils identities: each [`Finding`] has a
//! [`Kind`], a severity, the rule, the IDs with evidence, and what to change in the tracking code.
//! `docs/lint.md` has the table of the kinds with the reason for each threshold.
//!
//! # Example
//!
//! ```
//! use idmerge_core::Event;
//! use idmerge_engines::{Model, Settings};
//! use idmerge_lint::{Evidence, Fold as _, Kind, Lint, Reader};
//!
//! let settings = Settings::of(Model::Simplified);
//! let (reader, mut lint) = (Reader::new(&settings), Lint::new(&settings));
//! for (line, user) in (1..).zip(["ben", "ada"]) {
//!     let event = Event { device_id: "D1".into(), user_id: user.into(), ..Event::named("Log In") };
//!     let reading = settings.read(&event)?;
//!     lint.add(&reader.read(&event, &reading), event.name, true, Evidence::of_line(line))?;
//! }
//! let report = lint.finish(3);
//! assert_eq!(report.findings[0].kind, Kind::MissingReset);
//! assert_eq!(report.findings[0].examples[0].what, "ben, then ada");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: files and text for people. `idmerge lint` and `idmerge order` are the command lines.

mod checks;
mod devices;
mod fold;
mod ids;
mod json;
mod kind;
mod order;
mod report;
mod said;
mod words;

pub use fold::{Facts, Fold, Lint, Reader};
pub use kind::{Kind, Severity};
pub use order::{ALL_ORDERS_CLAIMS, Dependent, DependentId, Order, OrderReport, Pair};
pub use report::{At, Evidence, Example, Finding, Report};
pub use said::{IdKind, Shown, each_named_id, has_user_id};
