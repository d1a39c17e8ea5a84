//! Events in columns: reads them from Arrow record batches, and answers them in columns.
//!
//! ```text
//! batches ──▶ own IDs and claims ──▶ state ──▶ answers ──▶ batches
//!             read                   state     answer
//! ```
//!
//! [`Reader`] reads the own ID of each event of a batch, and the claims that some make. [`State`] weighs the claims of
//! one batch after the other. Then [`canonical`] and [`Answers`] say for each event of a batch who did it, and [`Layout`]
//! makes a batch of that with the columns of the events. Batches do not depend on each other but in [`State`], so they
//! can be read and answered on all cores: [`parallel::map`].
//!
//! No rule is here: `idmerge-engines` reads events and weighs claims, and `idmerge-tables` says what the columns of a
//! table of events mean. It also makes the lines of JSON of the rows that are not read from their columns.
//!
//! It is published because `idmerge` depends on it, and the package of Python uses it too. Any release may change its
//! API.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow_array::cast::AsArray;
//! use arrow_array::{ArrayRef, RecordBatch, StringArray};
//! use idmerge_columns::{Answers, Layout, Names, Outcomes, Reader, State, canonical};
//! use idmerge_engines::{Model, Settings};
//!
//! let columns: [(&str, ArrayRef); 3] = [
//!     ("event", Arc::new(StringArray::from(vec!["Visit", "Log In"]))),
//!     ("$device_id", Arc::new(StringArray::from(vec!["D1", "D1"]))),
//!     ("$user_id", Arc::new(StringArray::from(vec![None, Some("ada")]))),
//! ];
//! let batches = [RecordBatch::try_from_iter(columns)?];
//! let schema = batches[0].schema();
//!
//! let settings = Settings::of(Model::Simplified);
//! let reader = Reader::new(&schema, &batches[..], &settings, &Names::default(), "")?;
//! let read = reader.read(&batches[0], 0)?;
//!
//! let mut state = State::new(&settings);
//! let rejected = state.fold(&read.claims, &mut Outcomes::default())?;
//!
//! let canonical = canonical(&read.own, &*state.engine);
//! let answers = Answers::new(settings.rule_book(), &read, canonical, &rejected);
//! let layout = Layout::of(&schema);
//! let answered = layout.batch(&batches[0], &answers, &layout.schema(&schema))?;
//! let ids = answered["distinct_id"].as_string::<i32>();
//! assert_eq!(ids.iter().flatten().collect::<Vec<_>>(), ["ada", "ada"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod claims;
pub mod parallel;
mod plain;
mod read;
mod state;
mod table;

pub use answer::{Answers, Layout, arrive, canonical, id_in};
pub use claims::Claims;
/// What [`State::fold`] counts.
pub use idmerge_engines::Outcomes;
pub use plain::{Plain, bytes_max, chosen};
pub use read::{Lines, Names, Read, Reader, Refused, properties, push_id};
pub use state::{Rejected, State};
pub use table::{ColumnsError, Values, place_of};
