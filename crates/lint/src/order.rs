//! Which answers depend on the order in which the claims arrived.
//!
//! Claims affect each other only if a chain of claims connects their IDs, accepted or rejected (law 9). So each
//! such component is replayed alone, by the engine of the model, in other orders: in all of them if it has few
//! claims, in some otherwise.

mod claims;
mod component;
mod orders;
mod report;

pub use claims::Order;
pub use component::ALL_ORDERS_CLAIMS;
pub use report::{Dependent, DependentId, OrderReport, Pair};
