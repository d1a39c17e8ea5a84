//! From input files to events: bytes are decompressed, cut into blocks of whole lines, and worked
//! on in parallel; results are put together in arrival order.

pub(crate) mod adapt;
pub(crate) mod block;
pub(crate) mod blocks;
pub(crate) mod event_reader;
pub(crate) mod events;
pub(crate) mod forms;
pub(crate) mod input;
pub(crate) mod lines;
pub(crate) mod ordered;
pub(crate) mod pipeline;
pub(crate) mod progress;
pub(crate) mod side_file;
