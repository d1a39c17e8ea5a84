//! Parquet files as idmerge reads and writes them.
//!
//! [`Rows`] reads a Parquet file as text with a JSON object on each line: an event, or any record. So everything
//! that reads the lines of a file reads tables, and the rules know nothing of columns. [`TableWriter`] writes rows
//! of text cells as columns.
//!
//! ```
//! use std::io::{Cursor, Read};
//!
//! use idmerge_tables::{Column, Rows, Shape, TableWriter};
//!
//! let columns = [Column::text("event"), Column::text("$device_id")];
//! let mut writer = TableWriter::new(&columns, Vec::new())?;
//! writer.row(&[Some("View"), Some("D1")])?;
//! let file = writer.finish()?;
//!
//! let mut lines = String::new();
//! Rows::new(Cursor::new(file), &Shape::Events(Vec::new()))?.read_to_string(&mut lines)?;
//! assert_eq!(lines, "{\"event\":\"View\",\"properties\":{\"$device_id\":\"D1\"}}\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Not here: CSV, which `idmerge` reads and writes without this crate, and files: a writer takes any `Write`.

mod read;
mod write;

pub use read::{Rows, Shape, is_decoding};
pub use write::{Column, TableWriter};
