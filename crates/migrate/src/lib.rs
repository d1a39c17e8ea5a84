//! Moves a project to another model of ID Merge (rules M-1 to M-23 of `docs/rules.md`).
//!
//! Claims join IDs in the source, and the target may join less: Simplified never joins two users. So a
//! migration elects one user for each person, writes the links and the events that give the target the
//! same people, and names every case that the rules cannot decide.
//!
//! The stages, in order:
//!
//! 1. [`Gathering`] reads every line once: what it says (M-1 to M-4), and who is who (M-5 to M-7).
//! 2. [`Gathering::elect`] gives each person one user (M-8 to M-11). The result is [`People`].
//! 3. [`EventWriter`] writes each event for the target (M-13 to M-15) in a second pass, and [`Tally`]
//!    counts. Then [`People`] writes links, profiles and mappings (M-12, M-16, M-17).
//! 4. [`Checker`] folds the output with the engine of the target, and compares (M-20).
//! 5. [`People::write_conflicts`], [`Report`] and [`People::instructions`] say what there is to decide
//!    and to do (M-18, M-19, M-21).
//!
//! [`Gathering::add_earlier_link`] and [`Gathering::add_earlier_event`] take what an earlier migration
//! wrote, so that more days can follow (M-22).
//!
//! The caller reads and writes the files. The memory is in proportion to the IDs, not to the events:
//! evidence and fingerprints of events are in temporary files.
//!
//! ```
//! use idmerge_engines::{Model, Settings};
//! use idmerge_events::Envelope;
//! use idmerge_migrate::{Gathering, Options, Place, Tally, WrittenLine};
//!
//! let lines = [
//!     r#"{"event":"Visit","properties":{"distinct_id":"D1","$device_id":"D1","time":1700000000,"$insert_id":"i1"}}"#,
//!     r#"{"event":"Log In","properties":{"distinct_id":"ada","$device_id":"D1","$user_id":"ada","time":1700000060,"$insert_id":"i2"}}"#,
//! ];
//! let mut gathering = Gathering::new(Options::new(
//!     Settings::of(Model::Original),
//!     Settings::of(Model::Simplified),
//!     1_700_003_600_000,
//! ));
//! for (line, text) in (1..).zip(lines) {
//!     let envelope = Envelope::parse_text(text)?;
//!     let event = gathering.options().read(&envelope)?;
//!     gathering.add(&event, Place { file: 0, line })?;
//! }
//! let mut people = gathering.elect()?;
//!
//! let (mut events, mut tally) = (Vec::new(), Tally::default());
//! for (number, text) in (0..).zip(lines) {
//!     let envelope = Envelope::parse_text(text)?;
//!     let event = people.options().read(&envelope)?;
//!     let written = people.event_writer().write(number, &event, &mut events)?;
//!     if let WrittenLine::Written(event) = written {
//!         tally.add(&event)?;
//!     }
//! }
//! assert_eq!(String::from_utf8(events)?, concat!(
//!     r#"{"event":"Visit","properties":{"time":1700000000,"$device_id":"D1","distinct_id":"$device:D1","$insert_id":"i1"}}"#,
//!     "\n",
//!     r#"{"event":"Log In","properties":{"time":1700000060,"$user_id":"ada","$device_id":"D1","distinct_id":"ada","$insert_id":"i2"}}"#,
//!     "\n",
//! ));
//! people.take_carried(&tally);
//! people.checker().finish(&people, &tally)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buckets;
mod checking;
mod comparing;
mod conflicts;
mod instructions;
mod options;
mod people;
mod reading;
mod report;
mod tally;
mod writing;

pub use checking::{Checker, WrongOutput};
pub use conflicts::{Conflict, ConflictEvidence, ConflictKind};
pub use options::{AnonymousEvents, OnConflict, Options, Place, SourceRules, UserRules};
pub use people::electing::People;
pub use people::gathering::{GatherError, Gathering};
pub use people::ids::TooManyIds;
pub use reading::SourceEvent;
pub use report::{Counted, Report};
pub use tally::Tally;
pub use writing::event::{EventWriter, Written, WrittenLine};
pub use writing::links::link_time_ms;
pub use writing::profiles::ProfileLine;
