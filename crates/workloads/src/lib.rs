//! Seeded streams of realistic events, with known truth.
//!
//! A [`Stream`] simulates people who browse, log in, change devices and share them, and returns the
//! events that their SDKs would send: one event a line. It also knows the [`Person`] behind each
//! event, which no engine can know. `idmerge generate` and the benches use it.
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
//! source of randomness is `ChaCha8` keyed with the seed, and nothing depends on a float, a clock or
//! the order of a hash map. Memory depends on the number of people who are active at one time, not on
//! the length of the stream.
//!
//! # How it is made
//!
//! Actors take turns; each turn is one event. The actors of three workloads are households, which
//! differ only in their habits (`actor/household.rs`). Those of `identify` are pairs of customers
//! (`actor/customer.rs`). A new actor takes the place of a finished one.
//!
//! A [`Demo`] is for somebody who watches: its people have names, and it never ends.
//!
//! A [`MistakeStream`] plays scripts between the events of a workload, each of which shows a [`Mistake`] of
//! tracking code (`mistakes/scripts.rs`).

mod actor;
mod demo;
mod mistakes;
mod person;
mod rng;
mod stream;
mod wire;
mod workload;

#[cfg(test)]
mod testing;

pub use demo::{Demo, DemoMessage, DemoModel};
pub use mistakes::{Mistake, MistakeStream};
pub use person::Person;
pub use stream::Stream;
pub use workload::{UnknownWorkload, Workload};
