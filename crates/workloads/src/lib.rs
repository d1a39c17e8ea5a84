//! Seeded streams of realistic events, with known truth.
//!
//! A [`Stream`] plays people who browse, log in, change devices and share them, and gives what
//! their SDKs would send: one event a line. It knows who each [`Person`] really is, which no
//! engine can know. `idmerge generate` and the benches stand on it.
//!
//! ```
//! use idmerge_workloads::{Stream, Workload};
//!
//! let mut stream = Stream::new(Workload::WebLogin, 1_000, 42);
//! let (mut events, mut truth) = (Vec::new(), Vec::new());
//! loop {
//!     let more = stream.next_event(&mut events); // or write and clear the line each time
//!     for person in stream.finished() {
//!         person.write_truth(&mut truth)?;
//!     }
//!     if !more {
//!         break;
//!     }
//! }
//! assert_eq!(events.iter().filter(|&&byte| byte == b'\n').count(), 1_000);
//! assert!(truth.starts_with(br#"{"person":"#));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The same workload, number of events and seed give the same bytes on every machine: the only
//! source of chance is `ChaCha8` keyed with the seed, and nothing is decided by a float, a clock or
//! the order of a hash map. Memory is bounded by the people who are active at one time, not by
//! the length of the stream.
//!
//! # How it is made
//!
//! Actors take turns; each turn is one event. Three of the workloads are played by households
//! that differ in their habits alone (`actor/household.rs`), `identify` by pairs of customers
//! (`actor/customer.rs`). A finished actor makes room for a new one.

mod actor;
mod person;
mod rng;
mod stream;
mod wire;
mod workload;

#[cfg(test)]
mod testing;

pub use person::Person;
pub use stream::Stream;
pub use workload::{UnknownWorkload, Workload};
