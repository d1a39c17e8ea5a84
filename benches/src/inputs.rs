//! The inputs of the rows: IDs, links of devices with users, and JSON events.

pub mod events;
pub mod ids;
pub mod links;
