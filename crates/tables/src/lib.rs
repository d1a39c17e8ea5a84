//! Events in Parquet files and Arrow record batches, as idmerge reads and writes them.
//!
//! [`RowWriter`] makes lines of the rows of record batches. [`Rows`] reads a Parquet file as text with a JSON
//! object on each line: an event, or any record. So everything that reads the lines of a file reads tables, and
//! the rules know nothing of columns. [`TableWriter`] writes rows of text cells as columns.
//!
//! ```
//! # #[cfg(feature = "parquet")]
//! # {
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
//! # }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Features
//!
//! `parquet` (default): the readers and writers of files. Without it the libraries of Parquet are not built.
//!
//! Not here: CSV, which `idmerge` reads and writes without this crate, and files: a writer takes any `Write`.

#[cfg(feature = "parquet")]
mod read;
mod rows;
#[cfg(feature = "parquet")]
mod write;

#[cfg(feature = "parquet")]
pub use read::{Batches, NAME_COLUMNS, Rows, TableFile, is_decoding};
pub use rows::{BatchRows, Columns, RowWriter, Shape};
#[cfg(feature = "parquet")]
pub use write::{Column, Group, GroupEncoder, GroupsWriter, TableWriter};
